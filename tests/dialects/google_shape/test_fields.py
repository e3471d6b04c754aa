"""Fields of a client's objects: both spellings, null, single objects, and what is wrong told by its path."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from trunkline.canon.chat import NOTHING
from trunkline.canon.errors import GatewayError
from trunkline.dialects.google_shape.fields import Fields, camel
from trunkline.dialects.shallow import bad


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("system_instruction", "systemInstruction"),
        ("systemInstruction", "systemInstruction"),
        ("top_k", "topK"),
        ("a_1b", "a1b"),
    ],
)
def test_names_are_read_in_both_spellings(name: str, found: str) -> None:
    """Google reads both, and its own examples use both."""
    assert camel(name) == found


@pytest.mark.parametrize(
    ("take", "value", "found"),
    [
        (lambda fields: fields.any("x"), 1, 1),
        (lambda fields: fields.peek("x"), 1, 1),
        (lambda fields: fields.text("x"), "a", "a"),
        (lambda fields: fields.text("x"), None, ""),
        (lambda fields: fields.flag("x"), True, True),
        (lambda fields: fields.flag("x"), None, None),
        (lambda fields: fields.object("x"), {"a_b": 1}, {"a_b": 1}),
        (lambda fields: fields.fields("x").left(), {"a_b": 1}, {"aB": 1}),
        (lambda fields: fields.fields("x"), None, None),
        (lambda fields: fields.items("x"), [1], [1]),
        (lambda fields: fields.items("x"), {"a": 1}, [{"a": 1}]),
        (lambda fields: fields.items("x"), None, []),
        (lambda fields: fields.texts("x"), "a", ["a"]),
        (lambda fields: fields.number("x"), 0.5, 0.5),
        (lambda fields: fields.whole("x"), 5.0, 5),
        (lambda fields: fields.whole("x"), "-7", -7),
        (lambda fields: fields.whole("x"), None, None),
    ],
)
def test_a_field_is_taken_as_google_takes_it(take: Callable[[Fields], Any], value: Any, found: Any) -> None:
    """Null is absent, one object stands for a list of one, an int64 may be a text."""
    assert take(Fields({"x": value}, "p")) == found


@pytest.mark.parametrize(
    ("take", "value", "place"),
    [
        (lambda fields: fields.text("x"), 1, "p.x"),
        (lambda fields: fields.flag("x"), "yes", "p.x"),
        (lambda fields: fields.object("x"), [], "p.x"),
        (lambda fields: fields.fields("x"), "a", "p.x"),
        (lambda fields: fields.texts("x"), ["a", 1], "p.x[1]"),
        (lambda fields: fields.number("x"), "1", "p.x"),
        (lambda fields: fields.number("x"), True, "p.x"),
        (lambda fields: fields.whole("x"), 0.5, "p.x"),
        (lambda fields: fields.whole("x"), "a lot", "p.x"),
    ],
)
def test_what_is_wrong_is_told_by_its_path(take: Callable[[Fields], Any], value: Any, place: str) -> None:
    """A caller must be able to find the field."""
    with pytest.raises(GatewayError) as told:
        take(Fields({"x": value}, "p"))
    assert (told.value.status, told.value.param) == (400, place)


def test_what_nobody_took_is_left() -> None:
    """It rides in vendor; nothing is lost in silence."""
    fields = Fields({"a_b": 1, "c": None, "d": 2}, "")
    assert "aB" in fields
    assert "c" not in fields
    fields.any("d")
    assert fields.left() == {"aB": 1}
    fields.any("aB")
    assert fields.left() is NOTHING
    assert fields.place("x") == "x"


def test_an_object_must_be_one() -> None:
    """Anything may stand in a client's JSON."""
    with pytest.raises(GatewayError, match="p"):
        Fields([], "p")
    assert bad("p", "is odd", "c").code == "c"

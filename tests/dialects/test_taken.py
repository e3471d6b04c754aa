"""Fields taken out of an object, each checked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from trunkline.canon.chat import NOTHING
from trunkline.canon.errors import GatewayError
from trunkline.dialects.taken import Taken

RIGHT: list[tuple[Callable[[Taken], Any], Any, Any]] = [
    (lambda taken: taken.text("x"), "a", "a"),
    (lambda taken: taken.text("x"), None, ""),
    (lambda taken: taken.flag("x"), False, False),
    (lambda taken: taken.flag("x"), None, None),
    (lambda taken: taken.items("x"), [1], [1]),
    (lambda taken: taken.items("x"), None, []),
    (lambda taken: taken.texts("x"), ["a"], ["a"]),
    (lambda taken: taken.object("x"), {"a": 1}, {"a": 1}),
    (lambda taken: taken.object("x"), None, None),
    (lambda taken: taken.number("x"), 1.5, 1.5),
    (lambda taken: taken.number("x"), 2, 2),
    (lambda taken: taken.whole("x"), 5.0, 5),
    (lambda taken: taken.whole("x"), None, None),
    (lambda taken: taken.any("x"), [{}], [{}]),
]
WRONG: list[tuple[Callable[[Taken], Any], Any, str]] = [
    (lambda taken: taken.text("x"), 1, "m[0].x"),
    (lambda taken: taken.flag("x"), "true", "m[0].x"),
    (lambda taken: taken.items("x"), {}, "m[0].x"),
    (lambda taken: taken.object("x"), [], "m[0].x"),
    (lambda taken: taken.texts("x"), ["a", 1], "m[0].x[1]"),
    (lambda taken: taken.number("x"), True, "m[0].x"),
    (lambda taken: taken.number("x"), "1", "m[0].x"),
    (lambda taken: taken.whole("x"), 1.5, "m[0].x"),
]


@pytest.mark.parametrize(("take", "value", "told"), RIGHT)
def test_a_field_is_taken_once(take: Callable[[Taken], Any], value: Any, told: Any) -> None:
    """What is taken must not ride in `vendor` too, or it would be sent twice."""
    taken = Taken({"x": value, "y": 1}, "")
    assert take(taken) == told
    assert taken.left() == {"y": 1}


@pytest.mark.parametrize(("take", "value", "path"), WRONG)
def test_a_wrong_field_is_named_by_its_path(take: Callable[[Taken], Any], value: Any, path: str) -> None:
    """The caller must know which of many messages to mend."""
    with pytest.raises(GatewayError) as raised:
        take(Taken({"x": value}, "m[0]"))
    assert raised.value.param == path


def test_no_object_is_refused() -> None:
    """A message that is a text."""
    with pytest.raises(GatewayError) as raised:
        Taken("hi", "messages[1]")
    assert raised.value.param == "messages[1]"


def test_null_is_absent() -> None:
    """The Python client sends null for what was not given."""
    assert Taken({"x": None}, "").left() is NOTHING

"""What contracts are judged with."""

from __future__ import annotations

import pytest

from trunkline.doctor.finding import Broken, at, need


@pytest.mark.parametrize(
    ("value", "path", "found"),
    [
        ({"a": [{"b": 1}]}, ("a", 0, "b"), 1),
        ({"a": [{"b": 1}]}, ("a", -1, "b"), 1),
        ({"a": [{"b": 1}]}, ("a", 1, "b"), None),
        ({"a": 1}, ("a", "b"), None),
        ({"a": 1}, (0,), None),
        (None, ("a",), None),
        (7, (), 7),
    ],
)
def test_a_place_in_json(value: object, path: tuple[str | int, ...], found: object) -> None:
    """A server that answers something else would end the doctor, not be judged by it."""
    assert at(value, *path) == found


def test_what_must_hold() -> None:
    """A contract would go on after it was broken."""
    need(1, "never")
    with pytest.raises(Broken, match="because"):
        need([], "because")

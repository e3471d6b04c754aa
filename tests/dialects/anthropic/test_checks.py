"""Fields of decoded objects, and the paths in the errors about them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from trunkline.canon.errors import GatewayError, Kind
from trunkline.dialects.anthropic.checks import array, optional_text, rest, table, text


@pytest.mark.parametrize(
    ("check", "path"),
    [
        (lambda: text({}, "name", "tools[0]"), "tools[0].name"),
        (lambda: text({"name": 7}, "name", "tools[0]"), "tools[0].name"),
        (lambda: optional_text({"name": []}, "name", "tools[0]"), "tools[0].name"),
        (lambda: table([], "metadata"), "metadata"),
        (lambda: array({}, "stop"), "stop"),
    ],
)
def test_what_is_wrong_is_named_by_its_path(check: Callable[[], object], path: str) -> None:
    """A request of 80 KB is searched in vain without it."""
    with pytest.raises(GatewayError) as caught:
        check()
    assert (caught.value.kind, caught.value.param) == (Kind.BAD_REQUEST, path)
    assert f"'{path}'" in caught.value.message


def test_what_is_right_is_returned() -> None:
    """Null is absent where a field is optional."""
    assert text({"a": "b"}, "a", "x") == "b"
    assert optional_text({"a": None}, "a", "x") == optional_text({}, "a", "x") == ""
    assert table({"a": 1}, "x") == {"a": 1}
    assert array([1], "x") == [1]
    assert rest({"a": 1, "b": None, "c": 3}, {"a"}) == {"c": 3}

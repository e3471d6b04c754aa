"""Names and ids made to fit, the same way every time."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.canon.chat import Message, Text, ToolCall, ToolResult
from trunkline.dialects.names import call_names, cut, fit, is_made, made_id

BAD = re.compile(r"[^a-zA-Z0-9_-]")


def test_a_made_id_is_known_again() -> None:
    """A provider that gave no id must not be sent ours; one that gave its own must get it."""
    assert made_id("seed", 3) != made_id("seed", 4) != made_id("other", 4)
    assert is_made(made_id("seed", 3))
    assert not is_made("call_abc")
    assert re.fullmatch("[a-zA-Z0-9_-]{1,64}", made_id("0123456789abcdef" * 2, 99))


@pytest.mark.parametrize(
    ("name", "fitting"),
    [("get_weather", "get_weather"), ("a" * 64, "a" * 64), ("", "")],
)
def test_a_name_that_fits_stays(name: str, fitting: str) -> None:
    """Models know tools by their names."""
    assert fit(name, BAD, 64) == fitting


@pytest.mark.parametrize("name", ["server:tool.name", "gr\u00fc\u00df dich", "a" * 65, "b/" * 200, "\ud800"])
def test_a_name_that_does_not_fit_is_made_to(name: str) -> None:
    """Providers answer 400 to the whole request."""
    made = fit(name, BAD, 64)
    assert re.fullmatch("[a-zA-Z0-9_-]{1,64}", made)
    assert made == fit(name, BAD, 64)
    assert made.startswith(BAD.sub("_", name)[:50])


@given(st.lists(st.text(max_size=80), unique=True, min_size=2, max_size=4), st.sampled_from([40, 64]))
def test_two_names_stay_two(names: list[str], longest: int) -> None:
    """Else a call of one tool would run another. Hashes of eight digits may meet, but not by a chance that is ever seen."""
    made = [fit(name, BAD, longest) for name in names]
    assert len(set(made)) == len(names)
    assert all(len(one) <= longest and not BAD.search(one) for one in made)


def test_calls_are_named_by_their_ids() -> None:
    """For providers whose results must name the tool. The last call of an id holds."""
    messages = [
        Message("user", (Text("a"),)),
        Message("assistant", (Text("a"), ToolCall("1", "f", "{}"), ToolCall("2", "g", "{}"))),
        Message("tool", (ToolResult("1", "x", ()),)),
        Message("assistant", (ToolCall("1", "h", "{}"),)),
    ]
    assert call_names(messages) == {"1": "h", "2": "g"}
    assert call_names([]) == {}


def test_any_character_may_stand_in_a_text() -> None:
    """Who asks is no name: only its length can be wrong."""
    assert cut("a b@c", 64) == "a b@c"
    assert len(cut("é" * 99, 64)) == 64
    assert cut("x" * 99, 64) != cut("x" * 98, 64)

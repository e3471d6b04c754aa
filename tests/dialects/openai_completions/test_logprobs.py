"""Probabilities of tokens, between four lists and one object a token."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.dialects.openai_completions.logprobs import read_logprobs, write_logprobs

LISTS = {
    "tokens": ["He", "y"],
    "token_logprobs": [-0.5, -1.0],
    "top_logprobs": [{"He": -0.5, "Wo": -2.0}, {"y": -1.0}],
    "text_offset": [0, 2],
}
TOKENS = (
    {"token": "He", "logprob": -0.5, "top_logprobs": [{"token": "He", "logprob": -0.5}, {"token": "Wo", "logprob": -2.0}]},
    {"token": "y", "logprob": -1.0, "top_logprobs": [{"token": "y", "logprob": -1.0}]},
)


def test_both_ways() -> None:
    """A client sees what the provider said, in the place where its own text has it."""
    assert read_logprobs(LISTS) == TOKENS
    assert write_logprobs(TOKENS, 0) == LISTS
    shifted = write_logprobs(TOKENS, 10)
    assert shifted is not None
    assert shifted["text_offset"] == [10, 12]


@pytest.mark.parametrize(
    ("told", "tokens"),
    [
        (None, []),
        ([], []),
        ({"tokens": None}, []),
        ({"tokens": ["a", 5]}, ["a", ""]),
        ({"tokens": ["a"], "token_logprobs": "x", "top_logprobs": [None]}, ["a"]),
        ({"content": [{"token": "a", "logprob": -1, "top_logprobs": [{"token": "b", "logprob": -2}, 7, {}]}, 9]}, ["a"]),
    ],
)
def test_what_servers_say(told: Any, tokens: list[str]) -> None:
    """llama.cpp tells them in chat's form; whatever is none is passed over."""
    assert [one["token"] for one in read_logprobs(told)] == tokens


def test_chats_form_says_the_same() -> None:
    """The likeliest tokens, too."""
    told = {"content": [{"token": "a", "logprob": -1.5, "bytes": [97], "top_logprobs": [{"token": "b", "logprob": -2.0}]}]}
    assert read_logprobs(told) == ({"token": "a", "logprob": -1.5, "top_logprobs": [{"token": "b", "logprob": -2.0}]},)


def test_none_is_null() -> None:
    """As OpenAI tells it."""
    assert write_logprobs((), 3) is None


def test_what_is_no_token_does_no_harm() -> None:
    """Canon's tokens are as their provider wrote them."""
    assert write_logprobs(({"token": 5, "top_logprobs": [{"token": None}]},), 0) == {
        "tokens": [""], "token_logprobs": [None], "top_logprobs": [{"": None}], "text_offset": [0],
    }  # fmt: skip


@given(st.lists(st.tuples(st.text(max_size=3), st.floats(-9, 0)), min_size=1, max_size=6))
def test_offsets_count_characters(told: list[tuple[str, float]]) -> None:
    """Clients cut the text by them."""
    found = write_logprobs(tuple({"token": token, "logprob": value} for token, value in told), 0)
    assert found is not None
    text = "".join(token for token, _ in told)
    for token, at in zip(found["tokens"], found["text_offset"], strict=True):
        assert text[at : at + len(token)] == token

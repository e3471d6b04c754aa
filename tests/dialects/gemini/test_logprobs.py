"""Log probabilities, both ways."""

from __future__ import annotations

from typing import Any

import pytest

from trunkline.dialects.gemini.logprobs import read_logprobs, write_logprobs

TOLD = {
    "chosenCandidates": [{"token": "é", "tokenId": 5, "logProbability": -0.5}, {"token": "b", "logProbability": -1.0}],
    "topCandidates": [{"candidates": [{"token": "é", "logProbability": -0.5}, {"token": "x", "logProbability": -2.0}]}],
}
TOKENS = (
    {
        "token": "é",
        "logprob": -0.5,
        "bytes": [195, 169],
        "top_logprobs": [
            {"token": "é", "logprob": -0.5, "bytes": [195, 169]},
            {"token": "x", "logprob": -2.0, "bytes": [120]},
        ],
    },
    {"token": "b", "logprob": -1.0, "bytes": [98], "top_logprobs": []},
)


def test_tokens_are_read_in_openais_form() -> None:
    """An evaluation that asked for log probabilities gets the chosen token and its rivals."""
    assert read_logprobs(TOLD) == TOKENS


@pytest.mark.parametrize(
    ("told", "tokens"),
    [
        (None, ()),
        ([], ()),
        ({}, ()),
        ({"chosenCandidates": 1}, ()),
        (
            {"chosenCandidates": [1, {}], "topCandidates": [2, {"candidates": [3]}]},
            ({"token": "", "logprob": 0.0, "bytes": [], "top_logprobs": []},),
        ),
        ({"chosenCandidates": [{"token": 1}]}, ({"token": "", "logprob": 0.0, "bytes": [], "top_logprobs": []},)),
    ],
)
def test_what_cannot_be_read_is_no_token(told: Any, tokens: tuple[Any, ...]) -> None:
    """Nothing a provider sends may break an answer."""
    assert read_logprobs(told) == tokens


def test_tokens_are_written_and_read_the_same() -> None:
    """What another provider told reaches a client of Gemini's."""
    assert read_logprobs(write_logprobs(TOKENS)) == TOKENS
    assert write_logprobs(({"odd": 1},)) == {"chosenCandidates": [], "topCandidates": []}

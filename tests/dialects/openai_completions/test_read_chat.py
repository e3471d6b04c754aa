"""A client's whole request in canon, and what other dialects make of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dialects.odd import ask_all, each
from trunkline.canon.chat import Chat, Message, Sampling, Text
from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.facts import NO_FACTS
from trunkline.canon.loss import Loss
from trunkline.dialects.openai_completions.read_chat import read_chat
from trunkline.dialects.openai_completions.request import read_request
from trunkline.dialects.table import DIALECTS, SPOKEN

FULL: dict[str, Any] = {
    "model": "m", "prompt": "Once", "max_tokens": 9, "temperature": 0.5, "top_p": 0.9, "top_k": 5, "min_p": 0.1, "seed": 7,
    "frequency_penalty": 0.2, "presence_penalty": 0.3, "logit_bias": {"5": 1}, "logprobs": 2, "n": 2, "best_of": 4,
    "stop": ["x", "y"], "user": "u", "echo": False, "stream": True, "stream_options": {"include_usage": True, "padded": 1},
    "repetition_penalty": 1.1,
}  # fmt: skip


def chat_of(**fields: Any) -> Chat:
    """The request in canon."""
    return read_chat(read_request(json.dumps({"model": "m", "prompt": "Once", **fields}).encode()))


def test_everything_has_its_place() -> None:
    """What canon has a word for reaches every other API; the rest is told as lost."""
    chat = chat_of(**FULL)
    assert chat == Chat(
        dialect="openai_completions",
        model="m",
        messages=(Message("user", (Text("Once"),)),),
        stream=True,
        max_tokens=9,
        stop=("x", "y"),
        choices=2,
        sampling=Sampling(0.5, 0.9, 5, 0.1, 7, 0.2, 0.3, {"5": 1}, logprobs=True, top_logprobs=2),
        user="u",
        vendor={"stream_options": {"padded": 1}, "repetition_penalty": 1.1, "best_of": 4},
        needed=frozenset({"suffix"}),
        hints=chat.hints,
    )
    loss = Loss(strict=False)
    SPOKEN["openai_chat"].write_chat(chat, "m", NO_FACTS, loss, ask_usage=False)
    assert set(loss.names) >= {"repetition_penalty", "best_of", "stream_options"}


def test_as_openai_documents_it_an_answer_has_sixteen_tokens() -> None:
    """Programs that leave the number out rely on short answers; a chat model would write a page."""
    assert chat_of().max_tokens == 16
    assert chat_of(max_tokens=None).max_tokens == 16
    assert chat_of(max_tokens=0).max_tokens == 0


@pytest.mark.parametrize(
    ("stop", "found"), [(None, ()), ("", ()), ("x", ("x",)), ([], ()), (["x"], ("x",)), (["x", "y"], ("x", "y"))]
)
def test_stop_words(stop: Any, found: tuple[str, ...]) -> None:
    """One or several."""
    assert chat_of(stop=stop).stop == found


@pytest.mark.parametrize(
    ("fields", "strict"),
    [({"best_of": 1}, True), ({"best_of": 2, "n": 2}, True), ({"best_of": 3}, False), ({"best_of": 3, "n": 2}, False)],
)
def test_best_of_as_many_as_are_answered_chooses_nothing(fields: dict[str, int], strict: bool) -> None:
    """It is left out without a word against it; one that chooses is refused where the operator wants nothing dropped."""
    chat, loss = chat_of(**fields), Loss(strict=True)
    if strict:
        SPOKEN["openai_chat"].write_chat(chat, "m", NO_FACTS, loss, ask_usage=False)
    else:
        with pytest.raises(GatewayError, match="best_of"):
            SPOKEN["openai_chat"].write_chat(chat, "m", NO_FACTS, loss, ask_usage=False)


@pytest.mark.parametrize("provider", [name for name in SPOKEN if name != "openai_completions"])
def test_a_suffix_is_refused_by_name(provider: str) -> None:
    """What must follow the gap cannot be told to a chat; without it the answer would be to another question."""
    with pytest.raises(GatewayError, match="suffix") as caught:
        SPOKEN[provider].write_chat(chat_of(suffix="The end."), "m", NO_FACTS, Loss(strict=False), ask_usage=False)
    assert (caught.value.kind, caught.value.param) == (Kind.BAD_REQUEST, "suffix")
    SPOKEN[provider].write_chat(chat_of(suffix=""), "m", NO_FACTS, Loss(strict=True), ask_usage=False)


def test_an_echo_is_no_loss() -> None:
    """It is honoured where the answer is written."""
    loss = Loss(strict=True)
    SPOKEN["openai_chat"].write_chat(chat_of(echo=True), "m", NO_FACTS, loss, ask_usage=False)
    assert loss.names == {}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"echo": True, "logprobs": 1}, "echo"),
        ({"prompt": ["a", "b"]}, "prompt"),
        ({"prompt": [1]}, "prompt"),
        ({"prompt": None}, "prompt"),
        ({"max_tokens": "x"}, "max_tokens"),
        ({"stop": [1]}, "stop[0]"),
        ({"stop": 1}, "stop"),
        ({"n": 1.5}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"logit_bias": []}, "logit_bias"),
        ({"suffix": 1}, "suffix"),
        ({"user": 1}, "user"),
        ({"stream_options": {"include_usage": None}, "best_of": "x"}, "best_of"),
    ],
)
def test_what_is_wrong_is_named(fields: dict[str, Any], param: str) -> None:
    """The caller must know which field to mend."""
    with pytest.raises(GatewayError) as caught:
        chat_of(**fields)
    assert (caught.value.kind, caught.value.param) == (Kind.BAD_REQUEST, param)


def test_anything_from_a_client_is_at_worst_its_own_mistake() -> None:
    """A body of a client's never ends in a 500, whatever stands in it."""
    for body in each({**FULL, "suffix": "s", "prompt": ["a"]}):
        ask_all(DIALECTS["openai_completions"], body)

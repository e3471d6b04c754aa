"""A request for a model that goes on with a text."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dialects.openai_completions.test_read_chat import FULL, chat_of
from trunkline.canon.chat import Chat, Message, Text
from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.facts import NO_FACTS, Facts
from trunkline.canon.loss import Loss
from trunkline.dialects.openai_completions.write_chat import write_chat


def written(chat: Chat, facts: Facts = NO_FACTS, *, ask_usage: bool = False) -> tuple[dict[str, Any], list[str]]:
    """The body, and what was dropped."""
    loss = Loss(strict=False)
    out = write_chat(chat, "tiny", facts, loss, ask_usage=ask_usage)
    assert out.path == "/completions"
    return json.loads(out.body), list(loss.names)


def test_what_came_in_goes_out() -> None:
    """Reading and writing the same dialect loses nothing; `echo` is the writer's of the answer."""
    body, dropped = written(chat_of(**FULL))
    expected = {**FULL, "model": "tiny", "stream_options": {"padded": 1}}
    del expected["echo"]
    assert (body, dropped) == (expected, [])


def test_usage_of_a_stream_is_asked_for() -> None:
    """Beside what else is said of the stream."""
    body, _ = written(chat_of(**FULL), ask_usage=True)
    assert body["stream_options"] == {"padded": 1, "include_usage": True}
    assert "stream_options" not in written(chat_of(), ask_usage=True)[0]


def test_a_suffix_stays() -> None:
    """Its own API has a place for it."""
    assert written(chat_of(suffix="end"))[0]["suffix"] == "end"


def test_what_the_model_does_not_take_is_dropped() -> None:
    """By the model's facts, as everywhere."""
    body, dropped = written(chat_of(**FULL), Facts(refuses=frozenset({"logit_bias"}), max_output=5))
    assert (body["max_tokens"], "logit_bias" in body, dropped) == (5, False, ["max_tokens", "logit_bias"])


def test_a_conversation_is_refused_with_the_way_out() -> None:
    """A chat written as one text would be a guess at a form that the model never saw."""
    chat = Chat("openai_chat", "davinci", (Message("user", (Text("Hi"),)),))
    with pytest.raises(GatewayError, match="/v1/completions") as caught:
        written(chat)
    assert (caught.value.kind, caught.value.status, caught.value.param) == (Kind.BAD_REQUEST, 400, "model")

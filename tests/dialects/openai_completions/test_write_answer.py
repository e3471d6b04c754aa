"""A whole answer for a client that asked to go on with a text."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai.types import Completion

from trunkline.canon.chat import Choice, Media, Part, Refusal, Reply, Seal, Text, Thinking, ToolCall
from trunkline.canon.errors import GatewayError
from trunkline.canon.usage import NO_USAGE, Usage
from trunkline.dialects.dialect import Frame
from trunkline.dialects.openai_completions.request import read_request
from trunkline.dialects.openai_completions.write_answer import write_answer

TOKEN = {"token": "Hey", "logprob": -1.0, "top_logprobs": []}


def written(*choices: Choice, dialect: str = "anthropic", usage: Usage = NO_USAGE, **fields: Any) -> dict[str, Any]:
    """The body for a request of these fields; the official SDK must be able to read it."""
    ask = read_request(json.dumps({"model": "m", "prompt": "Once ", **fields}).encode())
    reply = Reply(dialect, "", "", choices, usage, vendor={"system_fingerprint": "fp"})
    told: dict[str, Any] = json.loads(write_answer(reply, Frame(ask, "ours", 7)))
    Completion.model_validate(told, strict=True)
    return told


def test_text_and_nothing_else() -> None:
    """Thinking and calls have no place in it; a refusal is what the model said."""
    parts: tuple[Part, ...] = (
        Thinking("hm", Seal("anthropic", "s")),
        Text("Hey"),
        ToolCall("c", "f", "{}"),
        Media("image", data="QQ=="),
        Refusal(" no"),
    )
    told = written(Choice(parts, "tool_calls", "tool_use"), usage=Usage(input=4, output=3, basis="reported"))
    usage = told.pop("usage")
    assert told == {
        "id": "ours", "object": "text_completion", "created": 7, "model": "m",
        "choices": [{"text": "Hey no", "index": 0, "logprobs": None, "finish_reason": "stop"}],
    }  # fmt: skip
    assert (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]) == (4, 3, 7)


@pytest.mark.parametrize(
    ("finish", "word"),
    [("stop", "stop"), ("", "stop"), ("stop_sequence", "stop"), ("length", "length"), ("content_filter", "content_filter")],
)
def test_finish_reasons(finish: Any, word: str) -> None:
    """A client knows three words."""
    assert written(Choice((Text("a"),), finish))["choices"][0]["finish_reason"] == word


def test_the_prompt_is_put_before_each_answer() -> None:
    """As a client asked for it; where its tokens are told they stand behind the prompt."""
    told = written(Choice((Text("a"),), "stop"), Choice((), "length", logprobs=(TOKEN,)), echo=True)
    assert [(one["text"], one["index"]) for one in told["choices"]] == [("Once a", 0), ("Once ", 1)]
    assert told["choices"][1]["logprobs"]["text_offset"] == [5]


def test_what_only_this_dialect_says_stays_in_it() -> None:
    """A field of another API's means nothing here."""
    choice = Choice((), "stop", vendor={"matched_stop": 2})
    own, other = written(choice, dialect="openai_completions"), written(choice)
    assert (own["system_fingerprint"], own["choices"][0]["matched_stop"]) == ("fp", 2)
    assert "system_fingerprint" not in other
    assert "matched_stop" not in other["choices"][0]


def test_an_answer_without_an_end_is_none() -> None:
    """A client must not take half of it for the whole."""
    with pytest.raises(GatewayError):
        written(Choice((Text("a"),), "error", "MALFORMED"))

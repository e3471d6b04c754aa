"""Through the gateway or directly: the official SDK returns the same text, chunks, usage and finish.

Ids, times and llama.cpp's own timings differ at every request and are left out.
"""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from harness.gateway import NARROW_KEY
from real.llama import MODEL, TOOL_CALL
from real.sides import Sides, by_choice, plain

HELLO = [{"role": "user", "content": "Hällo 漢字 👩‍🚀"}]
SAME: dict[str, Any] = {"temperature": 0, "seed": 1, "max_tokens": 40, "extra_body": {"cache_prompt": False}}
"""At temperature 0 and without its prompt cache llama.cpp always says the same."""
PAINT = {
    "type": "function",
    "function": {
        "name": "paint",
        "description": "Paint it.",
        "parameters": {
            "type": "object",
            "properties": {"colour": {"type": "string", "enum": ["red", "blue"]}},
            "required": ["colour"],
        },
    },
}
CALLED = {"id": "call_1", "type": "function", "function": {"name": "paint", "arguments": '{"colour": "red"}'}}
SCHEMA = {
    "type": "json_schema",
    "json_schema": {
        "name": "shade",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {"ok": {"type": "boolean"}, "colour": {"enum": ["red", "blue"]}},
            "required": ["ok", "colour"],
            "additionalProperties": False,
        },
    },
}
ASKS: dict[str, dict[str, Any]] = {
    "plain": {},
    "long": {"max_tokens": 400},
    "sampled with a seed": {"temperature": 1.3, "seed": 4711, "top_p": 0.9, "presence_penalty": 0.5},
    "history with parts": {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "One "}, {"type": "text", "text": "two"}]},
            {"role": "assistant", "content": "three"},
            {"role": "user", "content": "four \u2028 \U0001f600 \\ud83d"},
        ]
    },
    "a stop word": {"stop": ["U", "8"]},
    "two choices": {"n": 2},
    "logprobs": {"logprobs": True, "top_logprobs": 3, "max_tokens": 8},
    "a json schema": {"response_format": SCHEMA, "max_tokens": 200},
    "a json object": {"response_format": {"type": "json_object"}},
    "tool calls": {"tools": [PAINT], "tool_choice": "required", "logit_bias": {str(TOOL_CALL): 100}, "max_tokens": 80},
    "one tool call": {
        "tools": [PAINT],
        "tool_choice": "required",
        "parallel_tool_calls": False,
        "logit_bias": {str(TOOL_CALL): 100},
        "max_tokens": 200,
    },
    "a tool's result": {
        "tools": [PAINT],
        "messages": [
            *HELLO,
            {"role": "assistant", "content": None, "tool_calls": [CALLED]},
            {"role": "tool", "tool_call_id": "call_1", "content": "done"},
        ],
    },
    "fields the SDK does not know": {"extra_body": {"cache_prompt": False, "min_p": 0.2, "grammar": 'root ::= "yes" | "no"'}},
    "max_completion_tokens": {"max_tokens": openai.omit, "max_completion_tokens": 5},
}
ALL = [{"model": MODEL, "messages": HELLO, **SAME, **ask} for ask in ASKS.values()]
EVERY = pytest.mark.parametrize("ask", ALL, ids=ASKS)
USAGE = pytest.mark.parametrize("include", [False, True], ids=["usage not asked", "usage asked"])


def asking(ask: dict[str, Any], include: bool) -> dict[str, Any]:
    """The request as a stream."""
    return {**ask, "stream": True, **({"stream_options": {"include_usage": True}} if include else {})}


async def stream(client: openai.AsyncOpenAI, ask: dict[str, Any]) -> list[Any]:
    """All chunks."""
    return [chunk async for chunk in await client.chat.completions.create(**ask)]


@EVERY
def test_whole_answers_are_the_same(ask: dict[str, Any], sides: Sides) -> None:
    """A program that moves behind the gateway must notice nothing, sync or async."""
    direct = plain(sides.direct.chat.completions.create(**ask))
    assert direct["usage"]["completion_tokens"] > 0
    assert plain(sides.through.chat.completions.create(**ask)) == direct
    assert plain(sides.run("through", lambda client: client.chat.completions.create(**ask))) == direct


@USAGE
@EVERY
def test_streams_are_the_same(ask: dict[str, Any], include: bool, sides: Sides) -> None:
    """Chunk by chunk: a chat window must draw the same letters in the same steps, sync or async."""
    asked = asking(ask, include)
    direct = by_choice(sides.direct.chat.completions.create(**asked))
    assert (None in direct) == include
    assert by_choice(sides.through.chat.completions.create(**asked)) == direct
    assert by_choice(sides.run("through", lambda client: stream(client, asked))) == direct


def test_whole_or_streamed_the_ledger_says_the_same(sides: Sides) -> None:
    """What a request costs must not hang on how it was asked for: the ledger equals what llama.cpp reports, each time."""
    create = sides.through.chat.completions.with_raw_response.create
    booked: list[tuple[str, bool, Any]] = []
    for ask in ALL:
        whole = create(**ask)
        answer = whole.parse()
        booked.append((whole.headers["x-request-id"], False, answer))
        for include in (False, True):
            streamed = create(**asking(ask, include))
            list(streamed.parse())
            booked.append((streamed.headers["x-request-id"], True, answer))
    rows = sides.rows()
    for ident, stream, answer in booked:
        row, usage = rows[ident], answer.usage
        found = (row["outcome"], row["status"], row["basis"], row["stream"], row["input_tokens"], row["output_tokens"])
        assert found == ("ok", 200, "reported", stream, usage.prompt_tokens, usage.completion_tokens)
        assert row["finish"] == answer.choices[-1].finish_reason
        assert (row["key"], row["model"], row["provider"], row["target"]) == ("tester", MODEL, "lab", MODEL)
        assert json.loads(row["raw_usage"])["total_tokens"] == usage.total_tokens


class Shade(BaseModel):
    """What `parse` is to return."""

    ok: bool
    colour: str | None = None


def test_the_sdks_own_helpers_work(sides: Sides) -> None:
    """`parse` and `stream` are how many programs use the SDK; they read more of the answer than `create` does."""
    ask: dict[str, Any] = {"model": MODEL, "messages": HELLO, **SAME, "max_tokens": 300}

    def parsed(client: openai.OpenAI) -> Any:
        return client.chat.completions.parse(**ask, response_format=SCHEMA)

    def helped(client: openai.OpenAI) -> list[str]:
        with client.chat.completions.stream(**ask, response_format=SCHEMA) as events:
            return [event.type for event in events]

    assert plain(parsed(sides.through)) == plain(parsed(sides.direct))
    assert helped(sides.through) == helped(sides.direct)


def test_a_model_may_have_another_name(sides: Sides) -> None:
    """The provider is asked for its own model; everything else stays as it was."""
    ask = {"messages": HELLO, **SAME}
    direct = plain(sides.direct.chat.completions.create(model=MODEL, **ask))
    for name in ("renamed", f"lab/{MODEL}"):
        assert plain(sides.through.chat.completions.create(model=name, **ask)) == direct


def test_the_models_are_those_of_the_gateway(sides: Sides) -> None:
    """A model picker must offer what this key may use, by the names that are configured."""
    listed = sides.through.models.list()
    assert {model.id for model in listed} == {MODEL, "renamed", "locked", "echo/echo"}
    assert {model.object for model in listed} == {"model"}
    assert sides.through.models.retrieve("renamed").owned_by == "lab"
    with sides.client(NARROW_KEY) as narrow:
        assert [model.id for model in narrow.models.list()] == ["renamed"]

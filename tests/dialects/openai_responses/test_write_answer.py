"""A whole answer, as OpenAI's clients read it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai.types.responses import Response
from pydantic import BaseModel

from dialects.openai_responses.asking import LOOK, USED, ask, frame, reply, sdk
from trunkline.canon.chat import Choice, Citation, Reply, Seal, Text, Thinking, ToolCall
from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.usage import NO_USAGE
from trunkline.dialects.dialect import Frame
from trunkline.dialects.errors import unfinished
from trunkline.dialects.openai_responses.request import read_request
from trunkline.dialects.openai_responses.write_answer import ending, write_answer

PARTS = (
    Thinking("hm", Seal("anthropic", "sig")),
    Text("Look:", citations=(Citation("https://x", "X"),)),
    Text(" here"),
    ToolCall("c", "look", '{"a":1}'),
)


def written(answer: Reply, **asked: Any) -> dict[str, Any]:
    """The body, which the official SDK takes strictly."""
    body = write_answer(answer, frame(**asked))
    Response.model_validate_json(body, strict=True)
    told: dict[str, Any] = json.loads(body)
    return told


def test_all_of_it() -> None:
    """Every field that clients look for is there, and nothing is kept."""
    told = written(reply(*PARTS), tools=[LOOK])
    assert (told["id"], told["object"], told["created_at"], told["model"]) == ("resp_msg_1", "response", 1700000000, "claude")
    assert (told["status"], told["store"], told["error"], told["incomplete_details"]) == ("completed", False, None, None)
    assert [item["type"] for item in told["output"]] == ["reasoning", "message", "function_call"]
    assert told["usage"] == {
        "input_tokens": 10,
        "input_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 0},
        "output_tokens": 5,
        "output_tokens_details": {"reasoning_tokens": 1},
        "total_tokens": 15,
    }


def test_the_request_stands_in_its_answer() -> None:
    """As OpenAI does; what was not said has OpenAI's default."""
    asked = {
        "instructions": "Be brief.",
        "temperature": 0.5,
        "metadata": {"a": "b"},
        "tools": [LOOK],
        "tool_choice": {"type": "function", "name": "look"},
        "reasoning": {"effort": "low"},
    }
    told = written(reply(Text("a")), **asked)
    assert {name: told[name] for name in asked} == asked
    plain = written(reply(Text("a")))
    defaults = {"tools": [], "tool_choice": "auto", "parallel_tool_calls": True, "truncation": "disabled", "metadata": {}}
    assert {name: plain[name] for name in defaults} == defaults


def test_what_a_client_wrote_on_lines_stands_on_one() -> None:
    """In a stream a line's end would end the event's data."""
    body = b'{"model":"m","input":"a","tools":[\r\n{"type":"function",\n"name":"f"}\n],"instructions":"b\\nc"}'
    told = write_answer(reply(Text("a")), Frame(read_request(body), "ours", 1))
    assert b"\n" not in told
    assert json.loads(told)["tools"] == [{"type": "function", "name": "f"}]
    assert json.loads(told)["instructions"] == "b\nc"


def test_what_the_provider_does_not_name_is_ours() -> None:
    """An id, a time, a model; usage that nobody told is none."""
    told = written(Reply("ollama", "", "", (Choice((Text("a"),), "stop"),)))
    assert (told["id"], told["created_at"], told["model"], told["usage"]) == ("resp_ours", 1700000000, "asked", None)


def test_an_answer_of_the_same_api_keeps_its_own_fields() -> None:
    """What only it says has a place here; another's has not."""
    own = reply(Text("a"), dialect="openai_responses", vendor={"service_tier": "flex"})
    assert written(named(own, "resp_7"))["service_tier"] == "flex"
    assert written(named(own, "resp_7"))["id"] == "resp_7"
    assert "container" not in written(reply(Text("a"), vendor={"container": "x"}))


def named(answer: Reply, ident: str) -> Reply:
    """The answer with another id."""
    return Reply(answer.dialect, ident, answer.model, answer.choices, answer.usage, vendor=answer.vendor)


@pytest.mark.parametrize(("finish", "reason"), [("length", "max_output_tokens"), ("content_filter", "content_filter")])
def test_an_answer_that_was_cut_short_says_why(finish: Any, reason: str) -> None:
    """A client must not take it for the whole."""
    told = written(reply(Thinking("hm"), Text("a"), finish=finish))
    assert (told["status"], told["incomplete_details"]) == ("incomplete", {"reason": reason})
    assert told["output"][-1]["status"] == "incomplete"
    assert written(reply(Text("a")))["output"][-1]["status"] == "completed"


@pytest.mark.parametrize("finish", ["", "stop", "stop_sequence", "tool_calls"])
def test_any_other_end_is_a_clean_one(finish: Any) -> None:
    """There are no other words."""
    assert ending(finish, NO_USAGE) == {"status": "completed", "incomplete_details": None, "usage": None}
    assert unfinished(finish, "x") is None
    assert ending(finish, USED)["usage"]["total_tokens"] == 15


@pytest.mark.parametrize(("finish", "retryable"), [("error", True), ("pause", False)])
def test_an_answer_without_an_end_is_an_error(finish: Any, retryable: bool) -> None:
    """No client may take what there is for the whole; what wants to be sent back would only do so again."""
    with pytest.raises(GatewayError) as caught:
        write_answer(Reply("gemini", "", "", (Choice((), finish, "MALFORMED"),)), frame())
    assert (caught.value.kind, caught.value.code, caught.value.retryable) == (Kind.UPSTREAM_FAILED, "MALFORMED", retryable)
    assert "(MALFORMED)" in caught.value.message


class Answer(BaseModel):
    """What is asked for."""

    a: int


def test_the_sdk_reads_it() -> None:
    """Its text, its calls, and its typed answers."""
    with sdk(write_answer(reply(*PARTS), frame(tools=[LOOK])), write_answer(reply(Text('{"a":5}')), frame())) as client:
        found = client.responses.create(model="m", input="hi")
        assert found.output_text == "Look: here"
        assert found.output[-1].type == "function_call"
        parsed = client.responses.parse(model="m", input="hi", text_format=Answer)
        assert parsed.output_parsed == Answer(a=5)


def test_only_the_first_answer_counts() -> None:
    """Who asks here cannot ask for more."""
    more = Reply("openai_chat", "", "", (Choice((Text("a"),), "stop"), Choice((Text("b"),), "error")))
    told = json.loads(write_answer(more, Frame(ask(), "ours", 1)))
    assert [item["content"][0]["text"] for item in told["output"]] == ["a"]

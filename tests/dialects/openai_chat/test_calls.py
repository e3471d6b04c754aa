"""Tool calls, told in every way they were seen to be told."""

from __future__ import annotations

from typing import Any

import pytest

from dialects.openai_chat.telling import GEMINI, folded, parts, read, stream
from trunkline.canon.chat import Part, Seal, Text, Thinking, ToolCall
from trunkline.canon.stream import Delta, Open


def calls(*told: dict[str, Any]) -> dict[str, Any]:
    """A delta with these calls."""
    return {"tool_calls": list(told)}


def piece(arguments: Any, **rest: Any) -> dict[str, Any]:
    """A piece of one."""
    return {"function": {"arguments": arguments}, **rest}


def start(name: str, arguments: Any = "", **rest: Any) -> dict[str, Any]:
    """The beginning of one."""
    return {"function": {"name": name, "arguments": arguments}, **rest}


ENCRYPTED = {"type": "reasoning.encrypted", "data": "c2ln", "format": "google-gemini-v1"}
TOLD: list[tuple[str, list[dict[str, Any]], tuple[Part, ...]]] = [
    (
        "OpenAI",
        [calls(start("f", index=0, id="x", type="function")), calls(piece('{"a"', index=0)), calls(piece(":1}", index=0))],
        (ToolCall("x", "f", '{"a":1}'),),
    ),
    (
        "in parallel, interleaved",
        [
            calls(start("f", index=0, id="x")),
            calls(start("g", index=1, id="y")),
            calls(piece("[", index=1), piece("{", index=0)),
            calls(piece("}", index=0)),
            calls(piece("]", index=1)),
        ],
        (ToolCall("x", "f", "{}"), ToolCall("y", "g", "[]")),
    ),
    ("whole in one delta", [calls(start("f", '{"a":1}', index=0, id="x"))], (ToolCall("x", "f", '{"a":1}'),)),
    ("no arguments key", [calls({"id": "x", "function": {"name": "f"}})], (ToolCall("x", "f", "{}"),)),
    ("arguments null", [calls(start("f", None, id="x"))], (ToolCall("x", "f", "{}"),)),
    ("arguments an object", [calls(start("f", {"a": 1}, id="x"))], (ToolCall("x", "f", '{"a":1}'),)),
    ("arguments broken", [calls(start("f", '{"a":', id="x"))], (ToolCall("x", "f", '{"a":'),)),
    ("no id", [calls(start("f"), start("g"))], (ToolCall("tlc_seed_0", "f", "{}"), ToolCall("tlc_seed_1", "g", "{}"))),
    ("an empty id", [calls(start("f", id=""))], (ToolCall("tlc_seed_0", "f", "{}"),)),
    (
        "no index",
        [calls(start("f", "{", id="x")), calls(piece("}")), calls(start("g", "[", id="y")), calls(piece("]", id="y"))],
        (ToolCall("x", "f", "{}"), ToolCall("y", "g", "[]")),
    ),
    (
        "one id for two",
        [calls(start("f", "{}", id="f"), start("f", "[]", id="f"))],
        (ToolCall("f", "f", "{}"), ToolCall("tlc_seed_1", "f", "[]")),
    ),
    (
        "every call the first",
        [calls(start("f", "{}", index=0, id="x")), calls(start("g", "[]", index=0, id="y"))],
        (ToolCall("x", "f", "{}"), ToolCall("y", "g", "[]")),
    ),
    (
        "id and name in every piece",
        [calls(start("f", "{", index=0, id="x")), calls(start("f", "}", index=0, id="x"))],
        (ToolCall("x", "f", "{}"),),
    ),
    (
        "the name later",
        [calls(piece("{", index=0, id="x")), calls(start("f", "}", index=0))],
        (ToolCall("x", "f", "{}"),),
    ),
    ("no name at all", [calls(piece("{}", index=0, id="x"))], (ToolCall("x", "", "{}"),)),
    ("the old form", [{"function_call": {"name": "f", "arguments": ""}}, {"function_call": {"arguments": "{}"}}],
     (ToolCall("tlc_seed_0", "f", "{}"),)),
    ("text behind it", [calls(start("f", "{", index=0, id="x")), {"content": "a"}, calls(piece("}", index=0))],
     (ToolCall("x", "f", "{}"), Text("a"))),
    ("no calls", [calls(), {"tool_calls": 7}, {"tool_calls": [7]}, {"function_call": 7}], ()),
    (
        "custom",
        [calls({"id": "x", "type": "custom", "custom": {"name": "f", "input": "a "}}), calls({"custom": {"input": '"b"'}})],
        (ToolCall("x", "f", '{"input":"a \\"b\\""}', vendor={"type": "custom"}),),
    ),
    (
        "Google's signature",
        [calls(start("f", "{}", id="x", extra_content={"google": {"thought_signature": "c2ln"}}))],
        (ToolCall("x", "f", "{}", GEMINI),),
    ),
    (
        "OpenRouter's, before the call",
        [{"reasoning_details": [{**ENCRYPTED, "id": "x"}]}, calls(start("f", "{}", id="x"))],
        (ToolCall("x", "f", "{}", GEMINI),),
    ),
    (
        "OpenRouter's, behind the call",
        [calls(start("f", "{}", id="x")), {"reasoning_details": [{**ENCRYPTED, "id": "x"}]}],
        (ToolCall("x", "f", "{}", GEMINI),),
    ),
    (
        "OpenRouter's, of no call",
        [{"reasoning_details": [{**ENCRYPTED, "id": "z"}]}, {"content": "a"}],
        (Text("a"), Thinking("", GEMINI, redacted=True)),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("deltas", "expected"), [case[1:] for case in TOLD], ids=[case[0] for case in TOLD])
def test_each_way_of_calling(deltas: list[dict[str, Any]], expected: tuple[Part, ...]) -> None:
    """A call that is lost, doubled or mixed with its neighbour runs the wrong tool on somebody's machine."""
    assert parts(stream(*deltas, finish="tool_calls")) == expected


def test_calls_are_the_finish_whatever_is_said() -> None:
    """Groq and others say `stop`; an agent that believes it stops."""
    choice = folded(read(stream(calls(start("f"))))).choices[0]
    assert (choice.finish, choice.native_finish) == ("tool_calls", "stop")


def test_a_call_is_streamed_as_it_comes() -> None:
    """A client shows a long file while it is being written."""
    found = read(stream(calls(start("f", "{", index=0, id="x")), calls(piece("}", index=0))))
    assert found[1:4] == [Open(0, ToolCall("x", "f", "")), Delta(0, "{"), Delta(0, "}")]


def test_what_waits_is_bounded() -> None:
    """A provider that never names its call, or seals calls that never come, must not fill the memory."""
    found = read(stream(calls(piece("x" * 40_000, index=0)), calls(piece("x" * 40_000, index=0)), finish=None, done=False))
    assert sum(len(one.text) for one in found if isinstance(one, Delta)) == 80_000
    many = [{"reasoning_details": [{**ENCRYPTED, "id": str(at)}]} for at in range(100)]
    assert parts(stream(*many)) == (Thinking("", Seal("gemini", "c2ln"), redacted=True),) * 64

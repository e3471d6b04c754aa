"""A client's messages read into canon."""

from __future__ import annotations

import json
import time
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.recordings import Recording, parameters, recordings
from dialects.openai_chat.telling import CLAUDE, GEMINI, ask
from dialects.openai_chat.test_reader import ANY
from trunkline.canon.chat import Media, Message, Part, Refusal, Role, Seal, Text, Thinking, ToolCall, ToolResult
from trunkline.canon.errors import GatewayError, Kind
from trunkline.dialects.openai_chat.read_chat import read_chat

ALL = [one for one in recordings("openai.chat") if one.request.get("messages") and one.status == 200]


def messages(*told: Any) -> tuple[Message, ...]:
    """What is read of them."""
    return read_chat(ask(messages=list(told))).messages


def said(role: str, content: Any, **rest: Any) -> dict[str, Any]:
    """A message."""
    return {"role": role, "content": content, **rest}


@pytest.mark.parametrize("role", ["system", "developer", "user", "assistant"])
def test_a_plain_message(role: Role) -> None:
    """Text is text in whichever role; a name is who speaks; what has no word rides along."""
    assert messages(said(role, "a", name="n", x=1, y=None)) == (Message(role, (Text("a"),), "n", {"x": 1}),)


PARTS: list[tuple[str, dict[str, Any], Part]] = [
    ("text", {"type": "text", "text": "a", "x": 1}, Text("a", vendor={"x": 1})),
    ("Anthropic's mark", {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}, Text("a", cache="5m")),
    ("an hour", {"type": "text", "text": "a", "cache_control": {"type": "ephemeral", "ttl": "1h"}}, Text("a", cache="1h")),
    ("OpenAI's mark", {"type": "text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit"}}, Text("a", cache="5m")),
    (
        "half a day",
        {"type": "text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "12h"}},
        Text("a", cache="1h"),
    ),
    ("refusal", {"type": "refusal", "refusal": "no"}, Refusal("no")),
    (
        "image",
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD", "detail": "low", "x": 1, "y": None}},
        Media("image", "image/png", data="QUJD", detail="low", vendor={"image_url": {"x": 1}}),
    ),
    ("image by URL", {"type": "image_url", "image_url": {"url": "https://x/y"}}, Media("image", url="https://x/y")),
    ("image by URL in capitals", {"type": "image_url", "image_url": {"url": "HTTPS://X/Y"}}, Media("image", url="https://X/Y")),
    ("Mistral's image", {"type": "image_url", "image_url": "https://x/y"}, Media("image", url="https://x/y")),
    ("video", {"type": "video_url", "video_url": {"url": "https://x/y"}}, Media("video", url="https://x/y")),
    ("video, short", {"type": "video_url", "video_url": "https://x/y"}, Media("video", url="https://x/y")),
    (
        "sound",
        {"type": "input_audio", "input_audio": {"data": "QUJD", "format": "mp3"}},
        Media("audio", "audio/mpeg", data="QUJD"),
    ),
    (
        "sound, as Alibaba has it",
        {"type": "input_audio", "input_audio": {"data": "data:;base64,QUJD", "format": "wav"}},
        Media("audio", "audio/wav", data="QUJD"),
    ),
    (
        "file",
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,QUJD", "filename": "a.pdf", "x": 1}},
        Media("document", "application/pdf", data="QUJD", name="a.pdf", vendor={"file": {"x": 1}}),
    ),
    ("file without its type", {"type": "file", "file": {"file_data": "QUJD", "filename": "a.PDF"}},
     Media("document", "application/pdf", data="QUJD", name="a.PDF")),
    ("file without a name", {"type": "file", "file": {"file_data": "QUJD"}}, Media("document", "application/pdf", data="QUJD")),
    ("file of another type", {"type": "file", "file": {"file_data": "QUJD", "filename": "a.x"}},
     Media("document", data="QUJD", name="a.x")),
    ("a picture as a file", {"type": "file", "file": {"file_data": "data:image/png;base64,QUJD"}},
     Media("image", "image/png", data="QUJD")),
    ("file by URL", {"type": "file", "file": {"file_data": "https://x/y.pdf"}}, Media("document", url="https://x/y.pdf")),
    ("file kept", {"type": "file", "file": {"file_id": "file-1"}}, Media("document", file_id="file-1")),
]  # fmt: skip


@pytest.mark.parametrize(("part", "expected"), [case[1:] for case in PARTS], ids=[case[0] for case in PARTS])
def test_each_kind_of_content(part: dict[str, Any], expected: Part) -> None:
    """What is read wrong here reaches every provider of every other API wrong."""
    assert messages(said("user", [part, {"type": "text", "text": "b"}])) == (Message("user", (expected, Text("b"))),)


ASSISTANTS: list[tuple[str, dict[str, Any], tuple[Part, ...]]] = [
    ("nothing", {"content": None}, ()),
    ("empty", {"content": ""}, ()),
    ("a refusal", {"content": None, "refusal": "no"}, (Refusal("no"),)),
    ("DeepSeek", {"content": "a", "reasoning_content": "t"}, (Thinking("t"), Text("a"))),
    ("both names", {"content": "a", "reasoning_content": "t", "reasoning": "t"}, (Thinking("t"), Text("a"))),
    (
        "OpenRouter",
        {
            "content": "",
            "reasoning_details": [{"type": "reasoning.text", "text": "t", "signature": "sig", "format": "anthropic-claude-v1"}],
            "tool_calls": [{"id": "x", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
        },
        (Thinking("t", CLAUDE), ToolCall("x", "f", "{}")),
    ),
    (
        "Mistral",
        {
            "content": [
                {"type": "thinking", "thinking": [{"type": "text", "text": "t"}, 7, {}], "closed": True},
                {"type": "thinking", "thinking": "u", "signature": "s"},
                {"type": "text", "text": "a"},
            ]
        },
        (Thinking("t", vendor={"closed": True}), Thinking("u", Seal("openai_chat", "s")), Text("a")),
    ),
    (
        "calls",
        {
            "tool_calls": [
                {"id": "x", "type": "function", "function": {"name": "f"}, "z": 1},
                {"id": "y", "function": {"name": "g", "arguments": ""}},
                {"id": "z", "function": {"name": "h", "arguments": {"a": 1}}},
                {"id": "w", "type": "custom", "custom": {"name": "i", "input": "a"}},
            ]
        },
        (
            ToolCall("x", "f", "{}", vendor={"z": 1}),
            ToolCall("y", "g", "{}"),
            ToolCall("z", "h", '{"a":1}'),
            ToolCall("w", "i", '{"input":"a"}', vendor={"type": "custom"}),
        ),
    ),
    (
        "Google's state of a call",
        {"tool_calls": [{"id": "x", "function": {"name": "f"}, "extra_content": {"google": {"thought_signature": "c2ln"}}}]},
        (ToolCall("x", "f", "{}", GEMINI),),
    ),
    (
        "of a text",
        {"content": "a", "extra_content": {"google": {"thought_signature": "c2ln"}}},
        (Text("a", GEMINI),),
    ),
    (
        "of a message of calls",
        {"tool_calls": [{"id": "x", "function": {"name": "f"}}], "extra_content": {"google": {"thought_signature": "c2ln"}}},
        (ToolCall("x", "f", "{}", GEMINI),),
    ),
    ("of nothing", {"extra_content": {"google": {"thought_signature": "c2ln"}}}, (Text("", GEMINI),)),
]


@pytest.mark.parametrize(("told", "expected"), [case[1:] for case in ASSISTANTS], ids=[case[0] for case in ASSISTANTS])
def test_each_kind_of_answer_in_a_history(told: dict[str, Any], expected: tuple[Part, ...]) -> None:
    """Thinking first, then words, then calls, as every provider wants it back."""
    assert messages({"role": "assistant", **told}) == (Message("assistant", expected),)


def test_results_of_one_turn_stand_together() -> None:
    """Anthropic and Gemini want them in one message."""
    told = messages(
        said("tool", "a", tool_call_id="x", name="f", z=1),
        said("tool", [{"type": "text", "text": "b"}, {"type": "refusal", "refusal": "no"}], tool_call_id="y"),
        said("user", "c"),
        said("tool", None, tool_call_id="z"),
    )
    first = ToolResult("x", "f", (Text("a"),), vendor={"z": 1})
    assert told == (
        Message("tool", (first, ToolResult("y", "", (Text("b"),)))),
        Message("user", (Text("c"),)),
        Message("tool", (ToolResult("z", "", ()),)),
    )


def test_the_old_form_of_calls() -> None:
    """It has no ids: they are made from the place in the history, the same in every turn."""
    call = {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}}
    told = messages(said("user", "a"), call, said("function", "b", name="f"), said("function", "c", name="other"))
    assert told[1:] == (
        Message("assistant", (ToolCall("tlc_function_1", "f", "{}"),)),
        Message("tool", (ToolResult("tlc_function_1", "f", (Text("b"),)), ToolResult("tlc_function_3", "other", (Text("c"),)))),
    )


WRONG: list[tuple[Any, str, str]] = [
    (7, "messages[0]", "must be an object"),
    ({"content": "a"}, "messages[0].role", "is required"),
    (said("robot", "a"), "messages[0].role", "must be system"),
    (said("user", 7), "messages[0].content", "must be a string or an array"),
    (said("user", {"a": 1}), "messages[0].content", "must be a string or an array"),
    (said("user", [7]), "messages[0].content[0]", "must be an object"),
    (said("user", [{"text": "a"}]), "messages[0].content[0].type", "is not a kind"),
    (said("user", [{"type": "hologram"}]), "messages[0].content[0].type", "is not a kind"),
    (said("user", [{"type": []}]), "messages[0].content[0].type", "is not a kind"),
    (said("user", [{"type": "text"}]), "messages[0].content[0].text", "is required"),
    (said("user", [{"type": "text", "text": "a"}, {"type": "text", "text": 7}]), "messages[0].content[1].text", "must be a"),
    (said("user", [{"type": "image_url"}]), "messages[0].content[0].image_url", "is required"),
    (said("user", [{"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}]),
     "messages[0].content[0].image_url.url", "must be a data URL or a link"),
    (said("user", [{"type": "image_url", "image_url": {"url": "https://x", "detail": 7}}]),
     "messages[0].content[0].image_url.detail", "must be a string"),
    (said("user", [{"type": "input_audio", "input_audio": {"format": "wav"}}]),
     "messages[0].content[0].input_audio.data", "is required"),
    (said("user", [{"type": "file", "file": {}}]), "messages[0].content[0].file.file_data", "is required"),
    (said("user", "a", name=7), "messages[0].name", "must be a string"),
    (said("assistant", "a", refusal=7), "messages[0].refusal", "must be a string"),
    (said("assistant", "a", tool_calls={}), "", ""),
    (said("assistant", "a", tool_calls={"a": 1}), "messages[0].tool_calls", "must be an array"),
    (said("assistant", "a", tool_calls=[{"function": {"name": "f"}}]), "messages[0].tool_calls[0].id", "is required"),
    (said("assistant", "a", tool_calls=[{"id": "x"}]), "messages[0].tool_calls[0].function", "is required"),
    (said("assistant", "a", tool_calls=[{"id": "x", "function": {}}]), "messages[0].tool_calls[0].function.name", "is req"),
    (said("assistant", "a", tool_calls=[{"id": "x", "function": {"name": "f", "arguments": [1]}}]),
     "messages[0].tool_calls[0].function.arguments", "must be a string"),
    (said("assistant", "a", tool_calls=[{"id": "x", "type": "custom"}]), "messages[0].tool_calls[0].custom", "is required"),
    (said("assistant", [{"type": "thinking"}]), "messages[0].content[0].thinking", "must be an array"),
    (said("tool", "a"), "messages[0].tool_call_id", "is required"),
    (said("user", [{"type": "text", "text": "a", "cache_control": 5}]), "messages[0].content[0].cache_control", "must be an"),
    (said("user", [{"type": "text", "text": "a", "cache_control": {"ttl": []}}]),
     "messages[0].content[0].cache_control.ttl", "must be a string"),
    (said("assistant", "a", reasoning=5), "messages[0].reasoning", "must be a string"),
    (said("assistant", "a", reasoning_details=5), "messages[0].reasoning_details", "must be an array"),
    (said("assistant", "a", reasoning_details=[5]), "messages[0].reasoning_details[0]", "must be an object"),
    (said("assistant", "a", reasoning_details=[{"type": []}]), "messages[0].reasoning_details[0].type", "must be a string"),
]  # fmt: skip


@pytest.mark.parametrize(("message", "path", "problem"), WRONG, ids=[f"{at}: {case[1]}" for at, case in enumerate(WRONG)])
def test_what_is_wrong_is_named_by_its_path(message: Any, path: str, problem: str) -> None:
    """A caller with forty messages must learn which field of which."""
    if not path:
        assert messages(message)
        return
    with pytest.raises(GatewayError, match=problem) as caught:
        messages(message)
    assert (caught.value.kind, caught.value.param) == (Kind.BAD_REQUEST, path)


@pytest.mark.parametrize("old", [False, True], ids=["tool", "function"])
def test_many_results_are_read_in_a_line(old: bool) -> None:
    """A request of a megabyte must not hold up everybody else."""
    one = {"role": "function", "name": "f", "content": "r"} if old else {"role": "tool", "tool_call_id": "x", "content": "r"}
    call = {"id": "x", "type": "function", "function": {"name": "g", "arguments": "{}"}}
    told = ask(messages=[said("assistant", None, tool_calls=[call] * 2000), *[one] * 20_000])
    start = time.process_time()
    _, results = read_chat(told).messages
    assert len(results.parts) == 20_000
    assert time.process_time() - start < 2  # in a square it is a minute


def test_many_pieces_of_a_thought_are_read_in_a_line() -> None:
    """Clients that hand back a stream's pieces as they came."""
    pieces = [{"type": "reasoning.text", "text": "thought" * 10, "index": 0}] * 20_000
    told = ask(messages=[said("assistant", "a", reasoning_details=pieces)])
    start = time.process_time()
    thought, _ = read_chat(told).messages[0].parts
    assert isinstance(thought, Thinking)
    assert len(thought.text) == 1_400_000
    assert time.process_time() - start < 2


def test_messages_must_be_readable() -> None:
    """One level deep they may hold what only a deeper look finds."""
    told = msgspec.structs.replace(ask(), fields={"messages": msgspec.Raw(b"[{]")})
    with pytest.raises(GatewayError, match="cannot be read"):
        read_chat(told)


@pytest.mark.parametrize("recording", parameters(ALL))
def test_recorded_requests_are_read(recording: Recording) -> None:
    """What real clients send to real providers, all of it: no text, call or result is lost."""
    chat = read_chat(ask(**recording.request))
    told = recording.request["messages"]
    assert sum(len(message.parts) if message.role == "tool" else 1 for message in chat.messages) == len(told)
    text = "".join(part.text for message in chat.messages for part in message.parts if isinstance(part, Text))
    for one in told:
        if one["role"] == "user" and isinstance(one["content"], str):
            assert one["content"] in text
    calls = [part for message in chat.messages for part in message.parts if isinstance(part, ToolCall)]
    meant = [call for one in told for call in one.get("tool_calls") or ()]
    assert [(call.id, json.loads(call.arguments)) for call in calls] == [
        (call["id"], json.loads(call["function"]["arguments"])) for call in meant
    ]


@given(
    st.lists(ANY | st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant", "tool"]), "content": ANY}), max_size=3)
)
def test_any_messages_are_read_or_refused(told: list[Any]) -> None:
    """A client's mistake is a 400 with a path, never a crash."""
    try:
        messages(*told)
    except GatewayError as error:
        param = error.param
    else:
        return
    assert param is not None
    assert param.startswith("messages")

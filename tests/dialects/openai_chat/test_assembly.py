"""What a delta or a message means, whoever sends it."""

from __future__ import annotations

from typing import Any

import pytest

from dialects.openai_chat.telling import CLAUDE, GEMINI, OTHER, folded, parts, read, stream
from trunkline.canon.chat import Citation, Media, Other, Part, Refusal, Seal, Text, Thinking, ToolCall
from trunkline.canon.stream import Extra


def detail(**fields: Any) -> dict[str, Any]:
    """A delta with one entry of reasoning details."""
    return {"content": "", "reasoning_details": [fields]}


def text(words: str, index: int = 0, **rest: Any) -> dict[str, Any]:
    """A delta with a piece of thinking, told twice as OpenRouter does."""
    return {"reasoning": words, **detail(type="reasoning.text", text=words, index=index, format="anthropic-claude-v1", **rest)}


SIGNED = detail(type="reasoning.text", signature="sig", format="anthropic-claude-v1", index=0)
TOLD: list[tuple[str, list[dict[str, Any]], tuple[Part, ...]]] = [
    ("text", [{"content": "a"}, {"content": None}, {"content": "b"}], (Text("ab"),)),
    ("nothing", [{"role": "assistant", "content": ""}, {"content": None, "refusal": None, "tool_calls": None}], ()),
    ("reasoning_content", [{"reasoning_content": "a"}, {"content": "b"}], (Thinking("a"), Text("b"))),
    ("reasoning", [{"reasoning": "a"}, {"reasoning": "b", "content": ""}, {"content": "c"}], (Thinking("ab"), Text("c"))),
    ("both names", [{"reasoning": "a", "reasoning_content": "a"}], (Thinking("a"),)),
    ("in turns", [{"reasoning": "a"}, {"content": "b"}, {"reasoning": "c"}], (Thinking("a"), Text("b"), Thinking("c"))),
    ("refusal", [{"refusal": "n"}, {"refusal": "o"}], (Refusal("no"),)),
    ("a refusal that is none", [{"refusal": 7, "content": {"a": 1}, "annotations": 7, "images": 7}], ()),
    ("details", [text("a"), text("b"), SIGNED, {"content": "c"}], (Thinking("ab", CLAUDE), Text("c"))),
    ("details of two thoughts", [text("a"), SIGNED, text("b", 1)], (Thinking("a", CLAUDE), Thinking("b"))),
    ("more after the signature", [text("a"), SIGNED, text("b")], (Thinking("a", CLAUDE), Thinking("b"))),
    ("signed at once", [text("a", signature="sig")], (Thinking("a", CLAUDE),)),
    ("text beside, signature in a detail", [{"reasoning": "a"}, SIGNED], (Thinking("a", CLAUDE),)),
    ("both in one delta", [{**SIGNED, "reasoning": "a"}], (Thinking("a", CLAUDE),)),
    ("a signature alone", [SIGNED, {"content": "b"}], (Thinking("", CLAUDE), Text("b"))),
    ("an empty detail", [text(""), {"reasoning_details": [7]}, {"reasoning_details": 7}], ()),
    (
        "encrypted",
        [detail(type="reasoning.encrypted", data="enc", format="openai-responses-v1", id="rs_1"), {"content": "a"}],
        (Thinking("", OTHER, redacted=True, vendor={"id": "rs_1"}), Text("a")),
    ),
    (
        "encrypted, then words",
        [detail(type="reasoning.encrypted", data="enc", format="openai-responses-v1"), {"reasoning": "b"}],
        (Thinking("", OTHER, redacted=True), Thinking("b")),
    ),
    (
        "a summary",
        [detail(type="reasoning.summary", summary="a", id="rs"), detail(type="reasoning.summary", summary="b", id="rs")],
        (Thinking("ab", vendor={"type": "reasoning.summary", "id": "rs"}),),
    ),
    (
        "another kind of detail",
        [detail(type="reasoning.server_tool_call", tool_name="x")],
        (Other("openai_chat", {"type": "reasoning.server_tool_call", "tool_name": "x"}),),
    ),
    (
        "Mistral",
        [
            {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "a"}]}]},
            {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "b"}, 7], "closed": True}]},
            {"content": [{"type": "text", "text": ""}, {"type": "text", "text": "c"}, 7]},
            {"content": "d"},
        ],
        (Thinking("ab"), Text("cd")),
    ),
    (
        "Mistral, signed",
        [{"content": [{"type": "thinking", "thinking": "a", "signature": "s"}, {"type": "reference", "reference_ids": [1]}]}],
        (Thinking("a", Seal("openai_chat", "s")), Other("openai_chat", {"type": "reference", "reference_ids": [1]})),
    ),
    (
        "Mistral, empty",
        [{"content": [{"type": "thinking", "thinking": [], "signature": "s"}]}],
        (),
    ),
    (
        "pictures",
        [
            {"content": "a", "images": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}}, 7, {}]},
            {"content": [{"type": "image_url", "image_url": "https://x/y.png"}]},
        ],
        (Text("a"), Media("image", "image/png", data="QUJD"), Media("image", url="https://x/y.png")),
    ),
    (
        "citations",
        [
            {"annotations": [{"type": "url_citation", "url_citation": {"url": "u", "title": "t", "content": "q"}}, 7, {}]},
            {"content": "ab"},
            {"annotations": [{"type": "url_citation", "url_citation": {"url": "v", "start_index": 0, "end_index": 2}}]},
        ],
        (Text("ab", citations=(Citation("u", "t", "q"), Citation("v", start=0, end=2))),),
    ),
    (
        "Google's signature on a text",
        [{"content": "a"}, {"extra_content": {"google": {"thought_signature": "c2ln"}}}],
        (Text("a", GEMINI),),
    ),
    (
        "before its text",
        [{"extra_content": {"google": {"thought_signature": "c2ln"}}}, {"content": "a"}],
        (Text("a", GEMINI),),
    ),
    ("on nothing", [{"extra_content": {"google": {"thought_signature": "c2ln"}}}], (Text("", GEMINI),)),
    ("no signature", [{"content": "a", "extra_content": {"google": {"thought_signature": 7}}}], (Text("a"),)),
    ("no extra", [{"content": "a", "extra_content": {"google": 7}}, {"extra_content": 7}], (Text("a"),)),
    (
        "on a message of calls",
        [
            {"tool_calls": [{"id": "x", "function": {"name": "f"}}, {"id": "y", "function": {"name": "g"}}]},
            {"extra_content": {"google": {"thought_signature": "c2ln"}}},
        ],
        (ToolCall("x", "f", "{}", GEMINI), ToolCall("y", "g", "{}")),
    ),
    (
        "of a text and a call",
        [
            {
                "content": "a",
                "tool_calls": [{"id": "x", "function": {"name": "f"}}],
                "extra_content": {"google": {"thought_signature": "c2ln"}},
            }
        ],
        (Text("a", GEMINI), ToolCall("x", "f", "{}")),
    ),
]


@pytest.mark.parametrize(("deltas", "expected"), [case[1:] for case in TOLD], ids=[case[0] for case in TOLD])
def test_each_way_of_saying_it(deltas: list[dict[str, Any]], expected: tuple[Part, ...]) -> None:
    """The same parts whatever a provider calls them; what is read wrong here reaches every client of every other API wrong."""
    assert parts(stream(*deltas)) == expected


TOKEN = {"token": "a", "logprob": -0.1, "bytes": [97], "top_logprobs": []}


def choice_of(delta: dict[str, Any], logprobs: Any) -> Any:
    """The choice of a stream with one chunk that has logprobs."""
    body = stream(delta).replace(b'"finish_reason": null', b'"logprobs": %b, "finish_reason": null' % logprobs)
    return folded(read(body)).choices[0]


def test_logprobs_go_with_their_text() -> None:
    """One a token, in OpenAI's own form, of a text or of a refusal."""
    listed = b'{"content":[{"token":"a","logprob":-0.1,"bytes":[97],"top_logprobs":[]},7]}'
    assert choice_of({"content": "a"}, listed).logprobs == (TOKEN,)
    assert choice_of({"refusal": "a"}, listed.replace(b"content", b"refusal")).logprobs == (TOKEN,)
    assert choice_of({"content": "a"}, b'{"tokens":["a"]}').logprobs == ()
    assert choice_of({"content": "a"}, b"7").logprobs == ()
    assert choice_of({"content": "a"}, b"{}").logprobs == ()
    assert choice_of({"reasoning": "a"}, listed).logprobs == ()


def test_logprobs_before_their_text_wait_for_it() -> None:
    """Some servers tell them a chunk early."""
    early = stream({"content": ""}, {"content": "a"}).replace(
        b'"finish_reason": null', b'"logprobs": {"content": [{"token": "a"}]}, "finish_reason": null', 1
    )
    assert folded(read(early)).choices[0].logprobs == ({"token": "a"},)


def test_sound_is_carried_as_it_is() -> None:
    """No other API streams it."""
    found = read(stream({"audio": {"id": "a", "data": "QUJD"}}, {"audio": 7}))
    assert [one for one in found if isinstance(one, Extra)] == [
        Extra("openai_chat", {"choice": 0, "audio": {"id": "a", "data": "QUJD"}})
    ]


def test_sources_without_a_text_are_bounded() -> None:
    """They wait for one."""
    many = [{"type": "url_citation", "url_citation": {"url": str(at)}} for at in range(100)]
    (part,) = parts(stream({"annotations": many}, {"annotations": many}, {"content": "a"}))
    assert isinstance(part, Text)
    assert [citation.url for citation in part.citations] == [str(at) for at in range(64)]

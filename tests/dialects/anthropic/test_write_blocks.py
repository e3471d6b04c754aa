"""Canon's parts as blocks of a request."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from dialects.anthropic.samples import chat, foreign
from trunkline.canon.chat import (
    Chat,
    Citation,
    Media,
    Message,
    Other,
    Part,
    Refusal,
    Role,
    Seal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from trunkline.canon.errors import GatewayError
from trunkline.canon.facts import NO_FACTS, Facts
from trunkline.canon.loss import Loss
from trunkline.dialects.anthropic.write_blocks import Blocks, fit, mark

OWN, FOREIGN = chat(), foreign()
PNG = "iVBORw0KGgoAAAA"
STRICT = Facts(version="2026-10-21")


def blocks(part: Part, told: Chat = FOREIGN, facts: Facts = NO_FACTS, role: Role = "user") -> tuple[list[Any], list[str]]:
    """The blocks of a part, and what was lost."""
    loss = Loss(strict=False)
    return Blocks(told, facts, loss).write(Message(role, (part,)), "messages[0]"), list(loss.names)


def encoded(text: str) -> str:
    """A document's text as canon holds it."""
    return base64.b64encode(text.encode()).decode()


def image(data: str, said: str) -> dict[str, Any]:
    """A picture's block."""
    return {"type": "image", "source": {"type": "base64", "media_type": said, "data": data}}


@pytest.mark.parametrize(
    ("part", "block", "lost"),
    [
        (Text("Hi"), {"type": "text", "text": "Hi"}, []),
        (Text("Hi", cache="1h"), {"type": "text", "text": "Hi", "cache_control": {"type": "ephemeral", "ttl": "1h"}}, []),
        (Text("Hi", vendor={"x": 1}), {"type": "text", "text": "Hi"}, ["messages[0].content[0].x"]),
        (Text("Hi", citations=(Citation("u"),)), {"type": "text", "text": "Hi"}, ["messages[0].content[0].citations"]),
        (Refusal("No."), {"type": "text", "text": "No."}, []),
        (ToolCall("c:1", "a.b", ""), {"type": "tool_use", "id": fit("c:1"), "name": fit("a.b"), "input": {}}, []),
        (
            ToolCall("c", "f", '{"a": 1}', cache="5m"),
            {"type": "tool_use", "id": "c", "name": "f", "input": {"a": 1}, "cache_control": mark("5m")},
            [],
        ),
        (ToolCall("c", "f", '{"a":'), {"type": "tool_use", "id": "c", "name": "f", "input": {"_raw": '{"a":'}}, []),
        (
            ToolResult("c", "f", (Text("done"), Text(""), Media("image", "image/png", PNG))),
            {"type": "tool_result", "tool_use_id": "c", "content": [{"type": "text", "text": "done"}, image(PNG, "image/png")]},
            [],
        ),
        (ToolResult("c", "f", ()), {"type": "tool_result", "tool_use_id": "c"}, []),
        (
            ToolResult("c", "f", (Text(""),), failed=True, cache="5m"),
            {
                "type": "tool_result",
                "tool_use_id": "c",
                "content": [{"type": "text", "text": "Error"}],
                "is_error": True,
                "cache_control": mark("5m"),
            },
            [],
        ),
        (Media("image", "image/jpeg", PNG), image(PNG, "image/png"), []),
        (Media("image", "", "/9j/AAAA"), image("/9j/AAAA", "image/jpeg"), []),
        (Media("image", "image/webp", "odd", detail="high"), image("odd", "image/webp"), ["messages[0].content[0].detail"]),
        (Media("image", url="http://x"), {"type": "image", "source": {"type": "url", "url": "http://x"}}, []),
        (
            Media("document", "application/octet-stream", "JVBERiAA", name="a.pdf"),
            {
                "type": "document",
                "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERiAA"},
                "title": "a.pdf",
            },
            [],
        ),
        (Media("document", url="http://x"), {"type": "document", "source": {"type": "url", "url": "http://x"}}, []),
        (
            Media("document", "text/markdown; charset=utf-8", encoded("# é")),
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "# é"}},
            [],
        ),
        (
            Media("document", "application/json", encoded("{}")),
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "{}"}},
            [],
        ),
        (Thinking("Hm", Seal("anthropic", "b3du")), {"type": "thinking", "thinking": "Hm", "signature": "b3du"}, []),
        (Thinking("", Seal("anthropic", "b3du"), redacted=True), {"type": "redacted_thinking", "data": "b3du"}, []),
    ],
)
def test_a_part_becomes_its_block(part: Part, block: dict[str, Any], lost: list[str]) -> None:
    """What a client of another dialect says, as Anthropic takes it."""
    assert blocks(part) == ([block], lost)


@pytest.mark.parametrize(
    ("part", "lost"),
    [
        (Text(""), []),
        (Text(" \n"), []),
        (Text("", cache="5m"), ["messages[0].content[0].cache_control"]),
        (Thinking("Hm"), ["reasoning"]),
        (Thinking("Hm", Seal("gemini", "c2ln")), ["reasoning"]),
        (Thinking("Hm", Seal("anthropic", "")), ["reasoning"]),
    ],
)
def test_what_anthropic_would_refuse_is_left_out(part: Part, lost: list[str]) -> None:
    """Empty texts, and thinking that is not its own or not signed: each is a 400 for the whole request."""
    assert blocks(part) == ([], lost)


def test_what_only_another_dialect_knows() -> None:
    """A question without it would be another question; a result is told as it stands; an answer does without."""
    code = Other("gemini", {"executableCode": {"code": "1"}})
    assert blocks(code, role="assistant") == ([], ["messages[0].content[0]"])
    told, lost = blocks(ToolResult("a", "f", (code,)), role="tool")
    assert told[0]["content"] == [{"type": "text", "text": '{"executableCode":{"code":"1"}}'}]
    assert lost == []
    for role in ("user", "system"):
        with pytest.raises(GatewayError, match="only the API 'gemini' has such content") as raised:
            blocks(code, role=role)
        assert raised.value.param == "messages[0].content[0]"


@pytest.mark.parametrize(
    ("part", "facts", "role", "problem"),
    [
        (Media("audio", "audio/wav", "AA"), NO_FACTS, "user", "takes no audio"),
        (Media("video", url="http://x"), NO_FACTS, "user", "takes no video"),
        (Media("image", "image/png", PNG), Facts(media=frozenset()), "user", "this model takes no image"),
        (Media("image", "image/bmp", "Qk0"), NO_FACTS, "user", "of the type 'image/bmp'"),
        (Media("document", "application/msword", "AA"), NO_FACTS, "user", "of the type 'application/msword'"),
        (Media("document", "text/plain", "/w=="), NO_FACTS, "user", "said to be text"),
        (Media("image", file_id="f"), NO_FACTS, "user", "another provider"),
        (Media("image", url="http://x"), Facts(media_urls=False), "user", "fetches no URLs"),
        (Media("image", "image/png", PNG), NO_FACTS, "assistant", "assistant's message"),
    ],
)
def test_content_that_cannot_be_carried_is_refused(part: Part, facts: Facts, role: Role, problem: str) -> None:
    """The model would answer another question."""
    with pytest.raises(GatewayError, match=problem) as caught:
        blocks(part, facts=facts, role=role)
    assert caught.value.param == "messages[0].content[0]"


@pytest.mark.parametrize(
    ("part", "role", "block"),
    [
        (Text(" "), "user", {"type": "text", "text": " "}),
        (Text("x", vendor={"search_result": {"type": "search_result"}}), "user", {"type": "search_result"}),
        (Text("x", vendor={"new": 1}), "user", {"type": "text", "text": "x", "new": 1}),
        (
            Text("x", citations=(Citation(vendor={"type": "y"}),)),
            "user",
            {"type": "text", "text": "x", "citations": [{"type": "y"}]},
        ),
        (Other("anthropic", {"type": "container_upload"}), "user", {"type": "container_upload"}),
        (Media("image", file_id="f"), "user", {"type": "image", "source": {"type": "file", "file_id": "f"}}),
        (Media("image", "image/png", PNG), "assistant", image(PNG, "image/png")),
        (Media("document", url="http://x"), "assistant", {"type": "document", "source": {"type": "url", "url": "http://x"}}),
        (
            Media("document", "text/plain", "QQ==", vendor={"source": {"type": "content"}}),
            "user",
            {"type": "document", "source": {"type": "content"}},
        ),
    ],
)
def test_anthropics_own_goes_back_as_it_came(part: Part, role: Role, block: dict[str, Any]) -> None:
    """Reading and writing the same dialect returns what came in."""
    assert blocks(part, OWN, role=role) == ([block], [])


def test_the_newer_version_refuses_what_the_older_took() -> None:
    """Documents in an assistant's message and citations in a user's are a 400 from 2026-10-21 on."""
    cited = Text("x", citations=(Citation(vendor={"type": "y"}),))
    assert blocks(cited, OWN, STRICT) == ([{"type": "text", "text": "x"}], ["messages[0].content[0].citations"])
    assert blocks(cited, OWN, STRICT, "assistant")[1] == []
    assert blocks(Media("image", "image/png", PNG), OWN, STRICT, "assistant")[1] == []
    with pytest.raises(GatewayError, match="assistant's message"):
        blocks(Media("document", url="http://x"), OWN, STRICT, "assistant")


def test_names_and_ids_fit() -> None:
    """Anthropic takes letters, digits, `_` and `-`; two names must not become one."""
    assert fit("look_up-2") == "look_up-2"
    assert fit("a.b") != fit("a:b")
    assert len(fit("x" * 100)) == 64

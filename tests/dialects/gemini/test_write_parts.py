"""One part written for a provider: what Gemini takes, what is left out and told, what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from trunkline.canon.chat import (
    Chat,
    Citation,
    Media,
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
from trunkline.dialects.gemini.write_parts import PartWriter, fitting

OWN, CLAUDE = Seal("gemini", "c2ln"), Seal("anthropic", "EqQB")
SIGNED = {"thoughtSignature": "c2ln"}
PNG = Media("image", "image/png", data="YQ==")
HISTORY = (ToolCall("c1", "other", "{}"), ToolCall("c1", "look it", "{}"), ToolCall("tlc_x_0", "see", "{}"))


def write(part: Part, dialect: str = "openai_chat", role: Role = "user", facts: Facts = NO_FACTS) -> tuple[Any, list[str]]:
    """The part, and what was left out."""
    loss = Loss(strict=False)
    writer = PartWriter(Chat(dialect, "m", ()), facts, loss)
    for call in HISTORY:
        writer.write(call, "assistant", "h")
    return writer.write(part, role, "p"), list(loss.names)


@pytest.mark.parametrize(
    ("part", "found", "lost"),
    [
        (Text("a"), {"text": "a"}, []),
        (Text("a", OWN), {"text": "a", **SIGNED}, []),
        (Text("", OWN), {"text": "", **SIGNED}, []),
        (Text("a", CLAUDE), {"text": "a"}, ["reasoning"]),
        (Text(""), None, []),
        (
            Text("a", citations=(Citation("u"),), cache="5m", vendor={"x": 1}),
            {"text": "a"},
            ["cache_control", "p.x", "p.citations"],
        ),
        (Thinking("t", OWN), {"text": "t", "thought": True, **SIGNED}, []),
        (Thinking("t", CLAUDE), None, ["reasoning"]),
        (Thinking("t"), None, ["reasoning"]),
        (Refusal("no"), {"text": "no"}, []),
        (Refusal(""), None, []),
        (
            ToolCall("c1", "look it", '{"a": 1}', OWN),
            {"functionCall": {"name": fitting("look it"), "args": {"a": 1}, "id": "c1"}, **SIGNED},
            [],
        ),
        (ToolCall("tlc_x_0", "see", "", CLAUDE), {"functionCall": {"name": "see", "args": {}}}, ["reasoning"]),
        (ToolCall("c1", "see", '{"a'), {"functionCall": {"name": "see", "args": {"_raw": '{"a'}, "id": "c1"}}, []),
        (ToolCall("c1", "see", "[1]"), {"functionCall": {"name": "see", "args": {"_raw": "[1]"}, "id": "c1"}}, []),
        (
            ToolResult("c1", "", (Text("15"),)),
            {"functionResponse": {"name": fitting("look it"), "response": {"output": "15"}, "id": "c1"}},
            [],
        ),
        (
            ToolResult("tlc_x_0", "other", (Text('{"a":'), Text("1}"))),
            {"functionResponse": {"name": "see", "response": {"a": 1}}},
            [],
        ),
        (
            ToolResult("gone", "told", (Text("No."),), failed=True),
            {"functionResponse": {"name": "told", "response": {"error": "No."}, "id": "gone"}},
            [],
        ),
        (
            ToolResult("tlc_x_0", "", (Text("see"), PNG, Other("anthropic", {"x": 1}), Other("gemini", {"y": 2}))),
            {
                "functionResponse": {
                    "name": "see",
                    "response": {"output": 'see{"x":1}'},
                    "parts": [{"inlineData": {"mimeType": "image/png", "data": "YQ=="}}, {"y": 2}],
                }
            },
            [],
        ),
        (PNG, {"inlineData": {"mimeType": "image/png", "data": "YQ=="}}, []),
        (
            Media("document", data="YQ==", name="a.pdf", detail="high"),
            {"inlineData": {"mimeType": "application/pdf", "data": "YQ=="}},
            ["p.detail", "p.name"],
        ),
        (Media("image", url="https://a.test/b", detail="auto"), {"fileData": {"fileUri": "https://a.test/b"}}, []),
        (
            Media("video", "video/mp4", url="https://a.test/b"),
            {"fileData": {"fileUri": "https://a.test/b", "mimeType": "video/mp4"}},
            [],
        ),
        (Other("gemini", {"executableCode": {}}), {"executableCode": {}}, []),
    ],
)
def test_a_part_of_another_dialects_is_written(part: Part, found: Any, lost: list[str]) -> None:
    """What Gemini has a word for reaches the model; the rest is told by name, never lost in silence."""
    assert write(part) == (found, lost)


@pytest.mark.parametrize(
    ("part", "found", "lost"),
    [
        (Text("", vendor={"partMetadata": {"a": 1}}), {"text": "", "partMetadata": {"a": 1}}, []),
        (Thinking("t"), {"text": "t", "thought": True}, []),
        (Thinking("t", CLAUDE), None, ["reasoning"]),
        (
            Media("image", "image/png", "YQ==", name="n", vendor={"thoughtSignature": "c2ln", "inlineData": {"more": 1}}),
            {"inlineData": {"mimeType": "image/png", "data": "YQ==", "displayName": "n", "more": 1}, **SIGNED},
            [],
        ),
        (Media("document", file_id="files/x"), {"fileData": {"fileUri": "files/x"}}, []),
        (
            ToolResult("tlc_x_0", "", (Text("a"),), vendor={"functionResponse": {"scheduling": "SILENT"}}),
            {"functionResponse": {"name": "see", "response": {"output": "a"}, "scheduling": "SILENT"}},
            [],
        ),
    ],
)
def test_a_part_of_geminis_own_is_written_back(part: Part, found: Any, lost: list[str]) -> None:
    """A client of Gemini's whose pictures we fetched gets back what it said."""
    assert write(part, "gemini") == (found, lost)


def test_what_another_model_did_by_itself_is_left_out() -> None:
    """The call of its own tool is past, and the caller is told."""
    assert write(Other("anthropic", {"type": "server_tool_use"}), role="assistant") == (None, ["p"])


@pytest.mark.parametrize(
    ("part", "role", "facts"),
    [
        (PNG, "user", Facts(media=frozenset({"document"}))),
        (Media("image", url="https://a.test/b"), "user", Facts(media_urls=False)),
        (Media("document", file_id="file-1"), "user", NO_FACTS),
        (PNG, "system", NO_FACTS),
        (ToolResult("c1", "", (Media("document", file_id="file-1"),)), "tool", NO_FACTS),
        (Other("anthropic", {"type": "search_result"}), "user", NO_FACTS),
    ],
)
def test_what_the_model_would_miss_is_refused(part: Part, role: Role, facts: Facts) -> None:
    """It would answer another question than it was asked."""
    with pytest.raises(GatewayError, match=r"The field 'p(\.content\[0\])?' cannot be sent") as refused:
        write(part, role=role, facts=facts)
    assert refused.value.status == 400

"""One part read: the same for a client's request and a provider's answer."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects.gemini.samples import FOREIGN
from trunkline.canon.chat import Media, Other, Part, Seal, Text, Thinking, ToolCall, ToolResult
from trunkline.canon.errors import GatewayError
from trunkline.dialects.gemini.read_parts import read_part, response_of

SEAL, CLAUDE = Seal("gemini", "c2ln"), Seal("anthropic", "EqQBCkYIBxgC")
PDF = {"inlineData": {"mimeType": "application/pdf", "data": "JVBERg=="}}


def read(told: Any) -> Part:
    """The part."""
    return read_part(told, "p", lambda: "made")


@pytest.mark.parametrize(
    ("told", "part"),
    [
        ({"text": "a"}, Text("a")),
        ({"text": "a", "thoughtSignature": "c2ln"}, Text("a", SEAL)),
        ({"text": "", "thought_signature": "c2ln"}, Text("", SEAL)),
        ({"text": "a", "thoughtSignature": "skip_thought_signature_validator"}, Text("a")),
        (
            {"functionCall": {"name": "f"}, "thoughtSignature": "skip_thought_signature_validator"},
            ToolCall("made", "f", "{}"),
        ),
        ({"text": "a", "thought": False}, Text("a")),
        ({"text": "a", "thought": True}, Thinking("a")),
        ({"text": "a", "thought": True, "thoughtSignature": FOREIGN}, Thinking("a", CLAUDE)),
        (
            {"text": "a", "thought": True, "thoughtSignature": FOREIGN.replace("+", "-").replace("/", "_")},
            Thinking("a", CLAUDE),
        ),
        ({"text": "", "thought": True, "thoughtSignature": FOREIGN}, Thinking("", CLAUDE)),
        ({"thought": True, "thoughtSignature": FOREIGN}, Thinking("", CLAUDE, redacted=True)),
        ({"thought": True}, Thinking("")),
        ({"text": "a", "partMetadata": {"x_y": 1}}, Text("a", vendor={"partMetadata": {"x_y": 1}})),
        ({"inlineData": {"mimeType": "image/png", "data": "a-_="}}, Media("image", "image/png", data="a+/=")),
        (
            {"inline_data": {"mime_type": "audio/wav", "data": "YQ==", "display_name": "n"}},
            Media("audio", "audio/wav", "YQ==", name="n"),
        ),
        ({"inlineData": {"mimeType": "image/png", "data": "YQ=="}, "thought": False}, Media("image", "image/png", "YQ==")),
        (
            {"inlineData": {"mimeType": "image/png", "data": "YQ=="}, "thought": True},
            Other("gemini", {"inlineData": {"mimeType": "image/png", "data": "YQ=="}, "thought": True}),
        ),
        (
            {"inlineData": {"mimeType": "video/mp4", "data": "YQ==", "more": 1}, "videoMetadata": {"fps": 1}},
            Media("video", "video/mp4", "YQ==", vendor={"videoMetadata": {"fps": 1}, "inlineData": {"more": 1}}),
        ),
        (
            {"fileData": {"fileUri": "https://a.test/b.png", "mimeType": "image/png"}},
            Media("image", "image/png", url="https://a.test/b.png"),
        ),
        ({"fileData": {"fileUri": "gs://b/c.pdf"}}, Media("document", file_id="gs://b/c.pdf")),
        ({"fileData": {"fileUri": "files/abc"}}, Media("document", file_id="files/abc")),
        (
            {"fileData": {"fileUri": "https://generativelanguage.googleapis.com/v1beta/files/x", "displayName": "n"}},
            Media("document", file_id="https://generativelanguage.googleapis.com/v1beta/files/x", name="n"),
        ),
        ({"functionCall": {"name": "f", "args": {"a_b": [1.5]}}}, ToolCall("made", "f", '{"a_b":[1.5]}')),
        ({"function_call": {"name": "f", "id": "x"}, "thoughtSignature": "c2ln"}, ToolCall("x", "f", "{}", SEAL)),
        ({"functionResponse": {"name": "f", "response": {"output": "15"}}}, ToolResult("", "f", (Text("15"),))),
        ({"functionResponse": {"id": "x", "response": {"error": "No."}}}, ToolResult("x", "", (Text("No."),), failed=True)),
        (
            {"functionResponse": {"name": "f", "response": {"error": {"a": 1}}}},
            ToolResult("", "f", (Text('{"error":{"a":1}}'),), failed=True),
        ),
        ({"functionResponse": {"name": "f", "response": {"a_b": 1}}}, ToolResult("", "f", (Text('{"a_b":1}'),))),
        (
            {"functionResponse": {"name": "f", "response": {"output": '{"a":1}'}}},
            ToolResult("", "f", (Text('{"output":"{\\"a\\":1}"}'),)),
        ),
        (
            {"functionResponse": {"name": "f", "response": {"output": {"a": 1}}}},
            ToolResult("", "f", (Text('{"output":{"a":1}}'),)),
        ),
        ({"functionResponse": {"name": "f"}}, ToolResult("", "f", (Text("{}"),))),
        (
            {
                "functionResponse": {
                    "name": "f",
                    "response": {"output": "a"},
                    "parts": [PDF, {"odd": 1}],
                    "scheduling": "SILENT",
                }
            },
            ToolResult(
                "",
                "f",
                (Text("a"), Media("document", "application/pdf", "JVBERg=="), Other("gemini", {"odd": 1})),
                vendor={"functionResponse": {"scheduling": "SILENT"}},
            ),
        ),
        (
            {"executableCode": {"code": "1"}, "thoughtSignature": "c2ln"},
            Other("gemini", {"executableCode": {"code": "1"}, "thoughtSignature": "c2ln"}),
        ),
        ({"toolCall": {"id": "x"}}, Other("gemini", {"toolCall": {"id": "x"}})),
        ({}, Other("gemini", {})),
    ],
)
def test_a_part_is_read(told: Any, part: Part) -> None:
    """Both spellings, both alphabets, every kind; what has no word in canon is kept whole."""
    assert read(told) == part


@pytest.mark.parametrize(
    ("told", "place"),
    [
        (7, "p"),
        ({"text": 7}, "p.text"),
        ({"text": "a", "thought": "yes"}, "p.thought"),
        ({"text": "a", "thoughtSignature": 1}, "p.thoughtSignature"),
        ({"inlineData": "YQ=="}, "p.inlineData"),
        ({"inlineData": {"data": 1}}, "p.inlineData.data"),
        ({"fileData": {"fileUri": 1}}, "p.fileData.fileUri"),
        ({"functionCall": {"name": "f", "args": "{}"}}, "p.functionCall.args"),
        ({"functionResponse": {"response": "15"}}, "p.functionResponse.response"),
        ({"functionResponse": {"parts": [{"text": "a"}]}}, "p.functionResponse.parts[0]"),
    ],
)
def test_what_is_wrong_is_told_by_its_path(told: Any, place: str) -> None:
    """A caller must be able to find the field."""
    with pytest.raises(GatewayError) as wrong:
        read(told)
    assert (wrong.value.status, wrong.value.param) == (400, place)


@given(
    st.dictionaries(
        st.sampled_from(["output", "error", "result"]),
        st.text(max_size=4) | st.integers(0, 3) | st.just('{"error":1}'),
        max_size=2,
    )
)
def test_a_response_is_written_as_it_was_read(response: dict[str, Any]) -> None:
    """A result must say the same to the model whichever way it took."""
    part = read({"functionResponse": {"name": "f", "response": response}})
    assert isinstance(part, ToolResult)
    text = "".join(one.text for one in part.parts if isinstance(one, Text))
    assert response_of(text, failed=part.failed) == response


@pytest.mark.parametrize(
    ("text", "failed", "response"),
    [
        ("15", False, {"output": "15"}),
        ("", False, {"output": ""}),
        ("[1]", False, {"output": "[1]"}),
        ('{"a": 1}', False, {"a": 1}),
        ("No.", True, {"error": "No."}),
        ('{"a": 1}', True, {"error": '{"a": 1}'}),
        ('{"error": 1}', True, {"error": 1}),
        ("[" * 5000, False, {"output": "[" * 5000}),
    ],
)
def test_what_a_tool_said_is_an_object(text: str, failed: bool, response: dict[str, Any]) -> None:
    """Gemini refuses anything else."""
    assert response_of(text, failed=failed) == response
    assert json.loads(json.dumps(response)) == response

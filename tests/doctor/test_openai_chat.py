"""What breaks programs on OpenAI's SDK."""

from __future__ import annotations

import pytest

from doctor.standin import MODEL, ask, sse, told
from harness.script import whole
from trunkline.doctor import openai_chat, task
from trunkline.doctor.examine import Contract

USAGE = {"total_tokens": 3}
CALL = {"index": 0, "id": "c", "function": {"name": task.TOOL, "arguments": '{"city": "B"}'}}


def delta(finish: str | None = None, **said: object) -> dict[str, object]:
    return {"choices": [{"delta": said, "finish_reason": finish}]}


@pytest.mark.parametrize(
    ("contract", "answers", "found"),
    [
        (openai_chat.listed, [told({"data": [{"id": MODEL}]})], []),
        (openai_chat.listed, [told({"data": [{"id": "other"}]})], ["the list of models does not name it"]),
        (openai_chat.whole, [told({"object": "x"})], "no chat.completion"),
        (openai_chat.whole, [told({"object": "chat.completion", "choices": []})], "no finish reason"),
        (openai_chat.whole, [told({"object": "chat.completion", "choices": [{"finish_reason": "stop"}]})], "no usage"),
        (
            openai_chat.whole,
            [told({"object": "chat.completion", "choices": [{"finish_reason": "stop", "message": {}}], "usage": USAGE})],
            ["the answer has no text"],
        ),
        (openai_chat.streamed, [sse(delta("stop"))], "[DONE]"),
        (openai_chat.streamed, [sse(delta(), done=True)], "finish reason"),
        (openai_chat.streamed, [sse(delta("stop"), done=True)], "usage"),
        (openai_chat.streamed, [sse(delta("stop"), {"usage": USAGE}, done=True)], ["the stream has no text"]),
        (openai_chat.streamed, [whole(200, b"<html>")], "no event stream"),
        (openai_chat.tools, [sse(delta(content="I will not."))], [task.NOT_CALLED]),
        (openai_chat.tools, [sse(delta(tool_calls=[{**CALL, "function": {"name": "x", "arguments": ""}}]))], "names 'x'"),
        (openai_chat.tools, [sse(delta(tool_calls=[{**CALL, "id": None}]))], "no id"),
        (
            openai_chat.tools,
            [sse(delta(tool_calls=[{**CALL, "function": {"name": task.TOOL, "arguments": "{"}}]))],
            "arguments",
        ),
        (openai_chat.tools, [sse(delta("stop", tool_calls=[CALL]))], "not tool_calls"),
        (openai_chat.tools, [sse(delta("tool_calls", tool_calls=[CALL])), told({})], "to a tool's result"),
        (openai_chat.structured, [told({"choices": [{"message": {"content": "42"}}]})], "schema"),
        (openai_chat.structured, [told({}, x_trunkline_dropped="response_format")], []),
        (openai_chat.pictures, [told({"error": {"message": "none here"}}, 400)], ["no pictures: none here"]),
        (openai_chat.pictures, [told({"error": {"message": "broke"}}, 500)], "a picture is answered 500: broke"),
        (openai_chat.errors, [told({}, 400)], "unknown model is answered 400"),
        (openai_chat.errors, [told({}, 404)], "no message"),
    ],
)
def test_what_is_found(contract: Contract, answers: list[bytes], found: list[str] | str) -> None:
    """A model would be called good that no program can use, or a good one broken."""
    seen = ask(contract, *answers)
    if isinstance(found, str):
        assert isinstance(seen, str)
        assert found in seen
    else:
        assert [remark[: len(start)] for remark, start in zip(seen, found, strict=True)] == found

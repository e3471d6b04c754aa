"""What breaks Claude Code and Anthropic's SDK."""

from __future__ import annotations

import pytest

from doctor.standin import MODEL, ask, sse, told
from trunkline.doctor import anthropic, task
from trunkline.doctor.examine import Contract

START = {"type": "message_start", "message": {}}
STOP = {"type": "message_stop"}
OPEN = {"type": "content_block_start", "index": 0, "content_block": {"type": "tool_use", "id": "t", "name": task.TOOL}}
JSON = {"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": '{"city": "B"}'}}
TEXT = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
MORE = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "No."}}


@pytest.mark.parametrize(
    ("contract", "answers", "found"),
    [
        (anthropic.listed, [told({"data": [{"id": MODEL}]})], []),
        (anthropic.listed, [told({"data": []})], ["the list of models does not name it"]),
        (anthropic.whole, [told({"type": "x"})], "no message"),
        (anthropic.whole, [told({"type": "message"})], "no stop reason"),
        (anthropic.whole, [told({"type": "message", "stop_reason": "end_turn"})], "no usage"),
        (
            anthropic.whole,
            [told({"type": "message", "stop_reason": "end_turn", "usage": {"input_tokens": 1}, "content": []})],
            ["the answer has no content"],
        ),
        (anthropic.streamed, [sse(START, STOP)], "name is not its type"),
        (anthropic.streamed, [sse(STOP, named=True)], "begin with message_start"),
        (anthropic.streamed, [sse(START, named=True)], "end with message_stop"),
        (anthropic.streamed, [sse(START, OPEN, STOP, named=True)], "not closed"),
        (anthropic.streamed, [sse(START, STOP, named=True)], "stop reason"),
        (anthropic.tools, [sse(START, TEXT, MORE, STOP)], [task.NOT_CALLED]),
        (anthropic.tools, [sse({**OPEN, "content_block": {"type": "tool_use", "id": "t", "name": "x"}})], "names 'x'"),
        (anthropic.tools, [sse(OPEN)], "arguments"),
        (anthropic.tools, [sse(OPEN, JSON), told({})], "to a tool's result"),
        (anthropic.counted, [told({})], "no number"),
        (anthropic.counted, [told({"input_tokens": 1})], ["tokens are counted by a tokenizer"]),
        (anthropic.counted, [told({"input_tokens": 1}, x_trunkline_count_basis="provider")], []),
        (anthropic.errors, [told({}, 200)], "unknown model is answered 200"),
        (anthropic.errors, [told({"error": {"type": "x"}}, 404)], "Anthropic's form"),
    ],
)
def test_what_is_found(contract: Contract, answers: list[bytes], found: list[str] | str) -> None:
    """Claude Code would stop in the middle of a turn, and nobody would have said so before."""
    seen = ask(contract, *answers)
    if isinstance(found, str):
        assert isinstance(seen, str)
        assert found in seen
    else:
        assert [remark[: len(start)] for remark, start in zip(seen, found, strict=True)] == found

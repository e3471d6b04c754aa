"""What breaks Codex."""

from __future__ import annotations

from typing import Any

import pytest

from doctor.standin import ask, sse
from trunkline.doctor import openai_responses, task
from trunkline.doctor.examine import Contract

CALL = {"type": "function_call", "name": task.TOOL, "call_id": "c", "arguments": '{"city": "B"}'}
CUSTOM = {"type": "custom_tool_call", "name": task.TOOL, "call_id": "c", "input": "Berlin"}
THOUGHT = {"type": "reasoning", "summary": [], "encrypted_content": "x"}


def stream(*items: dict[str, Any], end: str = "response.completed", usage: object = 3, named: bool = True) -> bytes:
    events = [{"type": "response.output_item.done", "item": item} for item in items]
    events.append({"type": end, "response": {"usage": {"output_tokens": usage}}})
    return sse(*({**value, "sequence_number": number} for number, value in enumerate(events)), named=named)


@pytest.mark.parametrize(
    ("contract", "answers", "found"),
    [
        (openai_responses.streamed, [stream(named=False)], "name is not its type"),
        (openai_responses.streamed, [sse({"type": "response.completed", "sequence_number": 1}, named=True)], "not contiguous"),
        (openai_responses.streamed, [stream(end="response.failed")], "ends with response.failed"),
        (openai_responses.streamed, [stream(usage=None)], "no usage"),
        (openai_responses.streamed, [stream()], ["the answer has no message"]),
        (openai_responses.streamed, [stream({"type": "message"})], []),
        (openai_responses.functions, [stream({"type": "message"})], [task.NOT_CALLED]),
        (openai_responses.functions, [stream({**CALL, "name": "x"})], "names 'x'"),
        (openai_responses.functions, [stream({**CALL, "call_id": ""})], "no call_id"),
        (openai_responses.functions, [stream({**CALL, "arguments": "{"})], "arguments"),
        (openai_responses.functions, [stream(THOUGHT, CALL), stream({"type": "message"})], []),
        (
            openai_responses.functions,
            [stream({"type": "reasoning", "summary": []}, CALL), stream()],
            ["reasoning comes without encrypted content: it is lost between turns"],
        ),
        (openai_responses.custom, [stream({**CUSTOM, "input": None})], "no input"),
        (openai_responses.custom, [stream(CUSTOM), stream()], []),
        (openai_responses.additional, [stream(CUSTOM), stream(end="response.incomplete")], []),
    ],
)
def test_what_is_found(contract: Contract, answers: list[bytes], found: list[str] | str) -> None:
    """Codex would try five times and give up."""
    seen = ask(contract, *answers)
    if isinstance(found, str):
        assert isinstance(seen, str)
        assert found in seen
    else:
        assert seen == found

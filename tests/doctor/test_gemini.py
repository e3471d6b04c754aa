"""What breaks Gemini CLI."""

from __future__ import annotations

from typing import Any

import pytest

from doctor.standin import MODEL, ask, sse, told
from trunkline.doctor import gemini, task
from trunkline.doctor.examine import Contract

CALL = {"functionCall": {"name": task.TOOL, "args": {"city": "B"}, "id": "c"}}
USAGE = {"totalTokenCount": 3}


def said(*parts: dict[str, Any], finish: str | None = "STOP") -> dict[str, Any]:
    return {"candidates": [{"content": {"parts": list(parts)}, "finishReason": finish}], "usageMetadata": USAGE}


@pytest.mark.parametrize(
    ("contract", "answers", "found"),
    [
        (gemini.listed, [told({"models": [{"name": f"models/{MODEL}"}]})], []),
        (gemini.listed, [told({"models": []})], ["the list of models does not name it"]),
        (gemini.whole, [told(said(finish=None))], "no finish reason"),
        (gemini.whole, [told({**said(), "usageMetadata": None})], "no usage"),
        (gemini.whole, [told(said({"text": "x", "thought": True}))], "schema"),
        (gemini.whole, [told(said({"text": "x", "thought": True}, {"text": '{"number": 42}'}))], []),
        (gemini.whole, [told(said(), x_trunkline_dropped="response_format")], []),
        (gemini.tools, [sse(said(CALL, finish=None))], "finish reason"),
        (gemini.tools, [sse(said({"text": "No."}))], [task.NOT_CALLED]),
        (gemini.tools, [sse(said({"functionCall": {"name": "x"}}))], "names 'x'"),
        (gemini.tools, [sse(said({"functionCall": {"name": task.TOOL}}))], "arguments"),
        (gemini.tools, [sse(said(CALL)), told(said(finish=None))], "to a tool's result"),
        (gemini.tools, [sse(said({"functionCall": {"name": task.TOOL, "args": {"city": "B"}}})), told(said())], []),
        (gemini.counted, [told({})], "no number"),
        (gemini.counted, [told({"totalTokens": 3})], []),
    ],
)
def test_what_is_found(contract: Contract, answers: list[bytes], found: list[str] | str) -> None:
    """The program would end, with a cut stream for all it says."""
    seen = ask(contract, *answers)
    if isinstance(found, str):
        assert isinstance(seen, str)
        assert found in seen
    else:
        assert [remark[: len(start)] for remark, start in zip(seen, found, strict=True)] == found

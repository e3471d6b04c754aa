"""What breaks programs that know only Ollama."""

from __future__ import annotations

import json
from typing import Any

import pytest

from doctor.standin import MODEL, ask, told
from harness.script import whole
from trunkline.doctor import ollama, task
from trunkline.doctor.examine import Contract

VERSION, SHOWN = told({"version": "1"}), told({"capabilities": ["completion"]})
END = {"done": True, "eval_count": 3}


def lines(*values: dict[str, Any]) -> bytes:
    return whole(200, b"".join(json.dumps(value).encode() + b"\n" for value in values), "application/x-ndjson")


def called(**function: Any) -> bytes:
    return told({"message": {"role": "assistant", "content": "", "tool_calls": [{"function": function}]}, "done": True})


@pytest.mark.parametrize(
    ("contract", "answers", "found"),
    [
        (ollama.listed, [told({})], "version"),
        (ollama.listed, [VERSION, told({}), told({})], "capabilities"),
        (ollama.listed, [VERSION, told({"models": [{"model": MODEL}]}), SHOWN], []),
        (ollama.listed, [VERSION, told({"models": []}), SHOWN], ["the list of models does not name it"]),
        (ollama.streamed, [whole(200, b"")], "end with done"),
        (ollama.streamed, [lines({"done": False})], "end with done"),
        (ollama.streamed, [lines({"done": True})], "no counts"),
        (ollama.streamed, [lines(END)], ["the stream has no text"]),
        (ollama.streamed, [lines({"message": {"content": "a"}}, END)], []),
        (ollama.generated, [told({})], "no response"),
        (ollama.generated, [told({"response": "a"})], []),
        (ollama.tools, [told({"message": {"content": "No."}})], [task.NOT_CALLED]),
        (ollama.tools, [called(name="x")], "names 'x'"),
        (ollama.tools, [called(name=task.TOOL, arguments={})], "arguments"),
        (ollama.tools, [called(name=task.TOOL, arguments={"city": "B"}), told({})], "not done"),
        (ollama.tools, [called(name=task.TOOL, arguments={"city": "B"}), told(END)], []),
    ],
)
def test_what_is_found(contract: Contract, answers: list[bytes], found: list[str] | str) -> None:
    """Home Assistant would say nothing, and nobody would know why."""
    seen = ask(contract, *answers)
    if isinstance(found, str):
        assert isinstance(seen, str)
        assert found in seen
    else:
        assert [remark[: len(start)] for remark, start in zip(seen, found, strict=True)] == found

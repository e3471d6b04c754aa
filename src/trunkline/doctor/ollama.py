"""What programs that know only Ollama rely on."""

from __future__ import annotations

from typing import Any

from trunkline.doctor import task
from trunkline.doctor.call import Call
from trunkline.doctor.finding import at, need

_TOOLS = [{"type": "function", "function": {"name": task.TOOL, "description": task.ABOUT, "parameters": task.SCHEMA}}]


def _asked(call: Call, *messages: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"model": call.model, "messages": list(messages), "options": {"num_predict": task.MAX_TOKENS}, **more}


def _user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


async def listed(call: Call) -> list[str]:
    """The version, the list of tags and the model's own page."""
    need(at((await call.get("/api/version")).json(), "version"), "the version is not told")
    names = [at(entry, "model") for entry in at((await call.get("/api/tags")).json(), "models") or []]
    need(at((await call.post("/api/show", {"model": call.model})).json(), "capabilities"), "its capabilities are not told")
    return [] if call.model in names else ["the list of models does not name it (provider/model names are not listed)"]


async def streamed(call: Call) -> list[str]:
    """A stream of lines that ends with its counts."""
    lines = (await call.post("/api/chat", _asked(call, _user(task.HELLO)))).lines()
    need(lines and at(lines[-1], "done") is True, "the stream does not end with done")
    need(isinstance(at(lines[-1], "eval_count"), int), "the end tells no counts")
    return [] if any(at(line, "message", "content") for line in lines) else ["the stream has no text"]


async def generated(call: Call) -> list[str]:
    """/api/generate, whole."""
    asked = {"model": call.model, "prompt": task.HELLO, "stream": False, "options": {"num_predict": task.MAX_TOKENS}}
    answer = (await call.post("/api/generate", asked)).json()
    need(isinstance(at(answer, "response"), str), "the answer has no response")
    return []


async def tools(call: Call) -> list[str]:
    """A tool call, its result, an answer."""
    answer = (await call.post("/api/chat", _asked(call, _user(task.CALL_IT), tools=_TOOLS, stream=False))).json()
    called = at(answer, "message", "tool_calls", 0, "function")
    if called is None:
        return [task.NOT_CALLED]
    need(called.get("name") == task.TOOL, f"the tool call names {called.get('name')!r}")
    task.arguments(called.get("arguments"))
    result = {"role": "tool", "tool_name": task.TOOL, "content": task.RESULT}
    again = _asked(call, _user(task.CALL_IT), answer["message"], result, tools=_TOOLS, stream=False)
    answer = (await call.post("/api/chat", again)).json()
    need(at(answer, "done") is True, "the answer to a tool's result is not done")
    return []

"""What Gemini CLI and google-genai rely on: generateContent."""

from __future__ import annotations

from typing import Any

from trunkline.doctor import task
from trunkline.doctor.call import Call
from trunkline.doctor.finding import at, need

_TOOLS = [{"functionDeclarations": [{"name": task.TOOL, "description": task.ABOUT, "parametersJsonSchema": task.SCHEMA}]}]


def _asked(*contents: dict[str, Any], **more: Any) -> dict[str, Any]:
    system = {"role": "user", "parts": [{"text": "You are a helpful program."}]}
    settings = {"maxOutputTokens": task.MAX_TOKENS, "topP": 0.95, "topK": 64} | more.pop("generationConfig", {})
    return {"contents": list(contents), "systemInstruction": system, "generationConfig": settings, **more}


def _user(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "parts": list(parts)}


def _path(call: Call, action: str) -> str:
    return f"/v1beta/models/{call.path_model}:{action}"


async def listed(call: Call) -> list[str]:
    """The list in Gemini's form."""
    names = [at(entry, "name") for entry in at((await call.get("/v1beta/models")).json(), "models") or []]
    found = f"models/{call.model}" in names
    return [] if found else ["the list of models does not name it (provider/model names are not listed)"]


async def whole(call: Call) -> list[str]:
    """An answer by a JSON Schema, as the CLI's router asks for it."""
    form = {"responseMimeType": "application/json", "responseJsonSchema": task.ANSWER_SCHEMA}
    asked = _asked(_user({"text": task.ASK_JSON}), generationConfig=form)
    answer = (await call.post(_path(call, "generateContent"), asked)).json()
    need(at(answer, "candidates", 0, "finishReason"), "the answer has no finish reason")
    need(isinstance(at(answer, "usageMetadata", "totalTokenCount"), int), "the answer tells no usage")
    parts = at(answer, "candidates", 0, "content", "parts") or []
    if "response_format" not in call.dropped:
        task.number("".join(at(part, "text") or "" for part in parts if not at(part, "thought")))
    return []


async def tools(call: Call) -> list[str]:
    """A tool call in a stream, its result, an answer; signatures go back as they came."""
    asked = _asked(_user({"text": task.CALL_IT}), tools=_TOOLS, generationConfig={"thinkingConfig": {"includeThoughts": True}})
    chunks = [data for _, data in (await call.post(_path(call, "streamGenerateContent?alt=sse"), asked)).events()]
    need(any(at(chunk, "candidates", 0, "finishReason") for chunk in chunks), "no chunk has a finish reason")
    parts = [part for chunk in chunks for part in at(chunk, "candidates", 0, "content", "parts") or []]
    called = next((at(part, "functionCall") for part in parts if "functionCall" in part), None)
    if called is None:
        return [task.NOT_CALLED]
    need(called.get("name") == task.TOOL, f"the tool call names {called.get('name')!r}")
    task.arguments(called.get("args"))
    result = {"functionResponse": {"name": task.TOOL, "response": {"output": task.RESULT}}}
    if "id" in called:
        result["functionResponse"]["id"] = called["id"]
    again = _asked(_user({"text": task.CALL_IT}), {"role": "model", "parts": parts}, _user(result), tools=_TOOLS)
    answer = (await call.post(_path(call, "generateContent"), again)).json()
    need(at(answer, "candidates", 0, "finishReason"), "the answer to a tool's result has no finish reason")
    return []


async def counted(call: Call) -> list[str]:
    """The question countTokens is answered for the model."""
    answer = (await call.post(_path(call, "countTokens"), {"contents": [_user({"text": task.HELLO})]})).json()
    need(isinstance(at(answer, "totalTokens"), int), "the count is no number")
    return []

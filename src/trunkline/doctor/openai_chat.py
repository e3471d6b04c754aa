"""What OpenAI's SDK, and the many programs built on it, rely on: chat completions."""

from __future__ import annotations

from typing import Any

import msgspec

from trunkline.doctor import task
from trunkline.doctor.call import Call
from trunkline.doctor.finding import at, need

_PATH = "/v1/chat/completions"
_TOOLS = [{"type": "function", "function": {"name": task.TOOL, "description": task.ABOUT, "parameters": task.SCHEMA}}]


def _asked(call: Call, *messages: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"model": call.model, "max_completion_tokens": task.MAX_TOKENS, "messages": list(messages), **more}


def _user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


async def listed(call: Call) -> list[str]:
    """`models.list` shows the model."""
    names = [at(entry, "id") for entry in at((await call.get("/v1/models")).json(), "data") or []]
    return [] if call.model in names else ["the list of models does not name it (provider/model names are not listed)"]


async def whole(call: Call) -> list[str]:
    """An answer with text, finish reason and usage."""
    answer = (await call.post(_PATH, _asked(call, _user(task.HELLO)))).json()
    need(at(answer, "object") == "chat.completion", "the answer is no chat.completion")
    need(at(answer, "choices", 0, "finish_reason") in {"stop", "length"}, "the answer has no finish reason")
    need(isinstance(at(answer, "usage", "total_tokens"), int), "the answer tells no usage")
    return [] if at(answer, "choices", 0, "message", "content") else ["the answer has no text: max_tokens went into thinking"]


async def streamed(call: Call) -> list[str]:
    """A stream: role, text, finish reason, usage where it is asked for, [DONE]."""
    asked = _asked(call, _user(task.HELLO), stream=True, stream_options={"include_usage": True})
    *chunks, (_, last) = (await call.post(_PATH, asked)).events()
    need(last == "[DONE]", "the stream does not end with [DONE]")
    said = [chunk for _, chunk in chunks]
    need(any(at(chunk, "choices", 0, "finish_reason") for chunk in said), "no chunk has a finish reason")
    need(any(isinstance(at(chunk, "usage", "total_tokens"), int) for chunk in said), "no chunk tells the usage")
    return [] if any(at(chunk, "choices", 0, "delta", "content") for chunk in said) else ["the stream has no text"]


async def tools(call: Call) -> list[str]:
    """A tool call in a stream, its result, an answer."""
    first = _asked(call, _user(task.CALL_IT), tools=_TOOLS, stream=True)
    events = (await call.post(_PATH, first)).events()
    deltas = [part for _, chunk in events for part in at(chunk, "choices", 0, "delta", "tool_calls") or []]
    if not deltas:
        return [task.NOT_CALLED]
    mine = [part for part in deltas if at(part, "index") == at(deltas[0], "index")]
    name, ident = at(mine[0], "function", "name"), at(mine[0], "id")
    text = "".join(at(part, "function", "arguments") or "" for part in mine)
    need(name == task.TOOL, f"the tool call names {name!r}")
    need(ident, "the tool call has no id")
    task.arguments(text)
    need(
        any(at(chunk, "choices", 0, "finish_reason") == "tool_calls" for _, chunk in events),
        "the finish reason is not tool_calls",
    )
    called = {"id": ident, "type": "function", "function": {"name": name, "arguments": text}}
    said = {"role": "assistant", "content": None, "tool_calls": [called]}
    result = {"role": "tool", "tool_call_id": ident, "content": task.RESULT}
    answer = (await call.post(_PATH, _asked(call, _user(task.CALL_IT), said, result, tools=_TOOLS))).json()
    need(at(answer, "choices", 0, "finish_reason"), "the answer to a tool's result has no finish reason")
    return []


async def structured(call: Call) -> list[str]:
    """An answer by a JSON Schema."""
    form = {"type": "json_schema", "json_schema": {"name": "answer", "schema": task.ANSWER_SCHEMA, "strict": True}}
    answer = (await call.post(_PATH, _asked(call, _user(task.ASK_JSON), response_format=form))).json()
    if "response_format" not in call.dropped:
        task.number(at(answer, "choices", 0, "message", "content"))
    return []


async def pictures(call: Call) -> list[str]:
    """A picture as a data URL."""
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{task.PICTURE}"}}
    asked = _asked(call, _user([{"type": "text", "text": "What is this?"}, image]))
    answer = await call.send("POST", _PATH, msgspec.json.encode(asked))
    need(answer.status in {200, 400}, f"a picture is answered {answer.status}: {answer.start()}")
    told = answer.json()
    return [] if answer.status == 200 else [f"no pictures: {at(told, 'error', 'message')}"]


async def errors(call: Call) -> list[str]:
    """A model that is not there is a 404 that the SDK understands."""
    answer = await call.send("POST", _PATH, b'{"model":"no/such-model","messages":[]}')
    need(answer.status == 404, f"an unknown model is answered {answer.status}")
    need(at(answer.json(), "error", "message"), "the error has no message")
    return []

"""What Codex relies on: Responses, streamed and stateless, with the three shapes its tools have by the model's name."""

from __future__ import annotations

from typing import Any

from trunkline.doctor import task
from trunkline.doctor.call import Call
from trunkline.doctor.finding import at, need

_PATH = "/v1/responses"
_FUNCTION = {"type": "function", "name": task.TOOL, "description": task.ABOUT, "parameters": task.SCHEMA, "strict": False}
_SPACE = "doctor"


def _message(role: str, text: str) -> dict[str, Any]:
    return {"type": "message", "role": role, "content": [{"type": "input_text", "text": text}]}


def _asked(call: Call, *items: dict[str, Any], **more: Any) -> dict[str, Any]:
    start = [_message("developer", "You are a helpful program.")]
    return {
        "model": call.model,
        "input": [*start, *items],
        "stream": True,
        "store": False,
        "include": ["reasoning.encrypted_content"],
        "parallel_tool_calls": True,
        "text": {"verbosity": "low"},
        "max_output_tokens": task.MAX_TOKENS,
        **more,
    }


async def _items(call: Call, asked: dict[str, Any]) -> list[dict[str, Any]]:
    """The output items of a stream that is as it should be."""
    events = (await call.post(_PATH, asked)).events()
    need(all(at(data, "type") == name for name, data in events), "an event's name is not its type")
    numbers = [at(data, "sequence_number") for _, data in events]
    need(numbers == list(range(len(numbers))), "the sequence numbers are not contiguous")
    name, last = events[-1]
    need(name in {"response.completed", "response.incomplete"}, f"the stream ends with {name or 'no name'}")
    need(isinstance(at(last, "response", "usage", "output_tokens"), int), "the end tells no usage")
    return [data["item"] for name, data in events if name == "response.output_item.done"]


async def streamed(call: Call) -> list[str]:
    """A stream of named events with contiguous numbers, finished items, usage at the end."""
    items = await _items(call, _asked(call, _message("user", task.HELLO)))
    return [] if any(item["type"] == "message" for item in items) else ["the answer has no message"]


async def functions(call: Call) -> list[str]:
    """Functions and namespaces (Codex with a name it does not know), and the history back."""
    space = {"type": "namespace", "name": _SPACE, "description": "More.", "tools": [{**_FUNCTION, "name": "other"}]}
    return await _turn(call, tools=[_FUNCTION, space, {"type": "web_search"}])


async def custom(call: Call) -> list[str]:
    """A custom tool with a grammar (Codex with gpt-5.5)."""
    grammar = {"type": "grammar", "syntax": "lark", "definition": 'start: "Berlin"'}
    tool = {"type": "custom", "name": task.TOOL, "description": task.ABOUT, "format": grammar}
    return await _turn(call, tools=[tool])


async def additional(call: Call) -> list[str]:
    """Tools that come as an item of the input (Codex with gpt-5.6-sol and later)."""
    tool = {"type": "custom", "name": task.TOOL, "description": task.ABOUT}
    space = {"type": "namespace", "name": "functions", "description": "Tools.", "tools": [tool]}
    return await _turn(call, {"type": "additional_tools", "role": "developer", "tools": [space]}, parallel_tool_calls=False)


async def _turn(call: Call, *before: dict[str, Any], **more: Any) -> list[str]:
    question = _message("user", task.CALL_IT)
    items = await _items(call, _asked(call, *before, question, **more))
    called = next((item for item in items if item["type"] in {"function_call", "custom_tool_call"}), None)
    if called is None:
        return [task.NOT_CALLED]
    need(called.get("name") == task.TOOL, f"the tool call names {called.get('name')!r}")
    need(called.get("call_id"), "the tool call has no call_id")
    if called["type"] == "function_call":
        task.arguments(called.get("arguments"))
        result: dict[str, Any] = {"type": "function_call_output", "output": task.RESULT}
    else:
        need(isinstance(called.get("input"), str), "the custom tool call has no input")
        result = {"type": "custom_tool_call_output", "output": [{"type": "input_text", "text": task.RESULT}]}
    result["call_id"] = called["call_id"]
    await _items(call, _asked(call, *before, question, *items, result, **more))
    thought = [item for item in items if item["type"] == "reasoning"]
    open_state = thought and not all(item.get("encrypted_content") for item in thought)
    return ["reasoning comes without encrypted content: it is lost between turns"] if open_state else []

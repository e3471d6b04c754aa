"""A gateway or a provider that answers as a test says, for the contracts; and a model that calls the tool it is offered."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from harness.script import DONE, END, STREAM_HEADERS, Seen, chunk, event, head, whole
from harness.upstream import Upstream
from trunkline.doctor import task
from trunkline.doctor.call import Call
from trunkline.doctor.examine import Contract
from trunkline.doctor.finding import Broken
from trunkline.edge.client import Client
from trunkline.edge.timers import Sweep

MODEL = "lab/tiny"


def sse(*values: Any, done: bool = False, named: bool = False) -> bytes:
    """A whole event stream; `named`: each event is called by its `type`."""
    said = b"".join((b"event: %b\n" % str(value["type"]).encode() if named else b"") + event(value) for value in values)
    return whole(200, said + (DONE if done else b""), "text/event-stream")


def told(value: Any, status: int = 200, **headers: str) -> bytes:
    """A whole JSON answer."""
    return whole(status, json.dumps(value).encode(), headers=[(name.replace("_", "-"), said) for name, said in headers.items()])


def ask(contract: Contract, *answers: bytes) -> list[str] | str:
    """What a contract finds at a gateway that answers so: its remarks, or why it is broken."""
    with Upstream() as gateway:
        gateway.then(*([answer] for answer in answers))
        return asyncio.run(_ask(contract, gateway))


async def _ask(contract: Contract, gateway: Upstream) -> list[str] | str:
    loop = asyncio.get_running_loop()
    client = Client(loop, Sweep(loop))
    try:
        return await contract(Call(client, f"http://{gateway.host}:{gateway.port}", "tl-key", MODEL))
    except Broken as broken:
        return str(broken)
    finally:
        client.close()


def model(*, calls: bool = True) -> Callable[[Seen], list[bytes]]:
    """A provider of chat completions whose model does as it is told."""

    def answer(seen: Seen) -> list[bytes]:
        asked = seen.fields
        message, finish = _said(asked) if calls else ({"role": "assistant", "content": "Hello."}, "stop")
        usage = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}
        base = {"id": "chatcmpl-1", "created": 1, "model": "tiny"}
        if not asked.get("stream"):
            choice = {"index": 0, "message": message, "finish_reason": finish}
            return [told({**base, "object": "chat.completion", "choices": [choice], "usage": usage})]
        made = {name: value for name, value in message.items() if value is not None}
        made |= {"tool_calls": [{"index": 0, **one} for one in made["tool_calls"]]} if "tool_calls" in made else {}
        chunks = [{"index": 0, "delta": made, "finish_reason": None}, {"index": 0, "delta": {}, "finish_reason": finish}]
        events = [event({**base, "object": "chat.completion.chunk", "choices": [one]}) for one in chunks]
        events.append(event({**base, "object": "chat.completion.chunk", "choices": [], "usage": usage}))
        return [head(200, STREAM_HEADERS), *(chunk(one) for one in [*events, DONE]), END]

    return answer


def _said(asked: dict[str, Any]) -> tuple[dict[str, Any], str]:
    names = {tool["function"]["name"]: tool["function"] for tool in asked.get("tools") or ()}
    mine = next((name for name in names if name.endswith(task.TOOL)), None)
    done = any(message["role"] == "tool" for message in asked["messages"])
    if mine is not None and not done and task.CALL_IT in json.dumps(asked["messages"]):
        known = names[mine].get("parameters", {}).get("properties", {})
        arguments = json.dumps(dict.fromkeys(known, "Berlin"))
        call = {"id": "call_1", "type": "function", "function": {"name": mine, "arguments": arguments}}
        return {"role": "assistant", "content": None, "tool_calls": [call]}, "tool_calls"
    text = '{"number": 42}' if "response_format" in asked else "Hello."
    return {"role": "assistant", "content": text}, "stop"

"""Each official SDK through the gateway to each kind of provider, two rounds of tools: thinking and signatures come back.

What is handed back is what a program would: where an answer came whole, the SDK's own object; where it was streamed, what
its documentation says to keep, which is less. What a client has no place for, or leaves out, is the gateway's memory.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import anthropic
import ollama
import openai
import pytest
from google import genai
from google.genai import types

from harness.gateway import KEY
from real.line import KINDS, Line, via
from real.scripted import COMMANDS, PRINTED

SHELL = {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]}
QUESTION = "Which number is it?"
FUNCTION: Any = {"type": "function", "function": {"name": "bash", "description": "Run it.", "parameters": SHELL}}


def run(command: str) -> str:
    """What the command prints, without a shell."""
    return PRINTED[COMMANDS.index(command)]


def openai_loop(url: str, model: str, *, stream: bool) -> str:
    """Chat completions."""
    messages: list[Any] = [{"role": "system", "content": "Be exact."}, {"role": "user", "content": QUESTION}]
    with openai.OpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0, timeout=20) as client:
        while True:
            ask: Any = {"model": model, "messages": messages, "tools": [FUNCTION], "max_tokens": 9000}
            if stream:
                message = _streamed(client.chat.completions.create(**ask, stream=True))
            else:
                message = client.chat.completions.create(**ask).choices[0].message.to_dict()
            messages.append(message)
            if not message.get("tool_calls"):
                return str(message["content"])
            for call in message["tool_calls"]:
                printed = run(json.loads(call["function"]["arguments"])["command"])
                messages.append({"role": "tool", "tool_call_id": call["id"], "content": printed})


def _streamed(chunks: Any) -> Any:
    """The message of a stream: text and calls, as most programs put it together."""
    text = ""
    calls: dict[int, dict[str, Any]] = {}
    for chunk in chunks:
        for choice in chunk.choices:
            text += choice.delta.content or ""
            for piece in choice.delta.tool_calls or ():
                call = calls.setdefault(piece.index, {"type": "function", "function": {"name": "", "arguments": ""}})
                call |= {"id": piece.id} if piece.id else {}
                call["function"]["name"] += piece.function.name or ""
                call["function"]["arguments"] += piece.function.arguments or ""
    return {"role": "assistant", "content": text, **({"tool_calls": list(calls.values())} if calls else {})}


def anthropic_loop(url: str, model: str, *, stream: bool) -> str:
    """Anthropic's messages."""
    messages: list[Any] = [{"role": "user", "content": QUESTION}]
    tools: Any = [{"name": "bash", "description": "Run it.", "input_schema": SHELL}]
    with anthropic.Anthropic(base_url=url, api_key=KEY, max_retries=0, timeout=20) as client:
        while True:
            ask: Any = {"model": model, "system": "Be exact.", "messages": messages, "tools": tools, "max_tokens": 9000}
            if stream:
                with client.messages.stream(**ask) as events:
                    answer: Any = events.get_final_message()
            else:
                answer = client.messages.create(**ask)
            messages.append({"role": "assistant", "content": answer.content})
            calls = [block for block in answer.content if block.type == "tool_use"]
            if not calls:
                return "".join(block.text for block in answer.content if block.type == "text")
            results = [{"type": "tool_result", "tool_use_id": one.id, "content": run(one.input["command"])} for one in calls]
            messages.append({"role": "user", "content": results})


def genai_loop(url: str, model: str, *, stream: bool) -> str:
    """Gemini's generateContent."""
    contents: list[Any] = [types.Content(role="user", parts=[types.Part(text=QUESTION)])]
    declared = types.FunctionDeclaration(name="bash", description="Run it.", parameters_json_schema=SHELL)
    config = types.GenerateContentConfig(
        system_instruction="Be exact.",
        tools=[types.Tool(function_declarations=[declared])],
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
    )
    with genai.Client(api_key=KEY, http_options=types.HttpOptions(base_url=url, timeout=20_000)) as client:
        while True:
            ask: Any = {"model": model, "contents": contents, "config": config}
            models = client.models
            chunks = list(models.generate_content_stream(**ask)) if stream else [models.generate_content(**ask)]
            parts = [part for chunk in chunks for part in chunk.parts or ()]
            if stream:
                parts = [part for part in parts if not part.thought]
            contents.append(types.Content(role="model", parts=parts))
            calls = [part.function_call for part in parts if part.function_call is not None]
            if not calls:
                return "".join(part.text or "" for part in parts)
            results = [_result(call) for call in calls]
            contents.append(types.Content(role="user", parts=results))


def _result(call: types.FunctionCall) -> types.Part:
    printed = run(str((call.args or {})["command"]))
    return types.Part(function_response=types.FunctionResponse(id=call.id, name=call.name, response={"output": printed}))


def ollama_loop(url: str, model: str, *, stream: bool) -> str:
    """Ollama's own chat."""
    messages: list[Any] = [{"role": "system", "content": "Be exact."}, {"role": "user", "content": QUESTION}]
    with ollama.Client(host=url, headers={"authorization": f"Bearer {KEY}"}, timeout=20) as client:
        while True:
            if stream:
                lines = list(client.chat(model, messages, tools=[FUNCTION], stream=True))
                calls = [call for line in lines for call in line.message.tool_calls or ()]
                text = "".join(line.message.content or "" for line in lines)
                messages.append({"role": "assistant", "content": text, "tool_calls": calls})
            else:
                message = client.chat(model, messages, tools=[FUNCTION]).message
                messages.append(message)
                calls, text = list(message.tool_calls or ()), message.content or ""
            if not calls:
                return text
            for call in calls:
                printed = run(str(call.function.arguments["command"]))
                messages.append({"role": "tool", "tool_name": call.function.name, "content": printed})


Loop = Callable[..., str]
LOOPS: dict[str, Loop] = {
    "openai": openai_loop,
    "anthropic": anthropic_loop,
    "google-genai": genai_loop,
    "ollama": ollama_loop,
}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sdk", LOOPS)
def test_two_rounds_of_tools(sdk: str, kind: str, stream: bool, line: Line) -> None:
    """A model that thinks between its tools must find its own thoughts again, whoever carried them in between."""
    told = LOOPS[sdk](line.url, via(kind), stream=stream)
    assert told == "It printed: " + " / ".join(PRINTED)
    forgetful = stream and (sdk, kind) in {("openai", "deepseek"), ("ollama", "ollama")}  # as if it were asked directly
    line.check_turns(kind, thoughts=not forgetful)
    line.check_quiet()

"""A conversation with tools as a user of each SDK writes it: the answer goes back as the SDK's own object, results behind it.

A variant keeps of an answer only what OpenAI's documentation names, as many programs do.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from conformance.asked import Asked, Item, Tool, Turn
from conformance.clients import Anthropic, Client, Gemini, Ollama, OpenAI, Responses
from conformance.plays import CALLS, RESULTS
from conformance.said import Json

FIRST = "What is the weather and the time in Paris?"
NEXT = "And tomorrow?"
SYSTEM = "You are a weather service."
_TOOLS = tuple(
    Tool(name, f"Tells {name}.", {"type": "object", "properties": {key: {"description": key} for key in arguments}})
    for name, arguments in CALLS
)


def opening(question: str) -> Asked:
    """The first turn."""
    turns = (Turn("user", (Item("text", question),)),)
    return Asked(system=(SYSTEM,), turns=turns, tools=_TOOLS, max_tokens=4096, thinks=True)


_HISTORIES: dict[type[Client], str] = {Gemini: "contents", Responses: "input"}
_NUMBERS = itertools.count(1)


class Talker:
    """One conversation. `say` sends it as it stands and takes the answer into it."""

    def __init__(self, client: Client, model: str, *, bare: bool = False) -> None:
        self.client = client
        self.model = model
        self.bare = bare
        self.question = f"{FIRST} ({next(_NUMBERS)})"  # no two conversations are alike
        self.arguments: Json = type(client).arguments(opening(self.question))
        self.history: list[Any] = self.arguments[_HISTORIES.get(type(client), "messages")]
        self.calls: list[tuple[str, str]] = []
        """Id and name of the calls in the last answer."""

    def say(self, stream: bool) -> None:
        """Ask, and keep the answer as the SDK gave it. Raises what the SDK raises."""
        _SAY[type(self.client)](self, stream)

    def results(self) -> None:
        """Hand over what the tools said."""
        _RESULTS[type(self.client)](self)

    def user(self, text: str) -> None:
        """Say something else."""
        _USER[type(self.client)](self, text)


def _openai(talk: Talker, stream: bool) -> None:
    assert isinstance(talk.client, OpenAI)
    completions = talk.client.sdk.chat.completions
    if stream:
        with completions.stream(model=talk.model, **talk.arguments) as events:
            message = events.get_final_completion().choices[0].message
    else:
        message = completions.create(model=talk.model, **talk.arguments).choices[0].message
    dumped = message.to_dict(warnings=False)
    talk.calls = [(call["id"], call["function"]["name"]) for call in dumped.get("tool_calls") or ()]
    if talk.bare:
        calls = [
            {"id": call["id"], "type": "function", "function": {name: call["function"][name] for name in ("name", "arguments")}}
            for call in dumped.get("tool_calls") or ()
        ]
        dumped = {"role": "assistant", "content": dumped["content"], **({"tool_calls": calls} if calls else {})}
    talk.history.append(dumped)


def _openai_results(talk: Talker) -> None:
    for (ident, _), text in zip(talk.calls, RESULTS, strict=True):
        talk.history.append({"role": "tool", "tool_call_id": ident, "content": text})


def _plain_user(talk: Talker, text: str) -> None:
    talk.history.append({"role": "user", "content": text})


def _responses(talk: Talker, stream: bool) -> None:
    """The bare one hands back what was said and called, not what was thought."""
    assert isinstance(talk.client, Responses)
    if stream:
        with talk.client.sdk.responses.stream(model=talk.model, **talk.arguments) as events:
            answer = events.get_final_response()
    else:
        answer = talk.client.sdk.responses.create(model=talk.model, **talk.arguments)
    items = [item.to_dict(warnings=False) for item in answer.output]
    for item in items:
        item.pop("parsed_arguments", None)  # the helper's own
        for part in item.get("content") or ():
            part.pop("parsed", None)
    talk.calls = [(item["call_id"], item["name"]) for item in items if item["type"] == "function_call"]
    if talk.bare:
        items = [{**item, "id": None} for item in items if item["type"] != "reasoning"]
        items = [{name: value for name, value in item.items() if value is not None} for item in items]
    talk.history.extend(items)


def _responses_results(talk: Talker) -> None:
    for (ident, _), text in zip(talk.calls, RESULTS, strict=True):
        talk.history.append({"type": "function_call_output", "call_id": ident, "output": text})


def _anthropic(talk: Talker, stream: bool) -> None:
    assert isinstance(talk.client, Anthropic)
    messages = talk.client.sdk.messages
    if stream:
        with messages.stream(model=talk.model, **talk.arguments) as events:
            message = events.get_final_message()
    else:
        message = messages.create(model=talk.model, **talk.arguments)
    talk.calls = [(block.id, block.name) for block in message.content if block.type == "tool_use"]
    talk.history.append({"role": "assistant", "content": message.content})


def _anthropic_results(talk: Talker) -> None:
    content = [
        {"type": "tool_result", "tool_use_id": ident, "content": text}
        for (ident, _), text in zip(talk.calls, RESULTS, strict=True)
    ]
    talk.history.append({"role": "user", "content": content})


def _gemini(talk: Talker, stream: bool) -> None:
    assert isinstance(talk.client, Gemini)
    models = talk.client.sdk.models
    if stream:
        chunks = list(models.generate_content_stream(model=talk.model, **talk.arguments))
        parts = [
            part for chunk in chunks for content in [chunk.candidates[0].content] if content for part in content.parts or ()
        ]
    else:
        parts = models.generate_content(model=talk.model, **talk.arguments).candidates[0].content.parts or []
    calls = [part.function_call for part in parts if part.function_call]
    talk.calls = [(call.id or "", call.name or "") for call in calls]
    talk.history.append({"role": "model", "parts": [part.model_dump(exclude_none=True) for part in parts]})


def _gemini_results(talk: Talker) -> None:
    """`Part.from_function_response` names no id, so most programs name none; `bare` is the one that does."""
    parts = []
    for (ident, name), text in zip(talk.calls, RESULTS, strict=True):
        told = {"name": name, "response": {"output": text}, **({"id": ident} if talk.bare and ident else {})}
        parts.append({"function_response": told})
    talk.history.append({"role": "user", "parts": parts})


def _gemini_user(talk: Talker, text: str) -> None:
    talk.history.append({"role": "user", "parts": [{"text": text}]})


def _ollama(talk: Talker, stream: bool) -> None:
    assert isinstance(talk.client, Ollama)
    if not stream:
        message = talk.client.sdk.chat(model=talk.model, **talk.arguments).message
        talk.calls = [("", call.function.name) for call in message.tool_calls or ()]
        talk.history.append(message)
        return
    content, thinking, calls = "", "", []
    for line in talk.client.sdk.chat(model=talk.model, stream=True, **talk.arguments):
        content, thinking = content + (line.message.content or ""), thinking + (line.message.thinking or "")
        calls += line.message.tool_calls or ()
    talk.calls = [("", call.function.name) for call in calls]
    told = {"role": "assistant", "content": content, "thinking": thinking, "tool_calls": calls or None}
    talk.history.append({name: value for name, value in told.items() if value})


def _ollama_results(talk: Talker) -> None:
    for (_, name), text in zip(talk.calls, RESULTS, strict=True):
        talk.history.append({"role": "tool", "tool_name": name, "content": text})


_SAY: dict[type[Client], Callable[[Talker, bool], None]] = {
    OpenAI: _openai, Responses: _responses, Anthropic: _anthropic, Gemini: _gemini, Ollama: _ollama,
}  # fmt: skip
_RESULTS: dict[type[Client], Callable[[Talker], None]] = {
    OpenAI: _openai_results, Responses: _responses_results, Anthropic: _anthropic_results, Gemini: _gemini_results,
    Ollama: _ollama_results,
}  # fmt: skip
_USER: dict[type[Client], Callable[[Talker, str], None]] = {
    OpenAI: _plain_user, Responses: _plain_user, Anthropic: _plain_user, Gemini: _gemini_user, Ollama: _plain_user,
}  # fmt: skip
TALKERS = {
    "openai": ("openai", False),
    "openai-bare": ("openai", True),
    "responses": ("responses", False),
    "responses-bare": ("responses", True),
    "anthropic": ("anthropic", False),
    "gemini": ("gemini", False),
    "gemini-ids": ("gemini", True),
    "ollama": ("ollama", False),
}
"""Name of a way to talk: its client, and whether it is the `bare` one."""

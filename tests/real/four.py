"""One question, asked by each of the four official SDKs, and what each was told, in one form.

Where they ask, and what must be equal, is in the test.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import anthropic
import ollama
import openai
from google import genai
from google.genai import types

MAX_TOKENS = 60


@dataclass(frozen=True)
class Question:
    """A question that every dialect can ask."""

    text: str = "Hällo 漢字 👩‍🚀"
    system: str = ""
    before: tuple[tuple[str, str], ...] = ()
    """What was said before: role (`user` or `assistant`) and text."""
    result: str = ""
    """What the first tool said, when it was called after `before`; `text` is not asked then."""
    tools: bool = False
    stop: tuple[str, ...] = ()
    schema: dict[str, Any] | None = field(default=None, hash=False)
    max_tokens: int = MAX_TOKENS


PARAMETERS = {
    "type": "object",
    "properties": {"colour": {"type": "string", "enum": ["red", "blue"]}},
    "required": ["colour"],
}
ARGUMENTS = {"colour": "red"}
TOOL = ("paint", "Paint it.")
CALL_ID = "call_1"


@dataclass(frozen=True)
class Told:
    """An answer. `finish` is OpenAI's word; `given` and `made` are the tokens of prompt and answer."""

    text: str
    calls: tuple[tuple[str, str], ...]
    """Name and arguments, as JSON in one spelling."""
    finish: str
    given: int
    made: int


@dataclass(frozen=True)
class Place:
    """Where to ask, as whom, for what."""

    url: str
    key: str
    model: str


def _call(name: str, arguments: Any) -> tuple[str, str]:
    read = json.loads(arguments) if isinstance(arguments, str) else dict(arguments)
    return name, json.dumps(read, sort_keys=True)


# openai -----------------------------------------------------------------------------------------------------------------


def _chat_messages(question: Question) -> list[dict[str, Any]]:
    messages = [{"role": "system", "content": question.system}] if question.system else []
    messages += [{"role": role, "content": text} for role, text in question.before]
    if not question.result:
        return [*messages, {"role": "user", "content": question.text}]
    function = {"name": TOOL[0], "arguments": json.dumps(ARGUMENTS)}
    called: Any = {"role": "assistant", "content": None}
    called["tool_calls"] = [{"id": CALL_ID, "type": "function", "function": function}]
    return [*messages, called, {"role": "tool", "tool_call_id": CALL_ID, "content": question.result}]


def by_openai(place: Place, question: Question, *, stream: bool) -> Told:
    """OpenAI's chat completions."""
    ask: dict[str, Any] = {"messages": _chat_messages(question), "temperature": 0, "max_tokens": question.max_tokens}
    if question.tools:
        function = {"name": TOOL[0], "description": TOOL[1], "parameters": PARAMETERS}
        ask["tools"] = [{"type": "function", "function": function}]
    if question.stop:
        ask["stop"] = list(question.stop)
    if question.schema is not None:
        form = {"name": "answer", "schema": question.schema, "strict": True}
        ask["response_format"] = {"type": "json_schema", "json_schema": form}
    with openai.OpenAI(base_url=f"{place.url}/v1", api_key=place.key, max_retries=0, timeout=30) as client:
        completions = client.chat.completions
        if stream:
            return _chunks(completions.create(model=place.model, **ask, stream=True, stream_options={"include_usage": True}))
        answer = completions.create(model=place.model, **ask)
    (choice,) = answer.choices
    calls = tuple(_call(call.function.name, call.function.arguments) for call in choice.message.tool_calls or ())
    text = choice.message.content or ""
    return Told(text, calls, choice.finish_reason, answer.usage.prompt_tokens, answer.usage.completion_tokens)


def _chunks(chunks: Iterable[Any]) -> Told:
    """A stream put together as its documentation says."""
    text, finishes, usages = "", [], []
    calls: dict[int, list[str]] = {}
    for chunk in chunks:
        usages += [chunk.usage] if chunk.usage is not None else []
        for choice in chunk.choices:
            text += choice.delta.content or ""
            finishes += [choice.finish_reason] if choice.finish_reason else []
            for call in choice.delta.tool_calls or ():
                made = calls.setdefault(call.index, ["", ""])
                made[0] += call.function.name or ""
                made[1] += call.function.arguments or ""
    (finish,), (usage,) = finishes, usages
    found = tuple(_call(*made) for made in calls.values())
    return Told(text, found, finish, usage.prompt_tokens, usage.completion_tokens)


# anthropic --------------------------------------------------------------------------------------------------------------

_STOPS = {"end_turn": "stop", "stop_sequence": "stop", "max_tokens": "length", "tool_use": "tool_calls"}


def by_anthropic(place: Place, question: Question, *, stream: bool) -> Told:
    """Anthropic's messages."""
    messages: list[Any] = [{"role": role, "content": text} for role, text in question.before]
    if question.result:
        called = {"type": "tool_use", "id": CALL_ID, "name": TOOL[0], "input": ARGUMENTS}
        result = {"type": "tool_result", "tool_use_id": CALL_ID, "content": question.result}
        messages += [{"role": "assistant", "content": [called]}, {"role": "user", "content": [result]}]
    else:
        messages.append({"role": "user", "content": question.text})
    ask: dict[str, Any] = {"messages": messages, "max_tokens": question.max_tokens, "extra_body": {"temperature": 0}}
    if question.system:
        ask["system"] = question.system
    if question.tools:
        ask["tools"] = [{"name": TOOL[0], "description": TOOL[1], "input_schema": PARAMETERS}]
    if question.stop:
        ask["stop_sequences"] = list(question.stop)
    if question.schema is not None:
        ask["output_config"] = {"format": {"type": "json_schema", "schema": question.schema}}
    with anthropic.Anthropic(base_url=place.url, api_key=place.key, max_retries=0, timeout=30) as client:
        if stream:
            with client.messages.stream(model=place.model, **ask) as events:
                answer: Any = events.get_final_message()
        else:
            answer = client.messages.create(model=place.model, **ask)
    text = "".join(block.text for block in answer.content if block.type == "text")
    calls = tuple(_call(block.name, block.input) for block in answer.content if block.type == "tool_use")
    usage = answer.usage
    given = usage.input_tokens + (usage.cache_read_input_tokens or 0) + (usage.cache_creation_input_tokens or 0)
    return Told(text, calls, _STOPS[answer.stop_reason], given, usage.output_tokens)


# google-genai -----------------------------------------------------------------------------------------------------------


def _contents(question: Question) -> list[dict[str, Any]]:
    roles = {"assistant": "model"}
    contents: list[dict[str, Any]] = [
        {"role": roles.get(role, role), "parts": [{"text": text}]} for role, text in question.before
    ]
    if not question.result:
        return [*contents, {"role": "user", "parts": [{"text": question.text}]}]
    called = {"function_call": {"name": TOOL[0], "args": ARGUMENTS}}
    result = {"function_response": {"name": TOOL[0], "response": {"output": question.result}}}
    return [*contents, {"role": "model", "parts": [called]}, {"role": "user", "parts": [result]}]


def by_genai(place: Place, question: Question, *, stream: bool) -> Told:
    """Gemini's generateContent."""
    config: dict[str, Any] = {"temperature": 0, "max_output_tokens": question.max_tokens}
    if question.system:
        config["system_instruction"] = question.system
    if question.tools:
        declared = {"name": TOOL[0], "description": TOOL[1], "parameters_json_schema": PARAMETERS}
        config["tools"] = [{"function_declarations": [declared]}]
        config["automatic_function_calling"] = {"disable": True}
    if question.stop:
        config["stop_sequences"] = list(question.stop)
    if question.schema is not None:
        config |= {"response_mime_type": "application/json", "response_json_schema": question.schema}
    ask: dict[str, Any] = {"model": place.model, "contents": _contents(question), "config": config}
    options = types.HttpOptions(base_url=place.url, timeout=30_000)
    with genai.Client(api_key=place.key, http_options=options) as client:
        models = client.models
        chunks = list(models.generate_content_stream(**ask)) if stream else [models.generate_content(**ask)]
    candidates = [candidate for chunk in chunks for candidate in chunk.candidates or ()]
    parts = [part for one in candidates if one.content is not None for part in one.content.parts or ()]
    found = [part.function_call for part in parts if part.function_call is not None]
    calls = tuple(_call(call.name or "", call.args or {}) for call in found)
    (finish,) = [one.finish_reason.name for one in candidates if one.finish_reason is not None]
    reason = "tool_calls" if calls else {"STOP": "stop", "MAX_TOKENS": "length"}[finish]
    usage = chunks[-1].usage_metadata
    assert usage is not None
    made = (usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0)
    return Told("".join(part.text or "" for part in parts), calls, reason, usage.prompt_token_count or 0, made)


# ollama -----------------------------------------------------------------------------------------------------------------


def by_ollama(place: Place, question: Question, *, stream: bool) -> Told:
    """Ollama's own chat."""
    messages = _chat_messages(question)
    if question.result:
        messages[-2] = {"role": "assistant", "tool_calls": [{"function": {"name": TOOL[0], "arguments": ARGUMENTS}}]}
        messages[-1] = {"role": "tool", "tool_name": TOOL[0], "content": question.result}
    options: dict[str, Any] = {"temperature": 0, "num_predict": question.max_tokens}
    if question.stop:
        options["stop"] = list(question.stop)
    ask: dict[str, Any] = {"model": place.model, "messages": messages, "options": options}
    if question.tools:
        function = {"name": TOOL[0], "description": TOOL[1], "parameters": PARAMETERS}
        ask["tools"] = [{"type": "function", "function": function}]
    if question.schema is not None:
        ask["format"] = question.schema
    with ollama.Client(host=place.url, headers={"authorization": f"Bearer {place.key}"}, timeout=30) as client:
        lines: list[Any] = list(client.chat(**ask, stream=True)) if stream else [client.chat(**ask)]
    text = "".join(line.message.content or "" for line in lines)
    made = [call.function for line in lines for call in line.message.tool_calls or ()]
    calls = tuple(_call(function.name, function.arguments) for function in made)
    last = lines[-1]
    assert [line.done for line in lines] == [False] * (len(lines) - 1) + [True]
    return Told(text, calls, "tool_calls" if calls else last.done_reason, last.prompt_eval_count, last.eval_count)


Asker = Callable[..., Told]
SDKS: dict[str, Asker] = {"openai": by_openai, "anthropic": by_anthropic, "google-genai": by_genai, "ollama": by_ollama}

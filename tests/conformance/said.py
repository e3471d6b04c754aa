"""What a provider's answer says, read with the standard library and no code of ours.

The yardstick of `test_answers`: text, thinking, tool calls, finish, usage and opaque state of an answer of any API,
whole or streamed. The words in which clients see the same are read in `clients`; requests are read in `asked`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from conformance import said_more
from conformance.words import Call, Json, Said, Spent, decoded, finish_of


def said(endpoint: str, status: int, body: bytes) -> Said:
    """What this answer says."""
    if status != 200:
        return Said(error=message_of(body), status=status)
    told = said_more.frames(body) if endpoint == "bedrock.converse_stream" else objects(body)
    return reading(endpoint, list(told))


def reading(endpoint: str, told: list[Json]) -> Said:
    """What these objects say: the only one of a whole answer, or all of a stream."""
    family = endpoint.partition(".")[0] if endpoint.startswith(("gemini", "bedrock")) else endpoint
    found = _READERS[family](one for one in told if not _failed(one))
    failed = next(filter(_failed, told), None)
    return found._replace(error=_message(failed)) if failed is not None else found


# the frames --------------------------------------------------------------------------------------------------------------


def objects(body: bytes) -> Iterator[Json]:
    """The JSON objects of an answer: of a whole one, an event stream, a JSON array or lines of JSON."""
    text = body.decode("utf-8-sig", errors="replace").strip()
    if re.match(r"(data|event|id|retry)?:", text):
        for event in re.split(r"\r\n\r\n|\n\n|\r\r", text):
            yield from _event(event)
        return
    try:
        whole = json.loads(text)
    except ValueError:
        whole = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    yield from (one for one in (whole if isinstance(whole, list) else [whole]) if isinstance(one, dict))


def _event(event: str) -> Iterator[Json]:
    fields = [line.partition(":") for line in re.split(r"\r\n|\n|\r", event)]
    name = next((value.strip() for field, _, value in fields if field == "event"), "")
    data = "\n".join(value.removeprefix(" ") for field, _, value in fields if field == "data")
    if not data or data.strip() == "[DONE]":
        return
    found = json.loads(data)
    yield {"error": found} if name == "error" and not _failed(found) else found


# errors ------------------------------------------------------------------------------------------------------------------


def _failed(told: Json) -> bool:
    return bool(told.get("error")) or told.get("type") in {"error", "response.failed"}


def message_of(body: bytes) -> str:
    """The words of an error answer, whatever its shape; a text as it is."""
    try:
        told = json.loads(body)
    except ValueError:
        return body.decode(errors="replace").strip()
    return _message(told[0] if isinstance(told, list) and told else told)


def _message(told: Any) -> str:
    if isinstance(told, str):
        return told
    if isinstance(told, list):
        return _message(told[0]) if told else ""
    if not isinstance(told, dict):
        return ""
    words = ("error", "message", "detail", "msg", "data", "response")
    found = (_message(told.get(name)) for name in words if told.get(name))
    return next(filter(None, found), "")


# OpenAI's form ------------------------------------------------------------------------------------------------------------


def openai_spent(usage: Json) -> Spent | None:
    """Some count thoughts outside of the completion, but all inside of the total."""
    if "prompt_tokens" not in usage:
        return None
    prompt, completion = usage["prompt_tokens"], usage.get("completion_tokens") or 0
    inside, outside = usage.get("prompt_tokens_details") or {}, usage.get("completion_tokens_details") or {}
    output = usage.get("total_tokens", prompt + completion) - prompt
    read = inside.get("cached_tokens", usage.get("prompt_cache_hit_tokens", usage.get("cached_tokens"))) or 0
    reasoning = outside.get("reasoning_tokens") or output - completion
    return Spent(prompt, min(prompt, read), inside.get("cache_write_tokens") or 0, output, reasoning)


def openai_thinking(message: Json) -> str:
    """Under whichever name it stands; OpenRouter tells it twice."""
    plain = message.get("reasoning_content") or message.get("reasoning")
    if isinstance(plain, str):
        return plain
    details = "".join(one.get("text") or one.get("summary") or "" for one in message.get("reasoning_details") or ())
    content = message.get("content")
    parts = content if isinstance(content, list) else []
    return details or "".join(
        inner.get("text", "") for part in parts if part.get("type") == "thinking" for inner in part["thinking"]
    )


def openai_text(content: Any) -> str:
    """A text, or the texts among parts."""
    if isinstance(content, list):
        return "".join(part.get("text", "") for part in content if part.get("type") == "text")
    return content or ""


def openai_seals(message: Json) -> list[str]:
    """Of the details of reasoning, of a text, of tool calls."""
    found = [one.get("signature") or one.get("data") for one in message.get("reasoning_details") or ()]
    holders = [message, *(message.get("tool_calls") or ())]
    extra = [((one.get("extra_content") or {}).get("google") or {}).get("thought_signature") for one in holders]
    return [seal for seal in [*found, *extra] if seal]


class OpenAIParts:
    """Grows by messages or deltas of one choice."""

    def __init__(self) -> None:
        self._text, self._thinking, self._refusal = "", "", ""
        self._calls: dict[Any, list[str]] = {}
        self._seals: list[str] = []
        self.finish = ""
        self.spent: Spent | None = None

    def add(self, message: Json) -> None:
        """One message, or one delta of a message."""
        self._text += openai_text(message.get("content"))
        self._thinking += openai_thinking(message)
        self._refusal += message.get("refusal") or ""
        self._seals += openai_seals(message)
        old = message.get("function_call")
        for place, call in enumerate(message.get("tool_calls") or ([{"function": old}] if old else [])):
            told = call["function"]
            where = call.get("index")
            where = place if where is None else where
            if call.get("id") and where in self._calls and self._calls[where][2] not in {"", call["id"]}:
                where = call["id"]  # some count every call as the first
            grown = self._calls.setdefault(where, ["", "", ""])
            grown[0] += told.get("name") or "" if not grown[0] else ""
            grown[1] += told.get("arguments") or ""
            grown[2] = grown[2] or call.get("id") or ""

    def said(self) -> Said:
        """All of it."""
        calls = tuple(Call(name, decoded(arguments), ident) for name, arguments, ident in self._calls.values())
        finish = finish_of(self.finish, bool(calls))
        return Said(
            self._text, self._thinking, calls, finish, self.spent, tuple(self._seals), refusal=self._refusal
        )  # fmt: skip


def _openai(told: Iterable[Json]) -> Said:
    parts = OpenAIParts()
    for one in told:
        first = next((choice for choice in one.get("choices") or () if not choice.get("index")), {})
        parts.add(first.get("message") or first.get("delta") or {})
        parts.finish = first.get("finish_reason") or parts.finish
        usage = one.get("usage") or (one.get("x_groq") or {}).get("usage")
        parts.spent = (openai_spent(usage) if usage else None) or parts.spent
    return parts.said()


# Anthropic ---------------------------------------------------------------------------------------------------------------


def anthropic_spent(usage: Json) -> Spent:
    """Its input is what was neither read from a cache nor written to one."""
    read, written = usage.get("cache_read_input_tokens") or 0, usage.get("cache_creation_input_tokens") or 0
    thought = (usage.get("output_tokens_details") or {}).get("thinking_tokens") or 0
    return Spent((usage.get("input_tokens") or 0) + read + written, read, written, usage.get("output_tokens") or 0, thought)


def anthropic_blocks(blocks: Iterable[Json]) -> Said:
    """The content of a message."""
    blocks = list(blocks)
    seals = [block.get("signature") if block["type"] == "thinking" else block.get("data") for block in blocks
             if block["type"] in {"thinking", "redacted_thinking"}]  # fmt: skip
    return Said(
        text="".join(block["text"] for block in blocks if block["type"] == "text"),
        thinking="".join(block["thinking"] for block in blocks if block["type"] == "thinking"),
        calls=tuple(Call(block["name"], block["input"], block["id"]) for block in blocks if block["type"] == "tool_use"),
        seals=tuple(filter(None, seals)),
    )


def _anthropic(told: Iterable[Json]) -> Said:
    blocks: dict[int, Json] = {}
    inputs: dict[int, str] = {}
    usage: Json = {}
    reason = refusal = ""
    for one in told:
        match one.get("type"):
            case "message":
                blocks, usage, reason = dict(enumerate(one["content"])), one["usage"], one["stop_reason"]
                refusal = (one.get("stop_details") or {}).get("explanation") or ""
            case "message_start":
                usage = one["message"]["usage"]
            case "content_block_start":
                blocks[one["index"]] = dict(one["content_block"])
            case "content_block_delta":
                _grow(blocks[one["index"]], one["delta"], inputs, one["index"])
            case "message_delta":
                reason = one["delta"].get("stop_reason") or reason
                refusal = (one["delta"].get("stop_details") or {}).get("explanation") or refusal
                usage = {**usage, **{name: count for name, count in one["usage"].items() if count is not None}}
    for index, text in inputs.items():
        blocks[index]["input"] = decoded(text)
    found = anthropic_blocks(blocks.values())
    spent = anthropic_spent(usage) if usage else None
    return found._replace(finish=finish_of(reason, bool(found.calls)), spent=spent, refusal=refusal)


def _grow(block: Json, delta: Json, inputs: dict[int, str], index: int) -> None:
    for name in ("text", "thinking", "signature"):
        if name in delta:
            block[name] = block.get(name, "") + delta[name]
    if "partial_json" in delta:
        inputs[index] = inputs.get(index, "") + delta["partial_json"]


# Gemini ------------------------------------------------------------------------------------------------------------------


def gemini_spent(usage: Json) -> Spent | None:
    """Thoughts stand beside the candidates, what tools read beside the prompt."""
    if "promptTokenCount" not in usage:
        return None
    thought = usage.get("thoughtsTokenCount") or 0
    return Spent(
        usage["promptTokenCount"] + (usage.get("toolUsePromptTokenCount") or 0),
        usage.get("cachedContentTokenCount") or 0,
        0,
        (usage.get("candidatesTokenCount") or 0) + thought,
        thought,
    )


def _gemini(told: Iterable[Json]) -> Said:
    parts, reason, spent = _GeminiParts(), "", None
    for one in told:
        spent = gemini_spent(one.get("usageMetadata") or {}) or spent
        reason = "SAFETY" if (one.get("promptFeedback") or {}).get("blockReason") else reason
        for candidate in (one.get("candidates") or [])[:1]:
            reason = candidate.get("finishReason") or reason
            for part in (candidate.get("content") or {}).get("parts") or ():
                parts.add(part)
    calls = tuple(Call(call.get("name", ""), call.get("args") or {}, call.get("id", "")) for call in parts.calls)
    return Said(
        parts.told[False], parts.told[True], calls, finish_of(reason, bool(calls)), spent, tuple(parts.seals)
    )  # fmt: skip


class _GeminiParts:
    """Grows by the parts of a candidate; arguments may come in pieces (Vertex)."""

    def __init__(self) -> None:
        self.told = {False: "", True: ""}
        self.calls: list[Json] = []
        self.seals: list[str] = []
        self._goes_on = False

    def add(self, part: Json) -> None:
        self.told[bool(part.get("thought"))] += part.get("text") or ""
        if part.get("thoughtSignature") and not part.keys() & {
            "toolCall",
            "toolResponse",
            "executableCode",
            "codeExecutionResult",
        }:
            self.seals.append(part["thoughtSignature"])
        call = part.get("functionCall")
        if call is None:
            return
        if not self._goes_on:
            self.calls.append(
                {name: value for name, value in call.items() if name != "args"} | {"args": {**call.get("args", {})}}
            )
        for piece in call.get("partialArgs") or ():
            arguments, name = self.calls[-1]["args"], piece["jsonPath"].removeprefix("$.")
            value = next((value for kind, value in piece.items() if kind.endswith("Value")), None)
            arguments[name] = arguments.get(name, "") + value if isinstance(value, str) else value
        self._goes_on = bool(call.get("willContinue"))


# Ollama ------------------------------------------------------------------------------------------------------------------


def ollama_spent(told: Json) -> Spent | None:
    """Told in the last line; the prompt's count is missing where it was cached."""
    if told.get("eval_count") is None and told.get("prompt_eval_count") is None:
        return None
    return Spent(input=told.get("prompt_eval_count") or 0, output=told.get("eval_count") or 0)


def _ollama(told: Iterable[Json]) -> Said:
    found, reason, spent = Said(), "", None
    for one in told:
        message = one.get("message") or {"content": one.get("response"), "thinking": one.get("thinking")}
        calls = [call["function"] | {"id": call.get("id", "")} for call in message.get("tool_calls") or ()]
        found = found._replace(
            text=found.text + (message.get("content") or ""),
            thinking=found.thinking + (message.get("thinking") or ""),
            calls=(*found.calls, *(Call(call["name"], call.get("arguments") or {}, call["id"]) for call in calls)),
        )
        reason, spent = one.get("done_reason") or ("stop" if one.get("done") else reason), ollama_spent(one) or spent
    return found._replace(finish=finish_of(reason, bool(found.calls)), spent=spent)


_READERS = {
    "openai.chat": _openai,
    "anthropic.messages": _anthropic,
    "gemini": _gemini,
    "ollama.chat": _ollama,
    "ollama.generate": _ollama,
    "openai.responses": said_more.responses,
    "bedrock": said_more.converse,
    "cohere.chat": said_more.cohere,
}

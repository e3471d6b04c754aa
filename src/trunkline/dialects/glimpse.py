"""What of a client's request can be seen without reading it: in any dialect, one level deep, and by words that stand out.

Where more must be known, the whole request is read (`Dialect.read_chat`). What is made of it belongs in `routing`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import chain
from json import JSONDecoder
from typing import NamedTuple

import msgspec

from trunkline.dialects.dialect import Ask

SESSION_HEADERS = (
    b"x-trunkline-session",
    b"x-claude-code-session-id",
    b"session-id",
    b"session_id",
    b"x-session-affinity",
    b"x-session-id",
)
"""How clients name a conversation: our own header, Claude Code's, Codex's now and before, opencode's. Seen on the wire."""
_MAX_SESSION = 256
_BEGINNING = 2048
"""Bytes of a conversation, of its instructions and of its tools that are looked at: what differs later has the same beginning
in a prompt cache."""
_STRIDE = 16 * 1024
_PIECE = 128
_FIXED = ("tools", "system", "instructions", "system_instruction", "systemInstruction")
_GROWING = ("messages", "input", "contents", "prompt")
_CONFIGS, _OPTIONS = ("generationConfig", "generation_config"), ("options",)
_LIMITS: dict[str, tuple[str, ...]] = {
    "openai_chat": ("max_tokens", "max_completion_tokens"),
    "openai_completions": ("max_tokens",),
    "openai_responses": ("max_output_tokens",),
    "anthropic": ("max_tokens",),
    "gemini": _CONFIGS,
    "ollama": _OPTIONS,
}
"""Where each dialect bounds an answer. Another one's word binds nobody: it is left out, or nobody looks at it."""
_NESTED = (*_CONFIGS, *_OPTIONS)
_SCHEMAS = ("response_format", "text", "output_config", "output_format", "generationConfig", "generation_config", "format")
_NOTHING = (b"", b"null", b"[]", b'""')
_DECODER = JSONDecoder()
_INSTRUCTS = ("system", "developer")
_MAX_DIGITS = 10
_HUGE = 1e10

#: A word that stands in JSON right between quotes; inside of a text its quotes would be escaped.
_MEDIA = re.compile(
    rb'"(?:image(?:s|_url)?|video_url|input_(?:image|audio|file)|document|inline(?:Data|_data)|file(?:Data|_data)?)"'
)


def may_hold_encoded(body: bytes) -> bool:
    """Whether there is something long in a request that is no text, such as a picture in base64: it has no spaces and no quotes
    wherever one looks. What is shorter than `_STRIDE` may be missed.
    """
    for at in range(0, len(body), _STRIDE):
        piece = body[at : at + _PIECE]
        if b" " not in piece and b'"' not in piece:
            return True
    return False


def may_hold_media(body: bytes) -> bool:
    """Whether a request may hold a picture, a document or a recording; it may be something else of that name."""
    return _MEDIA.search(body) is not None


def may_ask_schema(ask: Ask) -> bool:
    """Whether a request may ask for output of a JSON Schema."""
    return any(name in ask.fields for name in _SCHEMAS)


def holds_tools(ask: Ask) -> bool:
    """Whether a request holds tools; all clients' dialects write them at the top."""
    return any(bytes(ask.fields.get(name, b"")).strip() not in _NOTHING for name in ("tools", "functions"))


class _Thinking(msgspec.Struct):
    """How much may be thought, where it is told as a number: Anthropic's, Gemini's two spellings, OpenRouter's."""

    budget_tokens: int | None = None
    thinking_budget: int | None = msgspec.field(default=None, name="thinkingBudget")
    thinking_budget_too: int | None = msgspec.field(default=None, name="thinking_budget")
    max_tokens: int | None = None

    def most(self) -> int:
        """Tokens; 0 where nothing is told."""
        return max(self.budget_tokens or 0, self.thinking_budget or 0, self.thinking_budget_too or 0, self.max_tokens or 0, 0)


class _Limited(msgspec.Struct):
    """What Gemini's and Ollama's clients say of the answer, one level deeper."""

    max_output: int | None = msgspec.field(default=None, name="maxOutputTokens")
    max_output_too: int | None = msgspec.field(default=None, name="max_output_tokens")
    num_predict: int | None = None
    choices: int | None = msgspec.field(default=None, name="candidateCount")
    choices_too: int | None = msgspec.field(default=None, name="candidate_count")
    thinking: _Thinking | None = msgspec.field(default=None, name="thinkingConfig")
    thinking_too: _Thinking | None = msgspec.field(default=None, name="thinking_config")

    def output(self) -> int:
        """Tokens; 0 where nothing is told."""
        return max(self.max_output or 0, self.max_output_too or 0, self.num_predict or 0, 0)

    def answers(self) -> int:
        """How many; 0 where nothing is told."""
        return max(self.choices or 0, self.choices_too or 0, 0)


_LIMITED = msgspec.json.Decoder(_Limited, strict=False)  # Google takes "5" for 5
_THINKING = msgspec.json.Decoder(_Thinking)
_LIST = msgspec.json.Decoder(list[msgspec.Raw])
_NOTHING_SAID = _Limited()


class Size(NamedTuple):
    """How much an answer may be, as far as the client says."""

    output: int
    """Tokens that one answer may have; 0 where nothing is said."""
    thinking: int
    """Of which so many may be thinking; 0 where nothing is said."""
    answers: int
    """How many there are to be: choices of each prompt."""


_UNBOUND = Size(0, 0, 1)
_SIZED = frozenset((*chain(*_LIMITS.values()), "n", "best_of", "prompt", "thinking", "reasoning"))
"""Fields that say something of an answer's size."""


def size(ask: Ask, dialect: str) -> Size:
    """The bounds that a client of this dialect sets, the largest where it sets several."""
    fields = ask.fields
    said = _SIZED.intersection(fields)
    if not said:
        return _UNBOUND
    limits = _LIMITS[dialect]
    if len(said) == 1 and "max_tokens" in said and "max_tokens" in limits:
        return Size(_whole(bytes(fields["max_tokens"])), 0, 1)
    nested = {name: _limited(fields[name]) for name in _NESTED if name in said}
    bounds = [nested[name].output() if name in nested else _whole(bytes(fields[name])) for name in limits if name in said]
    output = max(bounds, default=0)
    if dialect == "gemini" and 0 in bounds:
        output = 0  # two spellings of one field: who knows which of them counts
    asked = [_whole(bytes(fields[name]).strip(b'"')) for name in ("n", "best_of") if name in said]  # some take "5" for 5
    answers = max((1, *asked, *(one.answers() for one in nested.values())))
    if "prompt" in said:
        answers *= _prompts(fields["prompt"])
    return Size(output, _thinking(fields, nested.values()), answers)


def _whole(told: bytes) -> int:
    """A number as providers read it; 0 for what is none: whoever is asked tells what is wrong with it."""
    if told.isdigit() and len(told) < _MAX_DIGITS:
        return int(told)
    try:
        number = float(told)
    except ValueError:
        return 0
    return int(number) if 0 < number < _HUGE else 0


def _limited(raw: msgspec.Raw) -> _Limited:
    try:
        return _LIMITED.decode(raw)
    except msgspec.ValidationError:
        return _NOTHING_SAID  # whoever is asked tells what is wrong with it


def _thinking(fields: Mapping[str, msgspec.Raw], nested: Iterable[_Limited]) -> int:
    found = max((one.most() for told in nested for one in (told.thinking, told.thinking_too) if one is not None), default=0)
    for name in ("thinking", "reasoning"):
        if name in fields:
            try:
                found = max(found, _THINKING.decode(fields[name]).most())
            except msgspec.ValidationError:
                continue
    return found


def _prompts(raw: msgspec.Raw) -> int:
    """How many prompts a plain completion is to go on with: a list of numbers is one."""
    if bytes(memoryview(raw)[:1]) != b"[":
        return 1
    try:
        held = _LIST.decode(raw)
    except msgspec.DecodeError:
        return 1
    return len(held) if held and bytes(memoryview(held[0])[:1]) in {b'"', b"["} else 1


def session(ask: Ask, headers: Mapping[bytes, bytes]) -> bytes:
    """The client's own name for a conversation, or nothing. OpenAI's `prompt_cache_key` is one: Codex sends its thread."""
    for name in SESSION_HEADERS:
        if name in headers:
            return headers[name][:_MAX_SESSION]
    key = bytes(ask.fields.get("prompt_cache_key", b""))
    return b"" if key in _NOTHING else key[:_MAX_SESSION]


def beginning(ask: Ask) -> bytes:
    """What a conversation begins with and keeps while it grows: tools, instructions, all up to its first turn."""
    fields = ask.fields
    parts = [_first_turn(_cut(fields[name])) for name in _GROWING if name in fields]
    for name in _FIXED:
        if name in fields:
            parts += (b"%d" % len(memoryview(fields[name])), _cut(fields[name]))
    return b"\n".join(parts)


def _cut(value: msgspec.Raw) -> bytes:
    return bytes(memoryview(value)[:_BEGINNING])


def _first_turn(messages: bytes) -> bytes:
    """A list of messages cut after the first one that is no instruction: what follows grows. All of it where the cut is not
    within reach, or where it is no list.
    """
    at = messages.find(b"{")
    if not messages.startswith(b"[") or at < 0:
        return messages
    text = messages.decode("latin-1")
    try:
        while True:
            message, end = _DECODER.raw_decode(text, at)
            if message.get("role") not in _INSTRUCTS:
                return messages[:end]
            at = text.index("{", end)
    except ValueError:
        return messages

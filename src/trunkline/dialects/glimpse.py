"""What of a client's request can be seen without reading it: in any dialect, one level deep, and by words that stand out.

Where more must be known, the whole request is read (`Dialect.read_chat`). What is made of it belongs in `routing`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from json import JSONDecoder

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
_LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens")
_NESTED = ("generationConfig", "generation_config", "options")
_SCHEMAS = ("response_format", "text", "output_config", "output_format", "generationConfig", "generation_config", "format")
_NOTHING = (b"", b"null", b"[]", b'""')
_DECODER = JSONDecoder()
_INSTRUCTS = ("system", "developer")

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


class _Limited(msgspec.Struct):
    """What Gemini's and Ollama's clients say of the answer, one level deeper."""

    max_output: int | None = msgspec.field(default=None, name="maxOutputTokens")
    max_output_too: int | None = msgspec.field(default=None, name="max_output_tokens")
    num_predict: int | None = None


_LIMITED = msgspec.json.Decoder(_Limited)


def output_limit(ask: Ask) -> int:
    """Tokens that the answer may have, where the client says it; else 0."""
    fields = ask.fields
    for name in _LIMITS:
        if name in fields:
            told = bytes(fields[name])
            return int(told) if told.isdigit() and len(told) < 10 else 0
    for name in _NESTED:
        if name in fields:
            return _nested(fields[name])
    return 0


def _nested(told: msgspec.Raw) -> int:
    try:
        found = _LIMITED.decode(told)
    except msgspec.ValidationError:
        return 0  # whoever is asked tells what is wrong with it
    return max(found.max_output or found.max_output_too or found.num_predict or 0, 0)


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

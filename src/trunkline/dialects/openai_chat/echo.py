"""What the built-in `echo` provider answers: the last user message's text, in this dialect, whole or as a stream.

Tokens are counted by one rule, on both sides: a token is a word of at most twelve characters with the white space before
it; a longer word is several. Ids and times are arguments.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from typing import Annotated, Any

import msgspec

from trunkline.canon.errors import GatewayError, Kind
from trunkline.dialects.dialect import Ask

_NULL = msgspec.Raw(b"null")
_TOKEN = re.compile(r"\s*\S{1,12}|\s+\Z")
_LONG = 64 * 1024
_CHARS_PER_TOKEN = 6
MAX_OUTPUT = 4096
"""Tokens of an answer, as any model has a bound."""


class _Message(msgspec.Struct):
    role: str
    content: Any = None


class _Answer(msgspec.Struct):
    words: list[str]
    finish: str
    usage: dict[str, int]


_messages = msgspec.json.Decoder(list[_Message]).decode
_limit = msgspec.json.Decoder(Annotated[int, msgspec.Meta(ge=1)]).decode


def echo_reply(ask: Ask, *, reply_id: str, created: int) -> bytes:
    """A whole answer. `created` is in seconds since the epoch. Raises `GatewayError(BAD_REQUEST)` as a provider would."""
    answer = _answer(ask)
    message = {"role": "assistant", "content": "".join(answer.words), "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": answer.finish}
    head = _head(ask, "chat.completion", reply_id, created)
    return msgspec.json.encode({**head, "choices": [choice], "usage": answer.usage})


def echo_events(ask: Ask, *, reply_id: str, created: int) -> Iterator[bytes]:
    """The events of a streamed answer, one word each. Raises as `echo_reply` does, before the first event is asked for."""
    answer = _answer(ask)
    return _events(ask, answer, _head(ask, "chat.completion.chunk", reply_id, created))


def _events(ask: Ask, answer: _Answer, head: dict[str, Any]) -> Iterator[bytes]:
    tail = {"usage": None} if ask.include_usage else {}
    deltas: list[dict[str, str]] = [{"role": "assistant", "content": ""}, *({"content": word} for word in answer.words), {}]
    for at, delta in enumerate(deltas, 1):
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": answer.finish if at == len(deltas) else None}
        yield _event({**head, "choices": [choice], **tail})
    if ask.include_usage:
        yield _event({**head, "choices": [], "usage": answer.usage})
    yield b"data: [DONE]\n\n"


def _event(chunk: dict[str, Any]) -> bytes:
    return b"data: " + msgspec.json.encode(chunk) + b"\n\n"


def _head(ask: Ask, kind: str, reply_id: str, created: int) -> dict[str, Any]:
    return {"id": reply_id, "object": kind, "created": created, "model": ask.model}


def _answer(ask: Ask) -> _Answer:
    try:
        messages = _messages(ask.fields["messages"])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise GatewayError(Kind.BAD_REQUEST, f"The field 'messages' is not valid: {error}.", param="messages") from None
    said = next((_text(message.content) for message in reversed(messages) if message.role == "user"), "")
    allowed = min(_max_tokens(ask) or MAX_OUTPUT, MAX_OUTPUT)
    words = [match[0] for match in islice(_TOKEN.finditer(said), allowed + 1)]
    finish = "stop" if len(words) <= allowed else "length"
    words = words[:allowed]
    prompt = sum(_tokens(_text(message.content)) for message in messages)
    usage = {"prompt_tokens": prompt, "completion_tokens": len(words), "total_tokens": prompt + len(words)}
    return _Answer(words, finish, usage)


def _tokens(text: str) -> int:
    """By the rule above; a very long text by its length, because counting it would hold up everybody else."""
    return sum(1 for _ in _TOKEN.finditer(text)) if len(text) <= _LONG else len(text) // _CHARS_PER_TOKEN


def _text(content: object) -> str:
    """The text of a message: a string, or the text parts of a list; anything else has none."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else ()
    texts = (part.get("text") for part in parts if isinstance(part, dict))
    return "".join(text for text in texts if isinstance(text, str))


def _max_tokens(ask: Ask) -> int | None:
    for name in ("max_completion_tokens", "max_tokens"):
        raw = ask.fields.get(name, _NULL)
        if raw != _NULL:
            try:
                limit: int = _limit(raw)
            except msgspec.DecodeError:
                raise GatewayError(Kind.BAD_REQUEST, f"The field '{name}' must be a positive integer.", param=name) from None
            return limit
    return None

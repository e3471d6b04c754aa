"""What models said, as their providers made it, for clients that hand their history back without the models' state.

A client whose dialect has no slot for a thinking signature, or which throws it away, sends the visible part of an answer
back; the rest is put in again here, where the visible part is still what it was. Bounded, in memory only, and each tenant's
alone. Which answers are worth keeping is the caller's decision.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from trunkline.canon.chat import NOTHING, Cache, Chat, Media, Message, Other, Part, Refusal, Reply, Text, ToolCall, ToolResult

ENTRY_BYTES = 512
"""What an entry takes beside its own bytes: key, digest, the places in the tables."""
_BITS_OF_A_FLOAT = 53

_Key = tuple[str, bytes]
"""Tenant, and what the answer looked like."""


class _Entry(NamedTuple):
    data: bytes
    """The dialect and the parts, packed; empty where two answers look alike and nobody can tell which is meant."""
    expires: float


class Memory:
    """Answers by tenant and by what was visible of them. The least recently used go first. One thread."""

    def __init__(self, max_bytes: int, ttl: float, mono: Callable[[], float]) -> None:
        """`ttl`: seconds an answer is kept after it was last asked for; `mono`: the monotonic clock, seconds."""
        self._max = max_bytes
        self._ttl = ttl
        self._mono = mono
        self._entries: OrderedDict[_Key, _Entry] = OrderedDict()
        self.size = 0
        """Bytes held."""

    def __len__(self) -> int:
        """Answers held."""
        return len(self._entries)

    def keep(self, tenant: str, reply: Reply, asked: Chat | None = None) -> None:
        """Remember each choice of an answer to `asked`.

        Ids of tool calls tell answers apart. One without calls is also known by the message it answered, where `asked` is
        given; two that still look alike are both forgotten, since another conversation's state would be an error.
        """
        before = _before(asked.messages[-1]) if asked is not None and asked.messages else b""
        for choice in reply.choices:
            calls = any(isinstance(part, ToolCall) for part in choice.parts)
            if not calls and not _text(choice.parts):
                continue  # nothing to know it by
            try:
                data = _pack((reply.dialect, choice.parts))
            except (ValueError, OverflowError, RecursionError):
                continue  # numbers or nesting beyond what can be packed: state is lost, the answer is not
            key = (tenant, _look(choice.parts, b"" if calls else before))
            known = self._find(key)
            if known is not None and known.data != data and not calls:
                data = b""
            self._put(key, data)

    def restore(self, tenant: str, chat: Chat) -> Chat:
        """The conversation with its assistant messages as they were made, where they are remembered and unchanged.

        A message that carries state itself, or that the client edited, stays as it is.
        """
        if not self._entries:
            return chat
        messages = list(chat.messages)
        for number, message in enumerate(messages):
            if message.role == "assistant" and _stateless(message):
                looks = _looks(message, messages[number - 1] if number else None)
                entry = next(filter(None, (self._find((tenant, look)) for look in looks)), None)
                if entry is not None and entry.data:
                    messages[number] = _restored(entry.data, chat.dialect, message)
        if all(new is old for new, old in zip(messages, chat.messages, strict=True)):
            return chat
        return msgspec.structs.replace(chat, messages=tuple(messages))

    def _find(self, key: _Key) -> _Entry | None:
        entry = self._entries.get(key)
        if entry is None:
            return None
        now = self._mono()
        if entry.expires <= now:
            self._drop(key)
            return None
        entry = self._entries[key] = _Entry(entry.data, now + self._ttl)
        self._entries.move_to_end(key)
        return entry

    def _put(self, key: _Key, data: bytes) -> None:
        self._drop(key)
        cost = _cost(key, data)
        if cost > self._max:
            return
        now = self._mono()
        self._entries[key] = _Entry(data, now + self._ttl)
        self.size += cost
        while self._entries and (self.size > self._max or self._oldest().expires <= now):
            self._drop(next(iter(self._entries)))

    def _oldest(self) -> _Entry:
        return next(iter(self._entries.values()))

    def _drop(self, key: _Key) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self.size -= _cost(key, entry.data)


def _cost(key: _Key, data: bytes) -> int:
    return ENTRY_BYTES + 4 * len(key[0]) + len(data)


def _stateless(message: Message) -> bool:
    """Nothing in it that only its maker could have put there, and nothing that makes it more than words and calls."""
    return not any(getattr(part, "seal", None) or isinstance(part, Media | Other | ToolResult) for part in message.parts)


def _restored(data: bytes, dialect: str, message: Message) -> Message:
    made_by, parts = _unpack(data)
    if made_by != dialect:  # `vendor` is read as the client's dialect's words
        parts = tuple(_plain(part) for part in parts)
    return msgspec.structs.replace(message, parts=_marked(parts, message.parts))


def _looks(message: Message, previous: Message | None) -> Iterator[bytes]:
    """What an answer may be known by, the surest first."""
    calls = any(isinstance(part, ToolCall) for part in message.parts)
    if not calls and previous is not None:
        yield _look(message.parts, _before(previous))
    yield _look(message.parts, b"")


def _look(parts: tuple[Part, ...], before: bytes) -> bytes:
    """A digest of what a client of any dialect has of an answer: its text in one, and its calls."""
    calls = [(part.id, part.name, _value(part.arguments)) for part in parts if isinstance(part, ToolCall)]
    return _digest((before, _text(parts), calls))


def _before(message: Message) -> bytes:
    """A digest of the message that an answer followed."""
    results = [(part.id, _text(part.parts)) for part in message.parts if isinstance(part, ToolResult)]
    return _digest((message.role, _text(message.parts), results))


def _text(parts: tuple[Part, ...]) -> str:
    return "".join(part.text for part in parts if isinstance(part, Text | Refusal))


def _digest(value: Any) -> bytes:
    return hashlib.sha256(repr(value).encode("utf-8", "backslashreplace")).digest()


def _value(arguments: str) -> Any:
    """Arguments as a value, so that spaces and the order of keys do not matter; as text where they are no JSON."""
    try:
        return _settled(msgspec.json.decode(arguments or "{}"))
    except (ValueError, RecursionError):  # msgspec's errors are of the first kind, a lone surrogate's too
        return arguments


def _settled(value: Any) -> Any:
    match value:
        case dict():
            return [(key, _settled(value[key])) for key in sorted(value)]
        case list():
            return tuple(_settled(one) for one in value)
        case float() if value.is_integer() and abs(value) < 2**_BITS_OF_A_FLOAT:
            return int(value)  # JavaScript writes 1.0 as 1
        case _:
            return value


def _plain(part: Part) -> Part:
    return part if isinstance(part, Refusal | Other) else msgspec.structs.replace(part, vendor=NOTHING)


def _marked(parts: tuple[Part, ...], shown: tuple[Part, ...]) -> tuple[Part, ...]:
    """The remembered parts with the client's cache marks: a call's on its call, a text's on the last text."""
    calls = {part.id: part.cache for part in shown if isinstance(part, ToolCall)}
    marks = [part.cache for part in shown if isinstance(part, Text) and part.cache]
    mark: Cache = marks[-1] if marks else ""
    last = max((number for number, part in enumerate(parts) if isinstance(part, Text)), default=-1)
    marked: list[Part] = []
    for number, part in enumerate(parts):
        if isinstance(part, ToolCall):
            marked.append(msgspec.structs.replace(part, cache=calls[part.id]))
        elif isinstance(part, Text):
            marked.append(msgspec.structs.replace(part, cache=mark if number == last else ""))
        else:
            marked.append(part)
    return tuple(marked)


def _frozen(value: Any) -> Any:
    """What msgspec has no form for: the empty object of canon, which is a read-only view."""
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is no part of an answer")


_pack = msgspec.msgpack.Encoder(enc_hook=_frozen).encode
_unpack = msgspec.msgpack.Decoder(tuple[str, tuple[Part, ...]]).decode

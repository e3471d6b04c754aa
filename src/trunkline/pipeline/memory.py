"""What models said, as their providers made it, for clients that hand their history back without the models' state.

A client whose dialect has no slot for a thinking signature, or which throws it away, sends the visible part of an answer
back; the rest is put in again here, where the visible part is still what it was. So are the ids of tool calls, where the
client dropped them and its reader had to make some. Bounded, in memory only, and each tenant's alone. Which answers are
worth keeping is the caller's decision.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from trunkline.canon.chat import NOTHING, Cache, Chat, Media, Message, Other, Part, Refusal, Reply, Text, ToolCall, ToolResult
from trunkline.dialects.names import is_made

ENTRY_BYTES = 512
"""What an entry takes beside its own bytes: key, digest, the places in the tables."""
_BITS_OF_A_FLOAT = 53

_Key = tuple[str, bytes]
"""Tenant, and what the answer looked like."""


class _Entry(NamedTuple):
    data: bytes
    """The dialect and the parts, packed; or the look of another entry that holds them."""
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
        """Entries held; an answer with calls takes two."""
        return len(self._entries)

    def keep(self, tenant: str, reply: Reply, asked: Chat) -> None:
        """Remember each choice of an answer to `asked`.

        It is known by what is visible of it and of the whole conversation before it: state belongs to a conversation, and the
        same words are said in many. One with tool calls is also known without their ids, which some clients drop. Of two that
        still look alike the newer holds: a model that gets no state back at all refuses the turn or thinks anew.
        """
        before = b""
        for message in asked.messages:
            before = _after(before, message)
        for choice in reply.choices:
            parts = choice.parts
            calls = any(_calls(parts))
            if not calls and not _text(parts):
                continue  # nothing to know it by
            try:
                data = _pack((reply.dialect, parts))
            except (ValueError, OverflowError, RecursionError):
                continue  # numbers or nesting beyond what can be packed: state is lost, the answer is not
            look = _look(parts, before)
            self._put((tenant, look), data)
            if calls and (tenant, look) in self._entries:
                self._put((tenant, _look(parts, before, ids=False)), look)

    def restore(self, tenant: str, chat: Chat) -> Chat:
        """The conversation with its assistant messages as they were made, where they are remembered and unchanged.

        A message that carries state itself, or that the client edited, stays as it is. Where calls get their own ids back, so
        do the results that point to them.
        """
        if not self._entries:
            return chat
        messages: list[Message] = []
        ids: dict[str, str] = {}  # of calls, as the client has them and as they are
        before = b""
        for told in chat.messages:
            message = was = _pointed(told, ids)
            if message.role == "assistant" and _stateless(message):
                data = self._known(tenant, message.parts, before)
                message = _restored(data, chat.dialect, message) if data else message
            ids.update((old.id, new.id) for old, new in zip(_calls(was.parts), _calls(message.parts), strict=True))
            before = _after(before, told)
            messages.append(message)
        if all(new is old for new, old in zip(messages, chat.messages, strict=True)):
            return chat
        return msgspec.structs.replace(chat, messages=tuple(messages))

    def _known(self, tenant: str, parts: tuple[Part, ...], before: bytes) -> bytes:
        """What these parts were made as, packed; empty where nobody can tell."""
        data = self._find((tenant, _look(parts, before)))
        calls = list(_calls(parts))
        if data or not calls or not all(is_made(call.id) for call in calls):
            return data
        return self._find((tenant, self._find((tenant, _look(parts, before, ids=False)))))

    def _find(self, key: _Key) -> bytes:
        """What is held at `key`; empty for nothing."""
        entry = self._entries.get(key)
        if entry is None:
            return b""
        now = self._mono()
        if entry.expires <= now:
            self._drop(key)
            return b""
        self._entries[key] = _Entry(entry.data, now + self._ttl)
        self._entries.move_to_end(key)
        return entry.data

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


def _pointed(message: Message, ids: Mapping[str, str]) -> Message:
    """The message with its results pointing to the calls' own ids."""
    if all(ids.get(part.id, part.id) == part.id for part in message.parts if isinstance(part, ToolResult)):
        return message
    parts = (
        msgspec.structs.replace(part, id=ids.get(part.id, part.id)) if isinstance(part, ToolResult) else part
        for part in message.parts
    )
    return msgspec.structs.replace(message, parts=tuple(parts))


def _calls(parts: Iterable[Part]) -> Iterator[ToolCall]:
    return (part for part in parts if isinstance(part, ToolCall))


def _look(parts: tuple[Part, ...], before: bytes, *, ids: bool = True) -> bytes:
    """A digest of what a client of any dialect has of an answer: its text in one, its calls, and what was said `before`."""
    calls = [(call.id if ids else "", call.name, _value(call.arguments)) for call in _calls(parts)]
    return _digest((before, ids, _text(parts), calls))


def _after(before: bytes, message: Message) -> bytes:
    """A digest of a conversation up to and with `message`, ids left out: they may be anybody's."""
    results = [_text(part.parts) for part in message.parts if isinstance(part, ToolResult)]
    return _digest((_look(message.parts, before, ids=False), message.role, results))


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
    caches = (call.cache for call in _calls(shown))
    marks = [part.cache for part in shown if isinstance(part, Text) and part.cache]
    mark: Cache = marks[-1] if marks else ""
    last = max((number for number, part in enumerate(parts) if isinstance(part, Text)), default=-1)
    marked: list[Part] = []
    for number, part in enumerate(parts):
        if isinstance(part, ToolCall):
            marked.append(msgspec.structs.replace(part, cache=next(caches)))
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

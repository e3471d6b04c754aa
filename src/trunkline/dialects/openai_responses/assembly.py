"""An answer on its way into canon, item by item, from the events of a stream or from a whole answer.

What a stream says in pieces it says again whole, twice (when the item is done, and at the end); some servers say it only
then. So each part knows how much of it was told, and what was told is never told again. What frames the items (ends, usage,
errors) belongs in `reader` and `read_answer`.
"""

from __future__ import annotations

import msgspec

from trunkline.canon.chat import FinishReason, Json, Media, Other, Part, Refusal, Seal, Thinking, ToolCall
from trunkline.canon.stream import Cite, Close, Delta, Event, Finished, Open
from trunkline.dialects.names import made_id
from trunkline.dialects.openai_responses.items import (
    call_of,
    citations_of,
    decoded,
    objects,
    picture_of,
    plain_text,
    seal_of,
    text_of,
    thought_of,
    thought_text,
    tokens_of,
)
from trunkline.dialects.openai_responses.words import CUSTOM_CALL, INPUT, NAME

_CALLS = frozenset({"function_call", CUSTOM_CALL})
MOST_ITEMS = 4096
"""Items whose places are remembered."""
_MOST_UNNAMED = 64 * 1024
"""Characters of arguments that wait for their call's name."""


class _Piece:
    """One part of an item."""

    __slots__ = ("cited", "number", "told")

    def __init__(self, number: int) -> None:
        self.number = number
        self.told = False
        """Something of it was told: its whole text is no news."""
        self.cited = 0


class Item:
    """One item of the answer. Each method takes what an event says of it."""

    def __init__(self, assembly: Assembly, item: Json) -> None:
        self._all = assembly
        self.value = item
        self.done = False
        self._pieces: dict[tuple[str, int], _Piece] = {}
        self._held: list[str] = []
        """Pieces of arguments that cannot be told before the call's name."""
        self._size = 0
        self._thoughts: set[tuple[str, int]] = set()
        """Which pieces of the summary or content were told."""
        self._thought: tuple[str, int] | None = None
        """The last of them."""

    @property
    def kind(self) -> str:
        """Its type."""
        return plain_text(self.value.get("type"))

    def is_same(self, item: Json) -> bool:
        """`item` is this one, which began before it was announced."""
        ident = self.value.get("id")
        return not self.done and self.kind == item.get("type") and (ident is None or ident == item.get("id"))

    def text(self, at: int, text: str, logprobs: object, out: list[Event]) -> None:
        """More of a message's text number `at`."""
        self._say(("text", at), text_of(self.value), text, out, tokens_of(logprobs) if logprobs else ())

    def refuse(self, at: int, text: str, out: list[Event]) -> None:
        """More of a refusal."""
        self._say(("refusal", at), Refusal(""), text, out)

    def think(self, kind: str, at: int, text: str, out: list[Event]) -> None:
        """More of number `at` of a `summary` or of `content`: of both the one that came first is shown."""
        last = self._thought or (kind, at)
        if not text or last[0] != kind:
            return
        self._thought = (kind, at)
        self._thoughts.add(self._thought)
        self._say(("thinking", 0), thought_of(self.value), f"\n\n{text}" if kind == "summary" and last[1] != at else text, out)

    def thought(self, kind: str, at: int, text: str, out: list[Event]) -> None:
        """The whole of such a piece."""
        if (kind, at) not in self._thoughts:
            self.think(kind, at, text, out)

    def announce(self, out: list[Event]) -> None:
        """The item is known by its type: a call is shown as soon as it has a name."""
        if self.kind in _CALLS and self.value.get("name"):
            self._argued(out)

    def learn(self, name: str, text: str) -> None:
        """The whole of a call's arguments or of its text, for a server that tells no pieces of it."""
        if text:
            self.value = {**self.value, name: text}

    def argue(self, text: str, out: list[Event]) -> None:
        """More of a call's arguments, or of a custom tool's text."""
        if self.done:
            return
        self._held.append(text)
        self._size += len(text)
        if self.value.get("name") or self._size > _MOST_UNNAMED:
            self._argued(out)

    def cite(self, at: int, annotation: object, out: list[Event]) -> None:
        """A citation of the message's text number `at`, which has been told of."""
        piece = self._pieces.get(("text", at))
        if piece is not None and not self.done:
            found = citations_of([annotation])
            piece.cited += len(found)
            out += [Cite(piece.number, one) for one in found]

    def rest(self, at: int, kind: str, part: Json, out: list[Event]) -> None:
        """The whole of a part: what of it was not told yet."""
        piece = self._pieces.get((kind, at))
        text = plain_text(part.get("refusal" if kind == "refusal" else "text"))
        if piece is None or not piece.told:
            if kind == "refusal":
                self.refuse(at, text, out)
            else:
                self.text(at, text, part.get("logprobs"), out)
        piece = self._pieces.get((kind, at))
        if piece is not None and kind == "text":
            found = citations_of(part.get("annotations"))[piece.cited :]
            piece.cited += len(found)
            out += [Cite(piece.number, one) for one in found]

    def end(self, item: Json, out: list[Event]) -> None:
        """The item is whole: what of it was not told yet, and the end of its parts."""
        if self.done:
            return
        begun = {name: value for name, value in self.value.items() if name != "encrypted_content"}  # may be but a piece of it
        self.value = {**begun, **{name: value for name, value in item.items() if value is not None}}
        seal = None
        if self.kind == "reasoning":
            seal = self._end_thought(out)
        elif self.kind == "message":
            self._end_message(out)
        elif self.kind in _CALLS:
            self._end_call(out)
        else:
            self._end_other(out)
        self.done = True
        out += [Close(piece.number, seal) for piece in self._pieces.values()]

    def _end_message(self, out: list[Event]) -> None:
        for at, part in enumerate(objects(self.value.get("content"))):
            self.rest(at, "refusal" if part.get("type") == "refusal" else "text", part, out)

    def _end_call(self, out: list[Event]) -> None:
        self._argued(out, plain_text(self.value.get("input" if self.kind == CUSTOM_CALL else "arguments")))
        if self.kind == CUSTOM_CALL:
            out.append(Delta(self._pieces["call", 0].number, '"}'))

    def _end_thought(self, out: list[Event]) -> Seal | None:
        seal, text = seal_of(self.value), thought_text(self.value)
        if ("thinking", 0) not in self._pieces and (text or seal is not None):
            self._open(("thinking", 0), thought_of(self.value, redacted=not text), out)
            self._say(("thinking", 0), Thinking(""), text, out)
        return seal

    def _end_other(self, out: list[Event]) -> None:
        """What canon has no word for, whole; a picture is one."""
        picture: Media | None = picture_of(self.value) if self.kind == "image_generation_call" else None
        self._open(("other", 0), picture or Other(NAME, self.value), out)

    def _argued(self, out: list[Event], whole: str = "") -> None:
        """Tell the arguments that are held; the `whole` where nothing was ever told."""
        piece = self._pieces.get(("call", 0))
        custom = self.kind == CUSTOM_CALL
        if piece is None:
            ident = plain_text(self.value.get("call_id")) or plain_text(self.value.get("id"))
            piece = self._open(("call", 0), call_of(self.value, self._all.call_id(ident)), out)
            if custom:
                out.append(Delta(piece.number, f'{{"{INPUT}":"'))
        text = "".join(self._held) or ("" if piece.told else whole)
        self._held.clear()
        if text:
            piece.told = True
            out.append(Delta(piece.number, msgspec.json.encode(text)[1:-1].decode() if custom else text))

    def _say(self, key: tuple[str, int], empty: Part, text: str, out: list[Event], logprobs: tuple[Json, ...] = ()) -> None:
        if self.done or not (text or logprobs):
            return
        piece = self._pieces.get(key) or self._open(key, empty, out)
        piece.told = True
        out.append(Delta(piece.number, text, logprobs))

    def _open(self, key: tuple[str, int], part: Part, out: list[Event]) -> _Piece:
        piece = self._pieces[key] = _Piece(self._all.number(part))
        out.append(Open(piece.number, part))
        return piece


class Assembly:
    """Gives the events of one answer. Items are told apart by their places: some servers change their ids."""

    def __init__(self, seed: str) -> None:
        """`seed`: of the ids of calls that have none."""
        self._seed = seed
        self._items: list[Item] = []
        self._at: dict[object, Item] = {}
        self._collided = False
        """A place was taken twice: places say nothing of this answer."""
        self._parts = 0
        self._calls = 0
        self.overfull = False
        """There was an item too many: what comes of it in pieces is not known again."""

    @property
    def begun(self) -> bool:
        """There is something of an answer."""
        return bool(self._items)

    def add(self, place: object, item: Json) -> Item:
        """An item begins; or it did so before it was announced."""
        known = self._at.get(place)
        if known is not None and known.is_same(item):
            known.value = item
            return known
        self._collided = self._collided or place is None or place in self._at
        new = Item(self, item)
        if len(self._items) < MOST_ITEMS:
            self._items.append(new)
            self._at[place] = new
        else:
            self.overfull = True
        return new

    def find(self, place: object, kind: str) -> Item:
        """The item that is there; begun now where nobody told of it before."""
        return self._at.get(place) or self.add(place, {"type": kind})

    def end(self, place: object, item: Json, out: list[Event]) -> None:
        """The item that is there is whole, or one that nobody told of before."""
        known = self._at.get(place)
        if known is None or (known.done and known.value.get("id") != item.get("id")):
            known = self.add(place, item)
        known.end(item, out)

    def rest(self, output: msgspec.Raw, out: list[Event]) -> None:
        """All items, told once more at the end: what of them was not told yet."""
        for place, item in enumerate(objects(decoded(output))):
            if not self._collided:
                (self._at.get(place) or self.add(place, item)).end(item, out)
            elif place >= len(self._items):
                self.add(place, item).end(item, out)

    def finish(self, word: str, *, incomplete: bool, out: list[Event]) -> None:
        """The answer is whole, for the reason `word`; items that nobody ended end here."""
        for item in self._items:
            item.end({}, out)
        reason: FinishReason
        if incomplete:
            reason = "content_filter" if word == "content_filter" else "length"
        else:
            reason = "tool_calls" if self._calls else "stop"
        out.append(Finished(reason, word))

    def number(self, part: Part) -> int:
        """The number of a part that begins."""
        self._parts += 1
        self._calls += isinstance(part, ToolCall)
        return self._parts - 1

    def call_id(self, told: str) -> str:
        """The id of the next call: the provider's, or one of ours."""
        return told or made_id(self._seed, self._calls)

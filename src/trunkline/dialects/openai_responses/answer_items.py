"""The items of an answer as they grow, and the events that tell a client of it.

One item after another: what is told of a part while another is open waits for it. The answer around them belongs in
`write_answer`, the framing of events in `writer`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from typing_extensions import override

from trunkline.canon.chat import Citation, Json, Media, Other, Part, Refusal, Seal, Text, Thinking, ToolCall
from trunkline.canon.stream import Cite, Close, Delta, Open
from trunkline.dialects import state
from trunkline.dialects.openai_responses.offered import Offered
from trunkline.dialects.openai_responses.words import CUSTOM_CALL, NAME, NAMESPACE, custom_input

Tell = Callable[[str, dict[str, Any]], None]
"""Takes an event: its type without `response.`, and its fields."""

_UNSEALED = state.wrap(Seal("", ""))
"""The state of thinking that has none: OpenAI's own API would look it up by its id and refuse it, so it must be told from its
own when the conversation goes on there."""
_Kinds = tuple[str, str, str]
_OUTPUT: _Kinds = ("output_text", "text", "text")
_REFUSAL: _Kinds = ("refusal", "refusal", "refusal")


class Items:
    """The items of one answer."""

    def __init__(self, ident: str, offered: Offered, tell: Tell) -> None:
        """`ident`: ids of items are made from it."""
        self.output: list[dict[str, Any]] = []
        self._ident = ident
        self._offered = offered
        self._tell = tell
        self._open: int | None = None
        """The part that is being told, by canon's index."""
        self._growing: _Growing = _Whole()
        self._waiting: OrderedDict[int, list[Open | Delta | Cite | Close]] = OrderedDict()
        self._foreign: set[int] = set()
        self._in_message = False
        """The last item is a message that more texts may join."""

    def take(self, event: Open | Delta | Cite | Close) -> None:
        """Tell what an event brings. Only the first choice has a place in this API."""
        if isinstance(event, Open) and event.choice:
            self._foreign.add(event.index)
        if event.index in self._foreign:
            return
        if self._open not in {None, event.index}:
            self._waiting.setdefault(event.index, []).append(event)
            return
        self._put(event)
        while self._open is None and self._waiting:
            for waited in self._waiting.popitem(last=False)[1]:
                self._put(waited)

    def finish(self, status: str = "completed") -> None:
        """There will be no more; `status`: of the message that is still open."""
        if self._in_message:
            self._in_message = False
            self._done(status)

    # For the parts ---------------------------------------------------------------------------------------------------

    def begin(self, kind: str, prefix: str, fields: dict[str, Any]) -> dict[str, Any]:
        """A new item, which is told."""
        self.finish()
        item = {"id": f"{prefix}_{self._ident}_{len(self.output)}", "type": kind, **fields}
        self.output.append(item)
        self._tell("output_item.added", {"output_index": len(self.output) - 1, "item": item})
        return item

    def message(self, phase: str) -> dict[str, Any]:
        """The message that a text goes into."""
        if not self._in_message:
            said = {"phase": phase} if phase else {}
            self.begin("message", "msg", {"status": "in_progress", "role": "assistant", "content": [], **said})
            self._in_message = True
        return self.output[-1]

    def tell(self, kind: str, fields: dict[str, Any]) -> None:
        """An event of the last item's."""
        at = len(self.output) - 1
        self._tell(kind, {"item_id": self.output[at]["id"], "output_index": at, **fields})

    def end(self, item: dict[str, Any], fields: dict[str, Any]) -> None:
        """The last item is whole."""
        item |= fields
        self._done()

    def carry(self, seal: Seal, place: state.Place) -> None:
        """State of a part that has no slot for it goes in a reasoning item of its own."""
        self.end(self.begin("reasoning", "rs", {"summary": []}), {"encrypted_content": state.wrap(seal, place)})

    def _done(self, status: str = "completed") -> None:
        item = self.output[-1]
        if "status" in item:
            item["status"] = status
        self._tell("output_item.done", {"output_index": len(self.output) - 1, "item": item})

    def _put(self, event: Open | Delta | Cite | Close) -> None:
        match event:
            case Delta():
                self._growing.grow(event.text, event.logprobs)
            case Open():
                self._open = event.index
                self._growing = self._part(event.part)
            case Cite():
                self._growing.cite(event.citation)
            case _:
                self._growing.close(event.seal)
                self._open = None

    def _part(self, part: Part) -> _Growing:
        match part:
            case Text():
                return _Words(self, part, _OUTPUT)
            case Refusal():
                return _Words(self, Text(""), _REFUSAL)
            case Thinking():
                return _Thought(self, part)
            case ToolCall():
                return _Call(self, part, self._offered)
            case Media():
                self._picture(part)
            case Other() if part.dialect == NAME:
                self._other(part)
            case _:
                pass
        return _Whole()

    def _picture(self, part: Media) -> None:
        """What a model drew: the call of the tool that draws is this API's only place for it."""
        if part.kind == "image" and part.data:
            item = self.begin("image_generation_call", "ig", {"status": "in_progress", "result": None})
            self.end(item, {"result": part.data})

    def _other(self, part: Other) -> None:
        self.finish()
        self.output.append(dict(part.value))
        told = {"output_index": len(self.output) - 1, "item": self.output[-1]}
        self._tell("output_item.added", told)
        self._tell("output_item.done", told)


class _Growing:
    """A part that is open."""

    def grow(self, text: str, logprobs: tuple[Json, ...]) -> None:
        """More of it."""

    def cite(self, citation: Citation) -> None:
        """Where it has its knowledge from."""

    def close(self, seal: Seal | None) -> None:
        """It is whole."""


class _Whole(_Growing):
    """A part that came whole, or that this API has no place for."""


class _Words(_Growing):
    """A text or a refusal: a part of a message. One without a letter is none."""

    def __init__(self, items: Items, part: Text, kinds: _Kinds) -> None:
        self._items = items
        self._seal = part.seal
        phase = part.vendor.get("phase")
        self._phase = phase if isinstance(phase, str) else ""
        self._type, self._field, self._event = kinds
        self._told: dict[str, Any] | None = None
        self._place: dict[str, Any] = {}
        self._pieces: list[str] = []
        self._size = 0

    @override
    def grow(self, text: str, logprobs: tuple[Json, ...]) -> None:
        told = self._begun()
        self._pieces.append(text)
        self._size += len(text)
        fields: dict[str, Any] = {**self._place, "delta": text}
        if self._type == "output_text":
            told["logprobs"] += logprobs
            fields["logprobs"] = logprobs
        self._items.tell(f"{self._type}.delta", fields)

    @override
    def cite(self, citation: Citation) -> None:
        annotations = self._begun()["annotations"]
        annotations.append(write_annotation(citation, self._size))
        told = {"annotation_index": len(annotations) - 1, "annotation": annotations[-1]}
        self._items.tell("output_text.annotation.added", {**self._place, **told})

    @override
    def close(self, seal: Seal | None) -> None:
        seal = seal or self._seal
        if self._told is not None:
            self._told[self._field] = text = "".join(self._pieces)
            done = {**self._place, self._field: text}
            if self._type == "output_text":
                done["logprobs"] = self._told["logprobs"]
            self._items.tell(f"{self._type}.done", done)
            self._items.tell("content_part.done", {**self._place, "part": self._told})
        if seal is not None:
            self._items.carry(seal, "empty" if self._told is None else "last")

    def _begun(self) -> dict[str, Any]:
        """The part, which is told of with its first piece."""
        if self._told is None:
            content = self._items.message(self._phase)["content"]
            self._place = {"content_index": len(content)}
            self._told = {"type": self._type, self._field: ""}
            if self._type == "output_text":
                self._told |= {"annotations": [], "logprobs": []}
            content.append(self._told)
            self._items.tell("content_part.added", {**self._place, "part": self._told})
        return self._told


class _Thought(_Growing):
    """Thinking: a reasoning item whose summary is its text."""

    def __init__(self, items: Items, part: Thinking) -> None:
        self._items = items
        self._seal = part.seal
        self._item = items.begin("reasoning", "rs", {"summary": []})
        self._pieces: list[str] = []

    @override
    def grow(self, text: str, logprobs: tuple[Json, ...]) -> None:
        if not self._pieces:
            self._tell("part.added", {"part": _summary("")})
        self._pieces.append(text)
        self._tell("text.delta", {"delta": text})

    @override
    def close(self, seal: Seal | None) -> None:
        summary = []
        if self._pieces:
            text = "".join(self._pieces)
            self._tell("text.done", {"text": text})
            summary.append(_summary(text))
            self._tell("part.done", {"part": summary[0]})
        slot = state.slot(seal or self._seal, NAME) or _UNSEALED
        self._items.end(self._item, {"summary": summary, "encrypted_content": slot})

    def _tell(self, kind: str, fields: dict[str, Any]) -> None:
        self._items.tell(f"reasoning_summary_{kind}", {"summary_index": 0, **fields})


class _Call(_Growing):
    """A call of a function, told as it comes; or of a custom tool, whose text is only known when its arguments are whole."""

    def __init__(self, items: Items, part: ToolCall, offered: Offered) -> None:
        self._items = items
        self._seal = part.seal
        if part.seal is not None:
            items.carry(part.seal, "next")
        offer = offered.offer(part.name)
        self._custom = offer.custom or part.vendor.get("type") == CUSTOM_CALL
        kind, prefix, self._field = (CUSTOM_CALL, "ctc", "input") if self._custom else ("function_call", "fc", "arguments")
        space = {NAMESPACE: offer.namespace} if offer.namespace else {}
        told = {"status": "in_progress", "call_id": part.id, "name": offer.name, **space, self._field: ""}
        self._item = items.begin(kind, prefix, told)
        self._pieces: list[str] = []

    @override
    def grow(self, text: str, logprobs: tuple[Json, ...]) -> None:
        self._pieces.append(text)
        if not self._custom:
            self._items.tell("function_call_arguments.delta", {"delta": text})

    @override
    def close(self, seal: Seal | None) -> None:
        arguments = "".join(self._pieces) or "{}"
        if self._custom:
            told, event = custom_input(arguments), "custom_tool_call_input"
            self._items.tell(f"{event}.delta", {"delta": told})
        else:
            told, event = arguments, "function_call_arguments"
            if not self._pieces:
                self._items.tell(f"{event}.delta", {"delta": told})
        self._items.tell(f"{event}.done", {self._field: told})
        self._items.end(self._item, {self._field: told})
        if seal is not None and seal != self._seal:
            self._items.carry(seal, "last")


def write_annotation(citation: Citation, end: int) -> dict[str, Any]:
    """A citation; one of this API's that names no page as it came. `end`: characters of the text so far."""
    if "type" in citation.vendor and not citation.url:
        return dict(citation.vendor)
    return {
        "type": "url_citation",
        "url": citation.url,
        "title": citation.title,
        "start_index": citation.start or 0,
        "end_index": end if citation.end is None else citation.end,
    }


def _summary(text: str) -> dict[str, Any]:
    return {"type": "summary_text", "text": text}

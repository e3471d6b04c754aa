"""Answers that pass as they are, whatever their family: the usage they report is read on the side.

Speech, transcriptions, pictures and ranked documents all have a way of their own to count, each told by its structure.
Chat's own streams are read in its own folder.
"""

from __future__ import annotations

from typing import Any

import msgspec
from typing_extensions import override

from trunkline.canon.errors import GatewayError, Upstream
from trunkline.canon.usage import NO_USAGE, Usage
from trunkline.dialects.counts import count, raw_text
from trunkline.dialects.errors import reported
from trunkline.dialects.openai_shape.errors import write_stream_error
from trunkline.dialects.sse import SseEvent, parse
from trunkline.dialects.watch import EventWatch

_HOLD = 16 * 1024 * 1024
"""Bytes of one event that are held: the one that ends an edited picture's stream has the picture beside its usage."""
_ABSENT = msgspec.Raw(b"")
_DRAWN = ("image_generation.completed", "image_edit.completed")
"""Events that hold a picture; those before it show it half made: https://platform.openai.com/docs/api-reference/images-streaming."""
_DRAWING = ("image_generation.partial_image", "image_edit.partial_image")
_HALF_MADE = {"low": 408, "medium": 1584}
_BEST = 6240
"""Tokens of a picture by its quality, and of the best one or where that is not told (OpenAI's guide to image generation)."""
_INPUT = ("input_tokens", "prompt_tokens")
_OUTPUT = ("output_tokens", "completion_tokens")
_INPUT_PARTS = ("input_token_details", "input_tokens_details", "prompt_tokens_details")
_OUTPUT_PARTS = ("output_token_details", "output_tokens_details", "completion_tokens_details")
"""OpenAI's transcriptions and realtime, its images and responses, and chat's spelling, which Mistral and Jina use."""


class _Told(msgspec.Struct, gc=False):
    """What is looked at in an answer or an event."""

    usage: msgspec.Raw = _ABSENT
    quality: Any = None
    meta: msgspec.Raw = _ABSENT
    data: msgspec.Raw = _ABSENT
    error: Any = None
    type: Any = None


class _Meta(msgspec.Struct, gc=False):
    """Cohere's."""

    billed_units: msgspec.Raw = _ABSENT


_told = msgspec.json.Decoder(_Told).decode
_meta = msgspec.json.Decoder(_Meta).decode
_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_object = msgspec.json.Decoder(dict[str, Any]).decode


def read_answer(body: bytes, *, pictures: bool = False) -> tuple[Usage, str]:
    """The usage in a whole JSON answer, and its own text. `pictures`: they are in it, and counted. Never raises."""
    try:
        told = _told(body)
        usage, raw = _read(told)
    except (ValueError, RecursionError):
        return NO_USAGE, ""
    return (msgspec.structs.replace(usage, images=_length(told.data)) if pictures else usage), raw


def _length(raw: msgspec.Raw) -> int:
    try:
        return len(_list(raw))
    except (ValueError, RecursionError):
        return 0


def _read(told: _Told) -> tuple[Usage, str]:
    if told.usage is not _ABSENT or told.meta is _ABSENT:
        return read_usage(told.usage)
    return read_usage(_meta(told.meta).billed_units)


def read_usage(raw: msgspec.Raw) -> tuple[Usage, str]:
    """The tokens of a usage object, and its own text: `NO_USAGE` with a text where it counts something else, such as
    seconds or searches; no text where it is none. A part is never larger than its whole.

    Audio that came from a cache is counted there, so that no token is charged twice.
    """
    try:
        told = _object(raw)
    except (ValueError, RecursionError):
        return NO_USAGE, ""
    text = raw_text(bytes(raw)) or "{}"
    given, made = _first(told, _INPUT), _first(told, _OUTPUT)
    if given is None and made is None:
        given = count(told.get("total_tokens"))  # Jina
    if given is None and made is None:
        return NO_USAGE, text
    given, made = given or 0, made or 0
    into, out = _parts(told, _INPUT_PARTS), _parts(told, _OUTPUT_PARTS)
    cached = min(given, count(into.get("cached_tokens")) or 0)
    heard = (count(into.get("audio_tokens")) or 0) - (count(_parts(into, ("cached_tokens_details",)).get("audio_tokens")) or 0)
    usage = Usage(
        input=given,
        cache_read=cached,
        output=made,
        reasoning=min(made, count(out.get("reasoning_tokens")) or 0),
        audio_input=min(given - cached, max(0, heard)),
        audio_output=min(made, count(out.get("audio_tokens")) or 0),
        basis="reported",
    )
    return usage, text


def _first(told: dict[str, Any], names: tuple[str, ...]) -> int | None:
    return next((found for name in names if (found := count(told.get(name))) is not None), None)


def _parts(told: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return next((found for name in names if isinstance(found := told.get(name), dict)), {})


class PassingTap(EventWatch):
    """The tap of a stream of any family; its attributes are those of `dialects.dialect.Tap`. No byte is changed.

    Such streams have no end mark in common: one that ends cleanly is complete.
    """

    __slots__ = ("_counted", "_drawing", "_pictures")

    def __init__(self, *, counted: bool = True) -> None:
        """`counted`: its usage is told for the first time, and so is ours to note."""
        super().__init__()
        self._counted = counted
        self._pictures = self._drawing = 0

    @override
    def estimate(self) -> int:
        """Output tokens guessed: one for each delta. A picture that is shown half made will be charged for."""
        return max(super().estimate(), self._drawing)

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes; return the events that are now whole."""
        raws = self._cut.feed(data)
        for raw in raws:
            self._see(raw)
        if self._loose or len(self._cut.held) > _HOLD:
            raws.append(self._loosened())
        return raws[0] if len(raws) == 1 else b"".join(raws)

    def close(self) -> bytes:
        """The provider ended cleanly: return what was still held back."""
        raw = self._cut.release()
        self._see(raw)
        self.complete = True
        return raw

    def fail(self, error: GatewayError) -> bytes:
        """An error event; before it a blank line, where the beginning of an event went out before its end was there."""
        return (b"\n\n" if self._loose else b"") + write_stream_error(error)

    def _see(self, raw: bytes) -> None:
        if self._loose:
            self._loose = False
            return
        event = parse(raw)
        if event is None:
            return
        self._weigh(b'.delta"' in raw)
        if b'"usage"' in raw or b"error" in raw or b'.completed"' in raw or b'.partial_image"' in raw:
            self._read(event)
        self._open()

    def _read(self, event: SseEvent) -> None:
        try:
            told = _told(event.data)
        except (ValueError, RecursionError):
            self.unread += 1
            return
        if (told.error or event.event == "error") and self.error is None:
            self.error = reported(told.error, Upstream(status=200, body=event.data, content_type="text/event-stream"))
        usage, raw_usage = read_usage(told.usage)
        if raw_usage and self._counted:
            self.usage, self.raw_usage = usage, raw_usage
        self._pictures += told.type in _DRAWN
        if told.type in _DRAWING:
            self._drawing = _HALF_MADE.get(told.quality, _BEST) if isinstance(told.quality, str) else _BEST
        elif told.type in _DRAWN:
            self._drawing = 0
        if self._pictures and self._counted:
            self.usage = msgspec.structs.replace(self.usage, images=self._pictures)

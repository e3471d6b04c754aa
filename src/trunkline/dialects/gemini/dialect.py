"""The Gemini dialect as one object: where its parts meet the interface. What they do belongs in their own files."""

from __future__ import annotations

from trunkline.dialects.dialect import Ask, Frame
from trunkline.dialects.gemini import count, errors, models, read_answer, read_chat, reply, request, write_answer, write_chat
from trunkline.dialects.gemini.reader import GeminiReader
from trunkline.dialects.gemini.tap import GeminiTap
from trunkline.dialects.gemini.words import ARRAY, NAME
from trunkline.dialects.gemini.writer import GeminiWriter
from trunkline.dialects.usual import Rewritable

_EVENTS, _JSON = b"text/event-stream", b"application/json"


class Gemini(Rewritable):
    """Google's Gemini API."""

    name = NAME
    own_urls = True
    id_header = b"x-request-id"
    read_request = staticmethod(request.read_request)
    write_request = staticmethod(request.write_request)
    estimate_input = staticmethod(request.estimate_input)
    read_reply = staticmethod(reply.read_reply)
    read_error = staticmethod(errors.read_error)
    write_error = staticmethod(errors.write_error)
    read_chat = staticmethod(read_chat.read_chat)
    write_chat = staticmethod(write_chat.write_chat)
    read_answer = staticmethod(read_answer.read_answer)
    write_answer = staticmethod(write_answer.write_answer)
    write_count = staticmethod(count.write_count)
    read_count = staticmethod(count.read_count)
    write_count_answer = staticmethod(count.write_count_answer)
    write_model = staticmethod(models.write_model)
    write_models = staticmethod(models.write_models)

    def stream_type(self, ask: Ask) -> bytes:
        """Events with `alt=sse`, else a JSON array."""
        return _JSON if ask.form == ARRAY else _EVENTS

    def streams(self, content_type: bytes) -> bool:
        """Either framing streams, and so does what has no type: a web page does not."""
        return not content_type or content_type.startswith((_EVENTS, _JSON))

    def tap(self, ask: Ask, *, hide_usage: bool) -> GeminiTap:  # noqa: ARG002 - usage stands in the pieces themselves
        """A fresh tap."""
        return GeminiTap(ask)

    def reader(self, seed: str) -> GeminiReader:
        """A fresh reader."""
        return GeminiReader(seed)

    def writer(self, frame: Frame) -> GeminiWriter:
        """A fresh writer."""
        return GeminiWriter(frame)

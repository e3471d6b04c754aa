"""The Ollama dialect as one object: where its parts meet the interface. What they do belongs in their own files."""

from __future__ import annotations

from trunkline.dialects.dialect import Ask
from trunkline.dialects.ollama import (
    errors,
    models,
    read_answer,
    read_chat,
    reader,
    reply,
    request,
    tap,
    write_answer,
    write_chat,
    writer,
)
from trunkline.dialects.usual import Rewritable, Uncounted

_STREAMS = frozenset({b"application/x-ndjson", b"application/json"})


class Ollama(Rewritable, Uncounted):
    """Ollama's own API, as its clients and servers speak it. A provider's base path is the one above `/api`."""

    name = read_answer.NAME
    own_urls = False
    id_header = b"x-request-id"
    read_request = staticmethod(request.read_request)
    write_request = staticmethod(request.write_request)
    estimate_input = staticmethod(request.estimate_input)
    read_reply = staticmethod(reply.read_reply)
    tap = staticmethod(tap.OllamaTap)
    read_error = staticmethod(errors.read_error)
    write_error = staticmethod(errors.write_error)
    read_chat = staticmethod(read_chat.read_chat)
    write_chat = staticmethod(write_chat.write_chat)
    read_answer = staticmethod(read_answer.read_answer)
    write_answer = staticmethod(write_answer.write_answer)
    reader = staticmethod(reader.OllamaReader)
    writer = staticmethod(writer.OllamaWriter)
    write_model = staticmethod(models.write_model)
    write_models = staticmethod(models.write_models)

    def stream_type(self, ask: Ask) -> bytes:  # noqa: ARG002 - one type for both forms
        """Lines of JSON."""
        return b"application/x-ndjson"

    def streams(self, content_type: bytes) -> bool:
        """Lines, whatever they are called: a server that has just one to say (`load`) calls it JSON."""
        return content_type.partition(b";")[0].strip().lower() in _STREAMS

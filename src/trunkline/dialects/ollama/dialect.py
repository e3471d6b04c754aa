"""The Ollama dialect as one object: where its parts meet the interface. What they do belongs in their own files."""

from __future__ import annotations

from trunkline.canon.chat import Chat
from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.facts import Facts
from trunkline.dialects.dialect import Ask, Outgoing
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

_STREAMS = frozenset({b"application/x-ndjson", b"application/json"})


class Ollama:
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

    def only_bytes(self, ask: Ask) -> bool:  # noqa: ARG002
        """Every request can be written anew."""
        return False

    def stream_type(self, ask: Ask) -> bytes:  # noqa: ARG002 - one type for both forms
        """Lines of JSON."""
        return b"application/x-ndjson"

    def streams(self, content_type: bytes) -> bool:
        """Lines, whatever they are called: a server that has just one to say (`load`) calls it JSON."""
        return content_type.partition(b";")[0].strip().lower() in _STREAMS

    def write_count(self, chat: Chat, model: str, facts: Facts) -> Outgoing | None:  # noqa: ARG002 - there is no such question
        """Ollama cannot be asked."""
        return None

    def read_count(self, body: bytes) -> int:  # noqa: ARG002 - there is no such answer
        """There is nothing to read, as nothing can be asked."""
        raise GatewayError(Kind.UPSTREAM_PROTOCOL, "Ollama does not count tokens.")

    def write_count_answer(self, tokens: int) -> bytes:
        """Of no use: no client of Ollama asks."""
        return b'{"count":%d}' % tokens

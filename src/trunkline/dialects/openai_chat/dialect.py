"""The OpenAI chat dialect as one object: where its parts meet the interface. What they do belongs in their own files."""

from __future__ import annotations

from trunkline.canon.chat import Chat
from trunkline.canon.facts import Facts
from trunkline.dialects.dialect import Ask, Outgoing
from trunkline.dialects.errors import protocol
from trunkline.dialects.openai_chat import (
    read_answer,
    read_chat,
    reader,
    request,
    tap,
    write_answer,
    write_chat,
    writer,
)
from trunkline.dialects.openai_chat.details import NAME
from trunkline.dialects.openai_shape import errors, models, reply


class OpenAIChat:
    """OpenAI chat completions, as clients and all OpenAI-compatible providers speak it."""

    name = NAME
    own_urls = False
    id_header = b"x-request-id"

    def only_bytes(self, ask: Ask) -> bool:  # noqa: ARG002
        """Every request can be written anew."""
        return False

    def stream_type(self, ask: Ask) -> bytes:  # noqa: ARG002
        """Server-sent events, always."""
        return b"text/event-stream"

    def streams(self, content_type: bytes) -> bool:
        """Server-sent events."""
        return content_type.lower().startswith(b"text/event-stream")

    read_request = staticmethod(request.read_request)
    write_request = staticmethod(request.write_request)
    estimate_input = staticmethod(request.estimate_input)
    read_reply = staticmethod(reply.read_reply)
    tap = staticmethod(tap.tap)
    read_error = staticmethod(errors.read_error)
    write_error = staticmethod(errors.write_error)
    read_chat = staticmethod(read_chat.read_chat)
    write_chat = staticmethod(write_chat.write_chat)
    read_answer = staticmethod(read_answer.read_answer)
    write_answer = staticmethod(write_answer.write_answer)
    reader = staticmethod(reader.ChatReader)
    writer = staticmethod(writer.ChatWriter)
    write_model = staticmethod(models.write_model)
    write_models = staticmethod(models.write_models)

    def write_count(self, chat: Chat, model: str, facts: Facts) -> Outgoing | None:  # noqa: ARG002
        """No provider of this dialect can be asked."""
        return None

    def read_count(self, body: bytes) -> int:
        """There is no such answer."""
        raise protocol("The provider's answer is no count of tokens.", body)

    def write_count_answer(self, tokens: int) -> bytes:  # noqa: ARG002
        """There is no such question."""
        return b"{}"

"""Cohere's dialect as one object: where its parts meet the interface. What they do belongs in their own files."""

from __future__ import annotations

from trunkline.canon.chat import Chat
from trunkline.canon.facts import Facts
from trunkline.dialects.cohere import errors, read_answer, reader, write_chat
from trunkline.dialects.cohere.words import NAME
from trunkline.dialects.dialect import Outgoing
from trunkline.dialects.errors import protocol


class Cohere:
    """Cohere's chat, version 2. A provider's base path ends in `/v2`."""

    name = NAME
    read_error = staticmethod(errors.read_error)
    write_chat = staticmethod(write_chat.write_chat)
    read_answer = staticmethod(read_answer.read_answer)
    reader = staticmethod(reader.CohereReader)

    def streams(self, content_type: bytes) -> bool:
        """Server-sent events."""
        return content_type.lower().startswith(b"text/event-stream")

    def write_count(self, chat: Chat, model: str, facts: Facts) -> Outgoing | None:  # noqa: ARG002
        """Cohere tokenizes texts and no conversations."""
        return None

    def read_count(self, body: bytes) -> int:
        """There is no such answer."""
        raise protocol("The provider's answer is no count of tokens.", body)

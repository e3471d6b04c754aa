"""Cohere's dialect as one object: where its parts meet the interface. What they do belongs in their own files."""

from __future__ import annotations

from trunkline.dialects.cohere import errors, read_answer, reader, write_chat
from trunkline.dialects.cohere.words import NAME
from trunkline.dialects.usual import Events, Uncounted


class Cohere(Events, Uncounted):
    """Cohere's chat, version 2, which tokenizes texts and no conversations. A provider's base path ends in `/v2`."""

    name = NAME
    read_error = staticmethod(errors.read_error)
    write_chat = staticmethod(write_chat.write_chat)
    read_answer = staticmethod(read_answer.read_answer)
    reader = staticmethod(reader.CohereReader)

"""Bedrock's dialect as one object: where its parts meet the interface. What they do belongs in their own files."""

from __future__ import annotations

from trunkline.dialects.bedrock import errors, read_answer, reader, write_chat
from trunkline.dialects.bedrock.words import NAME, STREAM_TYPE
from trunkline.dialects.usual import Uncounted


class Bedrock(Uncounted):
    """AWS's Converse API, which speaks to all models of Bedrock alike. Its `CountTokens` knows a few models only, and none
    by the name of an inference profile.
    """

    name = NAME
    read_error = staticmethod(errors.read_error)
    write_chat = staticmethod(write_chat.write_chat)
    read_answer = staticmethod(read_answer.read_answer)
    reader = staticmethod(reader.ConverseReader)

    def streams(self, content_type: bytes) -> bool:
        """Whether a provider's answer is a stream."""
        return content_type.lower().startswith(STREAM_TYPE)

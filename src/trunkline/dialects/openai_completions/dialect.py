"""The completions dialect as one object: where its parts meet the interface. What they do belongs in their own files."""

from __future__ import annotations

from trunkline.dialects.dialect import Ask
from trunkline.dialects.openai_completions import (
    read_answer,
    read_chat,
    reader,
    request,
    tap,
    write_answer,
    write_chat,
    writer,
)
from trunkline.dialects.openai_completions.words import NAME
from trunkline.dialects.openai_shape import errors, models, reply
from trunkline.dialects.usual import Events, Uncounted


class OpenAICompletions(Events, Uncounted):
    """OpenAI's older API that goes on with a text, as clients and some OpenAI-compatible providers speak it."""

    name = NAME
    own_urls = True  # a prompt is text; a URL in it is nothing that anybody fetches
    id_header = b"x-request-id"

    def only_bytes(self, ask: Ask) -> bool:  # noqa: ARG002
        """A prompt is text: no state, no calls, whatever it looks like."""
        return True

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
    reader = staticmethod(reader.CompletionsReader)
    writer = staticmethod(writer.CompletionsWriter)
    write_model = staticmethod(models.write_model)
    write_models = staticmethod(models.write_models)

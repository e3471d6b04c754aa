"""The OpenAI chat dialect as one object: where its parts meet the interface. What they do belongs in their own files."""

from __future__ import annotations

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
from trunkline.dialects.usual import Events, Rewritable, Uncounted


class OpenAIChat(Events, Rewritable, Uncounted):
    """OpenAI chat completions, as clients and all OpenAI-compatible providers speak it."""

    name = NAME
    own_urls = False
    id_header = b"x-request-id"

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

"""The Responses dialect as one object: where its parts meet the interface. What they do belongs in their own files."""

from __future__ import annotations

from trunkline.dialects.counts import read_count
from trunkline.dialects.openai_responses import (
    count,
    errors,
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
from trunkline.dialects.openai_responses.words import NAME
from trunkline.dialects.openai_shape import models
from trunkline.dialects.usual import Events


class OpenAIResponses(Events):
    """OpenAI's Responses API, as Codex, OpenAI's SDKs and compatible servers speak it."""

    name = NAME
    own_urls = False
    only_bytes = staticmethod(read_chat.refers)
    id_header = b"x-request-id"
    read_request = staticmethod(request.read_request)
    write_request = staticmethod(request.write_request)
    read_reply = staticmethod(reply.read_reply)
    tap = staticmethod(tap.tap)
    estimate_input = staticmethod(request.estimate_input)
    read_error = staticmethod(errors.read_error)
    write_error = staticmethod(errors.write_error)
    read_chat = staticmethod(read_chat.read_chat)
    write_chat = staticmethod(write_chat.write_chat)
    read_answer = staticmethod(read_answer.read_answer)
    write_answer = staticmethod(write_answer.write_answer)
    reader = staticmethod(reader.ResponsesReader)
    writer = staticmethod(writer.ResponsesWriter)
    write_count = staticmethod(count.write_count)
    read_count = staticmethod(read_count)
    write_count_answer = staticmethod(count.write_count_answer)
    write_model = staticmethod(models.write_model)
    write_models = staticmethod(models.write_models)

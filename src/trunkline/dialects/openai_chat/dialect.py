"""The OpenAI chat dialect as one object: where its parts meet the interface. What they do belongs in their own files."""

from __future__ import annotations

from trunkline.dialects.openai_chat import errors, reply, request, stream


class OpenAIChat:
    """OpenAI chat completions, as clients and all OpenAI-compatible providers speak it."""

    name = "openai_chat"
    path = "/chat/completions"
    read_request = staticmethod(request.read_request)
    write_request = staticmethod(request.write_request)
    estimate_input = staticmethod(request.estimate_input)
    read_reply = staticmethod(reply.read_reply)
    read_error = staticmethod(errors.read_error)
    write_error = staticmethod(errors.write_error)
    write_stream_error = staticmethod(errors.write_stream_error)
    tap = staticmethod(stream.ChatTap)

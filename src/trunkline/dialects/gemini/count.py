"""How many tokens a request has: asked of a provider, its answer read, and told to a client."""

from __future__ import annotations

import msgspec

from trunkline.canon.chat import Chat
from trunkline.canon.facts import Facts
from trunkline.canon.loss import Loss
from trunkline.dialects.dialect import Outgoing
from trunkline.dialects.errors import protocol
from trunkline.dialects.gemini.reply import decode
from trunkline.dialects.gemini.request import path
from trunkline.dialects.gemini.words import COUNT
from trunkline.dialects.gemini.write_chat import request
from trunkline.dialects.google_shape.resource import resource


def write_count(chat: Chat, model: str, facts: Facts) -> Outgoing:
    """The question, with the whole request in it, so that instructions and tools are counted too."""
    told = {"model": resource(model), **request(chat, facts, Loss(strict=False))}
    return Outgoing(path(model, COUNT), msgspec.json.encode({"generateContentRequest": told}))


def read_count(body: bytes) -> int:
    """A provider's answer. Raises `GatewayError(UPSTREAM_PROTOCOL)` where it is none."""
    told = decode(body)
    tokens = told.get("totalTokens") if isinstance(told, dict) else None
    if type(tokens) is not int or tokens < 0:
        raise protocol("The provider's answer is not a count of tokens.", body)
    return tokens


def write_count_answer(tokens: int) -> bytes:
    """The answer to a client."""
    return msgspec.json.encode({"totalTokens": tokens})

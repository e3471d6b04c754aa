"""A request written for a provider whose model goes on with a text. It takes no conversation: only what came in as a prompt."""

from __future__ import annotations

from typing import Any

from trunkline.canon.chat import Chat, Text
from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.facts import Facts
from trunkline.canon.loss import Loss
from trunkline.dialects.dialect import Outgoing
from trunkline.dialects.foreign import own_fields
from trunkline.dialects.openai_completions.words import NAME, PATH
from trunkline.dialects.openai_shape import settings
from trunkline.dialects.parameters import taken
from trunkline.dialects.shallow import encode


def write_chat(chat: Chat, model: str, facts: Facts, loss: Loss, *, ask_usage: bool) -> Outgoing:
    """The request. Raises `GatewayError(BAD_REQUEST)` for a request of any other dialect, and what `loss` raises."""
    if chat.dialect != NAME:
        raise GatewayError(
            Kind.BAD_REQUEST,
            f"The model {chat.model!r} only goes on with a text and takes no conversation: send the text to /v1/completions.",
            code="unsupported_endpoint",
            param="model",
        )
    body: dict[str, Any] = {"model": model, "prompt": _prompt(chat)}
    if chat.stream:
        body["stream"] = True
    body |= _parameters(chat, facts, loss)
    if chat.user:
        body["user"] = chat.user
    for name, value in own_fields(chat, NAME, loss).items():
        body.setdefault(name, value)
    if ask_usage and chat.stream:
        body["stream_options"] = {**body.get("stream_options", {}), "include_usage": True}
    return Outgoing(PATH, encode(body))


def _prompt(chat: Chat) -> str:
    return "".join(part.text for message in chat.messages for part in message.parts if isinstance(part, Text))


def _parameters(chat: Chat, facts: Facts, loss: Loss) -> dict[str, Any]:
    asked = settings.wanted(chat, facts, loss) | {"logprobs": chat.sampling.top_logprobs}
    del asked["top_logprobs"]
    return taken(asked, facts, loss)

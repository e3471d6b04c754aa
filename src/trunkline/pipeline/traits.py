"""What of an exchange its way depends on, looked for only where it matters, and its place among those that belong together.

What can be seen in a body belongs in `dialects.glimpse`, what is made of it in `routing`.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import cast

from trunkline.canon.chat import Chat, Media, ToolResult
from trunkline.canon.errors import GatewayError
from trunkline.dialects import glimpse, guess
from trunkline.dialects.dialect import Ask
from trunkline.pipeline.exchange import Exchange
from trunkline.routing.route import Affinity, Route, Trait
from trunkline.routing.traits import Traits

_SMALL = 16 * 1024
"""Bytes of a body that holds no picture worth speaking of: its size alone tells its tokens."""
_NO_MEDIA: frozenset[str] = frozenset()


def traits(exchange: Exchange, route: Route) -> Traits:
    """What a request holds. The size is always told, though roughly; of the rest only what the route looks for."""
    ask, looks, request = cast("Ask", exchange.ask), route.looks, exchange.request
    size = len(request.body)
    plain = size < _SMALL or not glimpse.may_hold_encoded(request.body)
    tokens = guess.tokens(size) if plain else exchange.asks.estimate_input(ask)
    if not looks:
        return Traits(tokens, stream=ask.stream, tags=exchange.principal.tags, headers=request.headers)
    chat = _read(exchange, ask, looks)
    return Traits(
        tokens,
        (glimpse.size(ask, exchange.dialect.name).output if chat is None else chat.max_tokens or 0) if "size" in looks else 0,
        _NO_MEDIA if chat is None else media(chat),
        "tools" in looks and (glimpse.holds_tools(ask) or (chat is not None and bool(chat.tools))),
        chat is not None and chat.output is not None and chat.output.kind == "schema",
        ask.stream,
        exchange.principal.tags,
        request.headers,
    )


def _read(exchange: Exchange, ask: Ask, looks: frozenset[Trait]) -> Chat | None:
    """The whole request, where only that can tell; None where a look is enough, or where it is no conversation."""
    if exchange.asks is not exchange.dialect:
        return None
    seen = "media" in looks and glimpse.may_hold_media(exchange.request.body)
    if not seen and not ("schema" in looks and glimpse.may_ask_schema(ask)):
        return None
    try:
        return exchange.dialect.read_chat(ask)
    except GatewayError:
        return None  # whoever is asked tells what is wrong with it


def media(chat: Chat) -> frozenset[str]:
    """The kinds of media in a conversation, those in tools' results too."""
    parts = [part for message in chat.messages for part in message.parts]
    parts += [inner for part in parts if isinstance(part, ToolResult) for inner in part.parts]
    return frozenset(part.kind for part in parts if isinstance(part, Media))


def place(exchange: Exchange, affinity: Affinity) -> int | None:
    """64 bits that are the same for requests that should meet the same prompt cache; None where none is wanted.

    A session is its key's own: nobody else's requests go with it. Prompts that begin alike go together, whoever sends them.
    """
    if affinity == "none":
        return None
    ask = cast("Ask", exchange.ask)
    named = glimpse.session(ask, exchange.request.headers) if affinity == "session" else b""
    told = exchange.principal.digest + named if named else glimpse.beginning(ask)
    return int.from_bytes(blake2b(told, digest_size=8).digest())

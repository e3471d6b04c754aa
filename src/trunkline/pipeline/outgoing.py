"""What we add to what goes out to a client, and the one thing that must never go out: the provider's credential.

The provider's own bytes pass in `relay`; how an error is spelled belongs in the dialect.
"""

from __future__ import annotations

import math
import re

from trunkline.canon.errors import GatewayError
from trunkline.dialects.dialect import Dialect
from trunkline.pipeline.exchange import NO_ROOMS, Exchange
from trunkline.policy.limits import room_lines

_ESCAPE = re.compile(rb"\\u([0-9A-Fa-f]{4})|\\(/)")
_HIDDEN = b"***"
_MAX_DROPPED = 1024
"""Characters of a list of losses: a long history may hold one in every message."""


def head(exchange: Exchange) -> bytes:
    """The header lines every answer carries, framing and content type aside."""
    target, ident = exchange.target, id_lines(exchange.id, exchange.dialect)
    if exchange.rooms != NO_ROOMS:
        ident += room_lines(*exchange.rooms)
    if target is None:
        return ident + exchange.extra
    lines = b"%bx-trunkline-provider: %b\r\nx-trunkline-model: %b\r\nx-trunkline-attempts: %d\r\n%b" % (
        ident,
        target.provider.name.encode("ascii"),
        target.model.encode("ascii", "replace"),
        exchange.tries,
        exchange.extra,
    )
    return lines + b"x-trunkline-dropped: %b\r\n" % _names(exchange.dropped) if exchange.dropped else lines


def cost_line(exchange: Exchange) -> bytes:
    """What a whole answer cost, all attempts together; nothing where no price is known."""
    cost = exchange.cost()
    return b"" if cost is None else b"x-trunkline-cost-usd: %d.%09d\r\n" % divmod(cost, 1_000_000_000)


def id_lines(ident: str, dialect: Dialect) -> bytes:
    """The request's id, under our name for it and under the one that the dialect's SDKs know."""
    told = ident.encode("ascii")
    line = b"x-request-id: %b\r\n" % told
    return line if dialect.id_header == b"x-request-id" else b"%b%b: %b\r\n" % (line, dialect.id_header, told)


def _names(dropped: tuple[str, ...]) -> bytes:
    """A list for a header: the names come from a client, so what would end a line is made a question mark.

    Names beyond the bound are counted.
    """
    told = ", ".join(dropped)
    if len(told) > _MAX_DROPPED:
        whole = told[:_MAX_DROPPED].rpartition(", ")[0]
        told = f"{whole}, and {len(dropped) - whole.count(', ') - bool(whole)} more"
    return "".join(char if char.isascii() and char.isprintable() else "?" for char in told).encode("ascii")


def retry_after(error: GatewayError) -> bytes:
    """The `retry-after` line: the provider's own words, else our seconds, rounded up, else nothing."""
    upstream = error.upstream
    if upstream is not None and upstream.retry_after:
        return b"retry-after: %b\r\n" % upstream.retry_after.encode("ascii", "replace")
    if error.retry_after is not None:
        return b"retry-after: %d\r\n" % max(1, math.ceil(error.retry_after))
    return b""


def scrub(exchange: Exchange, text: bytes) -> bytes:
    """What a provider said, without the credential that it was shown, should it say it back."""
    if exchange.target is not None:
        for secret in exchange.target.provider.secrets + exchange.secrets:
            if secret in text:
                text = text.replace(secret, _HIDDEN)
    return text


def scrub_json(exchange: Exchange, text: bytes, instead: bytes) -> bytes:
    """As `scrub`, for a provider's JSON: where the credential hides behind escapes, `instead` goes out, scrubbed as well."""
    text = scrub(exchange, text)
    plain = unescaped(text)
    return text if scrub(exchange, plain) == plain else scrub(exchange, instead)


def unescaped(text: bytes) -> bytes:
    """JSON text with its escaped slashes and ASCII characters as they read."""
    return _ESCAPE.sub(lambda match: match[2] or _character(int(match[1], 16), match[0]), text)


def _character(code: int, escape: bytes) -> bytes:
    return bytes((code,)) if code < 0x80 else escape

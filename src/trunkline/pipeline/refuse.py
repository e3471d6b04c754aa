"""Telling the client that it failed: as an error answer, or as the broken end of a stream that had begun."""

from __future__ import annotations

import math

from trunkline.canon.errors import GatewayError, Kind
from trunkline.pipeline.attempt import scrub
from trunkline.pipeline.exchange import Exchange
from trunkline.pipeline.relay import head

_SNIPPET = 200


def refuse(exchange: Exchange, error: GatewayError) -> None:
    """Answer with `error`, unless the client is gone or has its whole answer."""
    exchange.error = error
    reply, upstream = exchange.reply, error.upstream
    if upstream is not None:
        exchange.detail = scrub(exchange, upstream.body)[:_SNIPPET].decode("utf-8", "replace")
    if reply.gone or reply.ended:
        return
    if reply.started:
        reply.write(exchange.dialect.write_stream_error(error))
        if error.kind is Kind.SHUTTING_DOWN:
            reply.close_after()
        reply.end()
        return
    verbatim = upstream is not None and upstream.verbatim
    body = upstream.body if upstream is not None and verbatim else exchange.dialect.write_error(error)
    headers = head(exchange) + b"content-type: application/json\r\n" + retry_after(error)
    reply.send(error.status, headers, scrub(exchange, body))


def retry_after(error: GatewayError) -> bytes:
    """The `retry-after` line: the provider's own words, else our seconds, rounded up, else nothing."""
    upstream = error.upstream
    if upstream is not None and upstream.retry_after:
        return b"retry-after: %b\r\n" % upstream.retry_after.encode("ascii", "replace")
    if error.retry_after is not None:
        return b"retry-after: %d\r\n" % max(1, math.ceil(error.retry_after))
    return b""

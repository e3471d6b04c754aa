"""Telling the client that it failed: as an error answer, or as the broken end of a stream that had begun."""

from __future__ import annotations

from trunkline.canon.errors import GatewayError, Kind
from trunkline.pipeline.exchange import Exchange
from trunkline.pipeline.outgoing import head, retry_after, scrub, scrub_json, unescaped

_SNIPPET = 200


def refuse(exchange: Exchange, error: GatewayError) -> None:
    """Answer with `error`, unless the client is gone or has its whole answer."""
    exchange.error = error.with_traceback(None)  # its frames know the exchange: a circle otherwise
    reply, upstream = exchange.reply, error.upstream
    if upstream is not None:
        exchange.detail = scrub(exchange, unescaped(upstream.body))[:_SNIPPET].decode("utf-8", "replace")
    if reply.gone or reply.ended:
        return
    if reply.started:
        if exchange.tap is None:
            reply.abort()  # no words can be put into a file or a session, and it must not look complete
            return
        reply.write(scrub(exchange, exchange.tap.fail(error)))
        if error.kind is Kind.SHUTTING_DOWN:
            reply.close_after()
        reply.end()
        return
    ours = exchange.dialect.write_error(error)
    headers = head(exchange) + b"content-type: application/json\r\n" + retry_after(error)
    same = exchange.passage is None or exchange.passage.shallow
    if upstream is not None and upstream.verbatim and same:
        reply.send(upstream.status, headers, scrub_json(exchange, upstream.body, ours))
    else:
        reply.send(error.status, headers, scrub(exchange, ours))

"""An exchange whose client is a piece of memory: for what depends on the very tick, and for pure parts of the pipeline."""

from __future__ import annotations

import json
from collections.abc import Coroutine
from typing import Any, TypeVar, cast

from pipeline.inside import Inside
from trunkline.canon.errors import GatewayError
from trunkline.dialects.dialect import NOT_NAMED
from trunkline.dialects.table import DIALECTS
from trunkline.edge.reply import Reply
from trunkline.edge.request import Request
from trunkline.pipeline.exchange import Door, Exchange

T = TypeVar("T")


class Line:
    """A connection that only keeps what is written."""

    date = b""

    def __init__(self) -> None:
        self.sent = b""
        self.kept: bool | None = None
        """Whether the connection was to stay open, once the answer ended."""

    def write(self, data: bytes) -> None:
        """Keep it."""
        self.sent += data

    def write_parts(self, parts: list[bytes]) -> None:
        """Keep them."""
        self.sent += b"".join(parts)

    def finish(self, *, keep: bool) -> None:
        """The end."""
        self.kept = keep

    def cut(self) -> None:
        """The end."""


def by_hand(inside: Inside, *, extra: bytes = b"", **fields: Any) -> tuple[Exchange, Line]:
    """An exchange of the first key, not begun. `fields` replace those of a small request."""
    line = Line()
    asked = Request("127.0.0.1", inside.parts.mono())
    asked.method, asked.path = "POST", "/v1/chat/completions"
    asked.body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "hello"}], **fields}).encode()
    principal = inside.parts.live.snapshot.principals[0]
    reply = Reply(line, head_only=False, keep=True, chunked=True)
    door = Door("chat.completions", DIALECTS["openai_chat"], NOT_NAMED)
    return Exchange(inside.parts, door, principal, asked, reply, extra), line


def at_once(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of what must not wait for anything."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return cast("T", done.value)
    coroutine.close()
    raise AssertionError("it waits")


def raised(function: Any, *arguments: Any) -> GatewayError:
    """The `GatewayError` that a call must end with."""
    try:
        came = function(*arguments)
        if isinstance(came, Coroutine):
            at_once(came)
    except GatewayError as error:
        return error
    raise AssertionError("nothing was raised")

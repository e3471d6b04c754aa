"""The admin listener, for now: health, readiness, metrics, status. The port you expose is the other one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from trunkline.canon.errors import GatewayError, Kind
from trunkline.edge.reply import Reply
from trunkline.edge.request import Request
from trunkline.edge.server import Task
from trunkline.gateway import health
from trunkline.gateway.endpoints import ADMIN, ADMIN_DIALECT, Endpoint
from trunkline.pipeline.outgoing import retry_after
from trunkline.telemetry.metrics import Metrics

Tell = Callable[[], bytes]
_JSON = b"content-type: application/json\r\n"


class AdminCall:
    """One request to the admin listener."""

    max_body = 0
    streams = False

    def __init__(self, endpoint: Endpoint, metrics: Metrics, status: Tell, *, ready: bool) -> None:
        self._endpoint = endpoint
        self._metrics = metrics
        self._status = status
        self._ready = ready

    def start(self, request: Request, reply: Reply) -> Task | None:  # noqa: ARG002 - the server's signature
        """Answer at once, but for a scrape."""
        if self._endpoint.job == "metrics":
            return self._scrape(reply)
        if self._endpoint.job == "status":
            reply.send(200, _JSON, self._status())
        else:
            health.answer(self._endpoint.job, reply, ready=self._ready)
        return None

    async def _scrape(self, reply: Reply) -> None:
        page = await asyncio.to_thread(self._metrics.page().render)
        reply.send(200, b"content-type: text/plain; version=0.0.4; charset=utf-8\r\n", page)


class Admin:
    """Serves the admin listener."""

    def __init__(self, metrics: Metrics, status: Tell = lambda: b"{}") -> None:
        """`status`: what the process is like now, as JSON (`pipeline.status`)."""
        self.ready = False
        self._metrics = metrics
        self._status = status

    def begin(self, request: Request) -> AdminCall:
        """The endpoint at the request's path."""
        endpoint = ADMIN.get(request.path)
        if endpoint is None:
            raise GatewayError(Kind.NOT_FOUND, "Nothing here. This listener has /healthz, /readyz, /metrics and /status.")
        if request.method not in endpoint.methods:
            raise GatewayError(Kind.METHOD_NOT_ALLOWED, "Use GET.")
        return AdminCall(endpoint, self._metrics, self._status, ready=self.ready)

    def refuse(self, request: Request, reply: Reply, error: GatewayError) -> None:  # noqa: ARG002 - the server's signature
        """Answer with the error."""
        body = ADMIN_DIALECT.write_error(error)
        allow = b"allow: GET, HEAD\r\n" if error.kind is Kind.METHOD_NOT_ALLOWED else b""
        reply.send(error.status, _JSON + allow + retry_after(error), body)

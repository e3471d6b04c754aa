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
from trunkline.gateway.several import Several
from trunkline.pipeline.outgoing import retry_after
from trunkline.telemetry.metrics import Metrics

Tell = Callable[[], bytes]
_JSON = b"content-type: application/json\r\n"


class AdminCall:
    """One request to the admin listener."""

    max_body = 0
    streams = False

    def __init__(self, endpoint: Endpoint, admin: Admin) -> None:
        self._endpoint = endpoint
        self._admin = admin

    def start(self, request: Request, reply: Reply) -> Task | None:  # noqa: ARG002 - the server's signature
        """Answer at once, but for a scrape and where others must be asked."""
        job, several = self._endpoint.job, self._admin.several
        if job == "metrics":
            return self._scrape(reply)
        if several is not None and job == "status":
            return self._tell_of_all(several, reply)
        if several is not None and job == "ready":
            return self._look_at_all(several, reply)
        if job == "status":
            reply.send(200, _JSON, self._admin.status())
        else:
            health.answer(job, reply, ready=self._admin.ready)
        return None

    async def _scrape(self, reply: Reply) -> None:
        several = self._admin.several
        page = await (asyncio.to_thread(self._admin.metrics.page().render) if several is None else several.metrics())
        reply.send(200, b"content-type: text/plain; version=0.0.4; charset=utf-8\r\n", page)

    async def _tell_of_all(self, several: Several, reply: Reply) -> None:
        reply.send(200, _JSON, await several.status())

    async def _look_at_all(self, several: Several, reply: Reply) -> None:
        serving, workers, failing = await several.serving()
        health.answer_of_several(reply, serving, workers, failing)


class Admin:
    """Serves the admin listener."""

    def __init__(self, metrics: Metrics, status: Tell = lambda: b"{}", several: Several | None = None) -> None:
        """`status`: what the process is like now, as JSON (`pipeline.status`); `several`: answers where it is one of them."""
        self.ready = False
        self.metrics = metrics
        self.status = status
        self.several = several

    def begin(self, request: Request) -> AdminCall:
        """The endpoint at the request's path."""
        endpoint = ADMIN.get(request.path)
        if endpoint is None:
            raise GatewayError(Kind.NOT_FOUND, "Nothing here. This listener has /healthz, /readyz, /metrics and /status.")
        if request.method not in endpoint.methods:
            raise GatewayError(Kind.METHOD_NOT_ALLOWED, "Use GET.")
        return AdminCall(endpoint, self)

    def refuse(self, request: Request, reply: Reply, error: GatewayError) -> None:  # noqa: ARG002 - the server's signature
        """Answer with the error."""
        body = ADMIN_DIALECT.write_error(error)
        allow = b"allow: GET, HEAD\r\n" if error.kind is Kind.METHOD_NOT_ALLOWED else b""
        reply.send(error.status, _JSON + allow + retry_after(error), body)

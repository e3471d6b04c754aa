"""The data plane: from a request's head to the endpoint that answers it. Who may come in is decided here, once, by path.

What an endpoint does belongs in `pipeline`; what a key may do in `policy`.
"""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

from trunkline.canon.errors import GatewayError, Kind
from trunkline.dialects.dialect import Dialect
from trunkline.dialects.forms import is_form
from trunkline.dialects.realtime import key_of
from trunkline.edge.reply import Reply
from trunkline.edge.request import Request
from trunkline.edge.server import Task
from trunkline.gateway import health
from trunkline.gateway.catalogue import tell
from trunkline.gateway.cors import Cors
from trunkline.gateway.endpoints import Endpoint, dialect_at, find
from trunkline.gateway.shed import MAX_BODY, Desk, Shed, overloaded
from trunkline.pipeline.exchange import Door, Exchange, Parts
from trunkline.pipeline.outgoing import id_lines, retry_after
from trunkline.pipeline.run import JOBS, Job, run
from trunkline.policy.addresses import Clients
from trunkline.policy.failures import Failures
from trunkline.policy.keys import Principal, invalid, not_from_here, not_this_way
from trunkline.policy.overload import PERIOD, Priority, Shedder
from trunkline.telemetry.lines import RequestLine

_JSON = b"content-type: application/json\r\n"
_NOBODY = Principal("", b"")
_MAX_SMALL = 64 * 1024
"""Bytes of a body that only names a model."""
_SUMMARY = 1.0
"""Seconds between two lines that say whom load has met."""
_QUERY_KEY = re.compile(rb"(?:^|&)key=([^&]+)")
#: Header lines that a refusal of this kind carries (RFC 9110 sections 11.6.1 and 12.5.3).
_TOLD = {Kind.UNAUTHENTICATED: b"www-authenticate: Bearer\r\n", Kind.UNSUPPORTED_ENCODING: b"accept-encoding: identity\r\n"}


class Barred(GatewayError):  # noqa: N818 - somebody, and why not
    """Somebody who is known, and may not come in this way."""

    def __init__(self, principal: Principal, why: GatewayError) -> None:
        super().__init__(why.kind, why.message, code=why.code)
        self.principal = principal


class DataCall:
    """A request that was let in."""

    __slots__ = ("_endpoint", "_extra", "_gateway", "_principal", "max_body", "streams")

    def __init__(
        self, gateway: Gateway, endpoint: Endpoint, principal: Principal, extra: bytes, content_type: bytes = b""
    ) -> None:
        """`content_type` of the request's body."""
        self._gateway = gateway
        self._endpoint = endpoint
        self._principal = principal
        self._extra = extra
        self.streams = endpoint.passing is not None and endpoint.passing.form and is_form(content_type)
        """Its body is passed on while it arrives."""
        most = gateway.parts.live.snapshot.server.max_upload if self.streams else gateway.max_body
        self.max_body = 0 if principal is _NOBODY else _max_body(endpoint, most)

    def start(self, request: Request, reply: Reply) -> Task | None:
        """Answer small questions at once; give the rest to the pipeline."""
        endpoint, gateway = self._endpoint, self._gateway
        if request.method == "OPTIONS":
            reply.send(204, _allow(endpoint) + self._extra, b"")
        elif endpoint.job in JOBS:
            return self._exchange(request, reply, endpoint.job)
        elif endpoint.public:
            health.answer(endpoint.job, reply, ready=gateway.ready)
        else:
            self._tell(request, reply)
        return None

    async def _exchange(self, request: Request, reply: Reply, job: Job) -> None:
        """Give it to the pipeline, if there is still a slot: others may have come since its head was let in."""
        endpoint, gateway, parts = self._endpoint, self._gateway, self._gateway.parts
        if not gateway.shedder.has_slot(self._principal.priority, parts.metrics.requests_in_flight):
            gateway.shed(endpoint.dialect, self._extra).answer(reply)
            return
        door = Door(endpoint.name, endpoint.dialect, endpoint.named, endpoint.passing)
        await run(Exchange(parts, door, self._principal, request, reply, self._extra), parts, job)

    def _tell(self, request: Request, reply: Reply) -> None:
        """Answer what this program knows by itself."""
        endpoint, gateway = self._endpoint, self._gateway
        error, body = None, b""
        try:
            body = tell(endpoint, gateway.parts.live.snapshot, self._principal, request.body)
        except GatewayError as raised:
            error = raised
        gateway.answer(request, reply, self._principal, body, error)


class Gateway:
    """Serves the data plane's listener."""

    def __init__(self, parts: Parts, failures: Failures, cors: Cors, shedder: Shedder, max_body: int) -> None:
        """`max_body`: bytes a request's body may have."""
        self.parts = parts
        self.shedder = shedder
        self.max_body = max_body
        self.ready = False
        self._failures = failures
        self._cors = cors
        self._clients = Clients()
        self._desk = Desk()
        self._told: dict[Priority, int] = dict(shedder.refused())
        self._told_at = 0.0

    def begin(self, request: Request) -> DataCall | Shed:
        """The endpoint at the request's path, for a caller who may use it. Raises `GatewayError`."""
        extra = self._cors.headers(request)
        if (trusted := self.parts.live.snapshot.server.trusted_proxies) is not None:
            request.client = self._clients.find(request.client, request.headers, trusted)
        endpoint = _endpoint(request)
        if endpoint is None:
            raise GatewayError(
                Kind.NOT_FOUND,
                "Nothing is served at this path. Base URLs end in /v1 for OpenAI's clients; for others they have no path.",
                code="unknown_path",
            )
        method = request.method
        if method not in endpoint.methods and method != "OPTIONS":
            raise GatewayError(Kind.METHOD_NOT_ALLOWED, f"Use {endpoint.method} here.", code="method_not_allowed")
        if endpoint.public or method == "OPTIONS":
            return DataCall(self, endpoint, _NOBODY, extra)
        principal = self._authenticate(request, endpoint)
        if principal.endpoints is not None and endpoint.name not in principal.endpoints:
            raise Barred(principal, not_this_way(endpoint.name))
        if principal.addresses is not None and not principal.addresses.hold(request.client):
            raise Barred(principal, not_from_here())
        if not self.shedder.admits(principal.priority, self.parts.metrics.requests_in_flight):
            length = request.length
            if length is None or length > MAX_BODY or b"expect" in request.headers:
                raise overloaded(self.shedder.retry_after())
            return self.shed(endpoint.dialect, extra)
        if b"content-encoding" in request.headers and request.headers[b"content-encoding"].lower() != b"identity":
            raise GatewayError(Kind.UNSUPPORTED_ENCODING, "Send the body as it is, without content-encoding.")
        return DataCall(self, endpoint, principal, extra, request.headers.get(b"content-type", b""))

    def refuse(self, request: Request, reply: Reply, error: GatewayError) -> None:
        """Answer with an error that came before any exchange began, and log it; under load nothing is logged."""
        if error.kind is Kind.OVERLOADED:
            self.shed(_dialect(request, _endpoint(request)), self._cors.headers(request)).answer(reply)
        else:
            self.answer(request, reply, error.principal if isinstance(error, Barred) else _NOBODY, b"", error)

    def shed(self, dialect: Dialect, extra: bytes) -> Shed:
        """The answer to a request that is turned away."""
        return Shed(self._desk, dialect, self.parts.new_id(), extra, self.shedder.retry_after())

    def answer(self, request: Request, reply: Reply, principal: Principal, body: bytes, error: GatewayError | None) -> None:
        """Answer what needs no exchange, with `body` or an error, and log it. Probes of health are not logged."""
        endpoint = _endpoint(request)
        parts, request_id, status = self.parts, self.parts.new_id(), 200
        dialect = _dialect(request, endpoint)
        headers = _JSON + id_lines(request_id, dialect) + self._cors.headers(request)
        if error is not None:
            status, body = error.status, dialect.write_error(error)
            headers += _TOLD.get(error.kind, b"") + retry_after(error)
            if error.kind is Kind.METHOD_NOT_ALLOWED and endpoint is not None:
                headers += _allow(endpoint)
        reply.send(status, headers, body)
        line = RequestLine(
            ts_ns=parts.clock_ns(),
            request_id=request_id,
            key=principal.name,
            method=request.method,
            path=request.path,
            endpoint=endpoint.name if endpoint is not None else "",
            model="",
            provider="",
            target="",
            status=status,
            outcome="ok" if error is None else "refused",
            error="" if error is None else error.kind.value,
            duration_us=int((parts.mono() - request.started) * 1e6),
            client=request.client,
            bytes_out=reply.bytes_out,
        )
        parts.metrics.request(line)
        parts.log.request(line)

    def tick(self, late: float, busy: float, connections: int) -> None:
        """`PERIOD` and `late` seconds went by, of them a share of `busy` with work: go with the load of so many connections.

        The log hears at most once a second of those whom it met.
        """
        parts, shedder, now = self.parts, self.shedder, self.parts.mono()
        in_flight = parts.metrics.requests_in_flight
        shedder.resize(parts.live.snapshot.server.max_requests)
        shedder.tick(late, busy, in_flight, connections)
        self._desk.tick(PERIOD + late, shedder.hold)
        refused = dict(shedder.refused())
        if refused != self._told and now - self._told_at >= _SUMMARY:
            fields = {priority: count - self._told[priority] for priority, count in refused.items()}
            parts.log.event("warning", "turned away under load", **fields, in_flight=in_flight, late_ms=round(late * 1e3))
            self._told, self._told_at = refused, now

    def _find(self, key: bytes) -> Principal | None:
        """Whose key it is, or token, where it holds now. Raises `GatewayError` (403, 503) for a token."""
        live = self.parts.live
        principal = live.keys.find(key)
        if principal is None:
            return live.tokens.find(key) if live.tokens is not None else None
        if principal.expires_ns is not None and principal.expired(self.parts.clock_ns()):
            return None
        return principal

    def _authenticate(self, request: Request, endpoint: Endpoint) -> Principal:
        headers, find = request.headers, self._find
        scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
        if scheme.lower() == b"bearer":
            principal = find(token.strip())
            if principal is not None:
                return principal
        for name in (b"x-api-key", b"x-goog-api-key"):
            if name in headers:
                principal = find(headers[name])
                if principal is not None:
                    return principal
        if endpoint.job == "realtime" and (principal := find(key_of(headers.get(b"sec-websocket-protocol", b"")))):
            return principal
        query = _QUERY_KEY.search(request.query) if endpoint.query_key else None
        if query is not None and (principal := find(unquote_to_bytes(query[1]))) is not None:
            return principal
        wait = self._failures.add(request.client, self.parts.mono())
        if wait:
            raise GatewayError(Kind.RATE_LIMITED, "Too many requests without a valid key.", retry_after=wait)
        if query is not None or headers.keys() & {b"authorization", b"x-api-key", b"x-goog-api-key"}:
            raise invalid()
        raise GatewayError(
            Kind.UNAUTHENTICATED,
            "No API key. Send it as 'Authorization: Bearer tl-…', x-api-key or x-goog-api-key.",
            code="missing_api_key",
        )


def _endpoint(request: Request) -> Endpoint | None:
    return find(request.method, request.path, request.query, request.headers)


def _dialect(request: Request, endpoint: Endpoint | None) -> Dialect:
    return endpoint.dialect if endpoint is not None else dialect_at(request.path)


def _max_body(endpoint: Endpoint, most: int) -> int:
    """Bytes a body may have: an endpoint that reads none takes none."""
    match endpoint.job:
        case "chat" | "count" | "embed" | "image":
            return most
        case "pass":
            return most if endpoint.method == "POST" else 0
        case "show":
            return _MAX_SMALL
        case _:
            return 0


def _allow(endpoint: Endpoint) -> bytes:
    return b"allow: %b, OPTIONS\r\n" % ", ".join(endpoint.methods).encode("ascii")

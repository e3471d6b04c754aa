"""The data plane: from a request's head to the endpoint that answers it. Who may come in is decided here, once, by path.

What an endpoint does belongs in `pipeline`; what a key may do in `policy`.
"""

from __future__ import annotations

from trunkline.canon.errors import GatewayError, Kind
from trunkline.dialects.openai_chat.models import write_model, write_models
from trunkline.edge.reply import Reply
from trunkline.edge.request import Request
from trunkline.edge.server import Task
from trunkline.gateway import health
from trunkline.gateway.cors import Cors
from trunkline.gateway.endpoints import DEFAULT_DIALECT, Endpoint, find
from trunkline.pipeline.exchange import Exchange, Parts
from trunkline.pipeline.outgoing import retry_after
from trunkline.pipeline.run import run
from trunkline.policy.failures import Failures
from trunkline.policy.keys import Principal, invalid
from trunkline.telemetry.lines import RequestLine

_JSON = b"content-type: application/json\r\n"
_NOBODY = Principal("", b"")
#: Header lines that a refusal of this kind carries (RFC 9110 sections 11.6.1 and 12.5.3).
_TOLD = {Kind.UNAUTHENTICATED: b"www-authenticate: Bearer\r\n", Kind.UNSUPPORTED_ENCODING: b"accept-encoding: identity\r\n"}


class DataCall:
    """A request that was let in."""

    __slots__ = ("_endpoint", "_extra", "_gateway", "_model", "_principal", "max_body")

    def __init__(self, gateway: Gateway, endpoint: Endpoint, model: str, principal: Principal, extra: bytes) -> None:
        self._gateway = gateway
        self._endpoint = endpoint
        self._model = model
        self._principal = principal
        self._extra = extra
        self.max_body = gateway.max_body if endpoint.job == "chat" and principal is not _NOBODY else 0

    def start(self, request: Request, reply: Reply) -> Task | None:
        """Answer small questions at once; give the rest to the pipeline."""
        endpoint, gateway = self._endpoint, self._gateway
        if request.method == "OPTIONS":
            reply.send(204, _allow(endpoint) + self._extra, b"")
        elif endpoint.job == "chat":
            exchange = Exchange(gateway.parts, endpoint.name, endpoint.dialect, self._principal, request, reply, self._extra)
            return run(exchange, gateway.parts)
        elif endpoint.public:
            health.answer(endpoint.job, reply, ready=gateway.ready)
        else:
            self._models(request, reply)
        return None

    def _models(self, request: Request, reply: Reply) -> None:
        gateway, principal, model = self._gateway, self._principal, self._model
        snapshot, error, body = gateway.parts.live.snapshot, None, b""
        if self._endpoint.job == "models":
            body = write_models((name, owner) for name, owner in snapshot.models() if principal.may_use(name))
        elif principal.may_use(model) and (route := snapshot.route(model)) is not None:
            body = write_model(route.name, route.targets[0].provider.name)
        else:
            error = GatewayError(Kind.NOT_FOUND, f"The model {model[:200]!r} does not exist here.", code="model_not_found")
        gateway.answer(request, reply, principal, body, error)


class Gateway:
    """Serves the data plane's listener."""

    def __init__(self, parts: Parts, failures: Failures, cors: Cors, max_body: int) -> None:
        """`max_body`: bytes a request's body may have."""
        self.parts = parts
        self.max_body = max_body
        self.ready = False
        self._failures = failures
        self._cors = cors

    def begin(self, request: Request) -> DataCall:
        """The endpoint at the request's path, for a caller who may use it. Raises `GatewayError`."""
        extra = self._cors.headers(request)
        found = find(request.path)
        if found is None:
            raise GatewayError(
                Kind.NOT_FOUND,
                "Nothing is served at this path. The base URL for OpenAI clients ends in /v1.",
                code="unknown_path",
            )
        endpoint, model = found
        method = request.method
        if method not in endpoint.methods and method != "OPTIONS":
            raise GatewayError(Kind.METHOD_NOT_ALLOWED, f"Use {endpoint.method} here.", code="method_not_allowed")
        if endpoint.public or method == "OPTIONS":
            return DataCall(self, endpoint, model, _NOBODY, extra)
        principal = self._authenticate(request)
        if b"content-encoding" in request.headers and request.headers[b"content-encoding"].lower() != b"identity":
            raise GatewayError(Kind.UNSUPPORTED_ENCODING, "Send the body as it is, without content-encoding.")
        return DataCall(self, endpoint, model, principal, extra)

    def refuse(self, request: Request, reply: Reply, error: GatewayError) -> None:
        """Answer with an error that came before any exchange began, and log it."""
        self.answer(request, reply, _NOBODY, b"", error)

    def answer(self, request: Request, reply: Reply, principal: Principal, body: bytes, error: GatewayError | None) -> None:
        """Answer what needs no exchange, with `body` or an error, and log it. Probes of health are not logged."""
        found = find(request.path)
        endpoint = found[0] if found is not None else None
        parts, request_id, status = self.parts, self.parts.new_id(), 200
        headers = b"%bx-request-id: %b\r\n%b" % (_JSON, request_id.encode("ascii"), self._cors.headers(request))
        if error is not None:
            dialect = endpoint.dialect if endpoint is not None else DEFAULT_DIALECT
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

    def _authenticate(self, request: Request) -> Principal:
        headers, keys = request.headers, self.parts.live.keys
        scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
        if scheme.lower() == b"bearer":
            principal = keys.find(token.strip())
            if principal is not None:
                return principal
        for name in (b"x-api-key", b"x-goog-api-key"):
            if name in headers:
                principal = keys.find(headers[name])
                if principal is not None:
                    return principal
        wait = self._failures.add(request.client, self.parts.mono())
        if wait:
            raise GatewayError(Kind.RATE_LIMITED, "Too many requests without a valid key.", retry_after=wait)
        if headers.keys() & {b"authorization", b"x-api-key", b"x-goog-api-key"}:
            raise invalid()
        raise GatewayError(
            Kind.UNAUTHENTICATED, "No API key. Send it as 'Authorization: Bearer tl-…' or as x-api-key.", code="missing_api_key"
        )


def _allow(endpoint: Endpoint) -> bytes:
    return b"allow: %b, OPTIONS\r\n" % ", ".join(endpoint.methods).encode("ascii")

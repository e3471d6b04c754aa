"""Which web pages may call the data plane from a browser. None, unless the configuration names them."""

from __future__ import annotations

from collections.abc import Collection

from trunkline.edge.request import Request

_PREFLIGHT = (
    b"access-control-allow-methods: GET, POST, OPTIONS\r\naccess-control-allow-headers: %b\r\naccess-control-max-age: 600\r\n"
)
_EXPOSED = (
    b"access-control-expose-headers: x-request-id, retry-after, x-trunkline-provider, x-trunkline-model, x-trunkline-attempts,"
    b" x-trunkline-dropped, x-trunkline-cost-usd, x-trunkline-count-basis\r\n"
)


class Cors:
    """Answers for the configured origins; `*` is any."""

    def __init__(self, origins: Collection[str]) -> None:
        """`origins` as browsers send them, such as `https://app.example`."""
        self._origins = frozenset(origin.encode("ascii") for origin in origins)
        self._any = b"*" in self._origins

    def headers(self, request: Request) -> bytes:
        """The header lines for an answer to `request`; empty where CORS is off."""
        if not self._origins:
            return b""
        origin = request.headers.get(b"origin")
        if origin is None or not (self._any or origin in self._origins):
            return b"vary: origin\r\n"
        lines = b"access-control-allow-origin: %b\r\nvary: origin\r\n" % origin
        if request.method == "OPTIONS":
            asked = request.headers.get(b"access-control-request-headers", b"authorization, content-type")
            return lines + _PREFLIGHT % asked
        return lines + _EXPOSED

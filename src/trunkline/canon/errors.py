"""What can go wrong, in one type: whose fault, which status, may it be tried again.

Foreign exceptions and provider errors become a `GatewayError` once, at the seam where they enter; every dialect writes it
its own way. How a dialect spells an error does not belong here.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

import msgspec

Fault = Literal["client", "gateway", "upstream"]


class Kind(StrEnum):
    """The closed list of failures. The value is the low-cardinality name that logs, metrics and the ledger show."""

    BAD_REQUEST = "bad_request"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    REQUEST_TIMEOUT = "request_timeout"
    TOO_LARGE = "too_large"
    UNSUPPORTED_ENCODING = "unsupported_encoding"
    RATE_LIMITED = "rate_limited"
    BUDGET_EXCEEDED = "budget_exceeded"
    CLIENT_GONE = "client_gone"
    OVERLOADED = "overloaded"
    SHUTTING_DOWN = "shutting_down"
    LEDGER_UNAVAILABLE = "ledger_unavailable"
    INTERNAL = "internal"
    UPSTREAM_UNREACHABLE = "upstream_unreachable"
    UPSTREAM_TLS = "upstream_tls"
    UPSTREAM_TIMEOUT = "upstream_timeout"
    UPSTREAM_REFUSED = "upstream_refused"
    UPSTREAM_FAILED = "upstream_failed"
    UPSTREAM_BROKEN = "upstream_broken"
    UPSTREAM_PROTOCOL = "upstream_protocol"


#: kind -> (HTTP status shown to the client, whose fault, may another try succeed)
_FACTS: dict[Kind, tuple[int, Fault, bool]] = {
    Kind.BAD_REQUEST: (400, "client", False),
    Kind.UNAUTHENTICATED: (401, "client", False),
    Kind.FORBIDDEN: (403, "client", False),
    Kind.NOT_FOUND: (404, "client", False),
    Kind.METHOD_NOT_ALLOWED: (405, "client", False),
    Kind.REQUEST_TIMEOUT: (408, "client", False),
    Kind.TOO_LARGE: (413, "client", False),
    Kind.UNSUPPORTED_ENCODING: (415, "client", False),
    Kind.RATE_LIMITED: (429, "client", True),
    Kind.BUDGET_EXCEEDED: (402, "client", False),  # 429 where the operator prefers it
    Kind.CLIENT_GONE: (499, "client", False),  # nginx's number; never on the wire, only in the ledger and the log
    Kind.OVERLOADED: (503, "gateway", True),
    Kind.SHUTTING_DOWN: (503, "gateway", True),
    Kind.LEDGER_UNAVAILABLE: (503, "gateway", True),
    Kind.INTERNAL: (500, "gateway", False),
    Kind.UPSTREAM_UNREACHABLE: (502, "upstream", True),
    Kind.UPSTREAM_TLS: (502, "upstream", False),
    Kind.UPSTREAM_TIMEOUT: (504, "upstream", True),
    Kind.UPSTREAM_REFUSED: (400, "upstream", False),  # the provider's own 4xx; its status goes through
    Kind.UPSTREAM_FAILED: (502, "upstream", True),  # the provider's own 5xx or 429; its status goes through
    Kind.UPSTREAM_BROKEN: (502, "upstream", True),  # it hung up or reset before the end
    Kind.UPSTREAM_PROTOCOL: (502, "upstream", True),  # what it sent is not HTTP, not JSON, or not this dialect
}


class Upstream(msgspec.Struct, frozen=True):
    """What the provider itself said, kept for the log and for same-dialect pass-through."""

    status: int
    body: bytes
    content_type: str = ""
    retry_after: str = ""
    """The provider's `retry-after`, word for word (seconds or an HTTP date)."""
    verbatim: bool = False
    """True when `body` already is a well-formed error of the caller's dialect and may go out as it stands."""


class GatewayError(Exception):
    """A failure of one request. `message` is shown to the caller: no secret, no internal address, and what to do next."""

    def __init__(  # noqa: PLR0913 - the facts of a failure; all but two are optional
        self,
        kind: Kind,
        message: str,
        *,
        status: int | None = None,
        retryable: bool | None = None,
        retry_after: float | None = None,
        code: str | None = None,
        param: str | None = None,
        upstream: Upstream | None = None,
    ) -> None:
        """`status` and `retryable` default to the kind's; `retry_after` is in seconds; `param` names the offending field."""
        super().__init__(message)
        default_status, fault, default_retryable = _FACTS[kind]
        self.kind = kind
        self.message = message
        self.status = default_status if status is None else status
        self.fault: Fault = fault
        self.retryable = default_retryable if retryable is None else retryable
        self.retry_after = retry_after
        self.code = code
        self.param = param
        self.upstream = upstream

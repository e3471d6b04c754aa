"""Errors of this dialect: read from providers in every shape they were seen in, written in OpenAI's own.

Read by structure and status, never by the words of a message: providers reword. What is retried and when belongs in
`routing`.
"""

from __future__ import annotations

import re

import msgspec

from trunkline.canon.errors import GatewayError, Kind, Upstream

#: Statuses beside 5xx that another try may cure; what OpenAI's and Anthropic's own SDKs retry.
_PASSING = frozenset({408, 409, 429})
#: OpenAI's word for a kind of error, by status. 5xx are `server_error`, any other 4xx an `invalid_request_error`.
_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
_MESSAGE_LENGTH = 2048
#: Keys under which a message was seen, in the order they are looked for: OpenAI, Anthropic and Gemini `error.message`; xAI
#: and Ollama `error`; Mistral, Cerebras, Cohere, Bedrock `message`; Mistral and FastAPI servers `detail`, with a list of `msg`.
_MESSAGE_KEYS = ("error", "message", "detail", "msg")
_DEPTH = 4
_BODY_KEPT = 4096
_VERBATIM_BYTES = 64 * 1024
_SLUG = re.compile(r"[\w.:-]{1,64}", re.ASCII)


def read_error(status: int, content_type: str, body: bytes) -> GatewayError:
    """Map a provider's error answer (any status but a 2xx whole answer), whatever its shape.

    4xx keep their status and are refusals; 408, 409, 429 and 5xx keep it and may be tried again; a redirect is never
    followed and is a 502, as is any other status. `upstream.verbatim` is True where the body is an error of OpenAI's shape.
    """
    kind = _kind(status)
    if kind is Kind.UPSTREAM_PROTOCOL:
        what = f"a redirect ({status}), which is not followed" if 300 <= status < 400 else f"the unexpected status {status}"
        message = f"The provider answered with {what}. Check its base URL."
        return GatewayError(kind, message, upstream=Upstream(status, body[:_BODY_KEPT], content_type))
    told = _decode(body)
    verbatim = _is_openai(told) and len(body) <= _VERBATIM_BYTES
    upstream = Upstream(status, body if verbatim else body[:_BODY_KEPT], content_type, verbatim=verbatim)
    message = clean(_find(told)) if told is not None else _plain(body, content_type)
    return _mapped(status, told, message or f"The provider answered with status {status} and no message.", upstream)


def reported(error: object, upstream: Upstream) -> GatewayError:
    """Map an `error` that stood inside an answer of status 200, whole or streamed.

    A 4xx that the error itself names as a number (`status_code`, `code`) is its status; anything else is a 502.
    """
    named = _named_status(error)
    message = clean(_find(error)) or "The provider reported an error inside its answer."
    kept = msgspec.structs.replace(upstream, body=upstream.body[:_BODY_KEPT])
    return _mapped(named or 502, {"error": error}, message, kept)


def write_error(error: GatewayError) -> bytes:
    """A JSON error body in OpenAI's shape: `{"error": {"message", "type", "param", "code"}}`."""
    kind = "server_error" if error.status >= 500 else _TYPES.get(error.status, "invalid_request_error")
    told = {"message": error.message, "type": kind, "param": error.param, "code": error.code or error.kind.value}
    return msgspec.json.encode({"error": told})


def write_stream_error(error: GatewayError) -> bytes:
    """The event that ends a stream which broke after it began. No `[DONE]` follows: it must not look like a clean end."""
    return b"data: " + write_error(error) + b"\n\n"


def clean(text: str) -> str:
    """A provider's text made fit to show: one line of at most 2,048 characters, without control or format characters."""
    shown = "".join(char if char.isprintable() else " " for char in text[:_MESSAGE_LENGTH])
    return " ".join(shown.split())


def _kind(status: int) -> Kind:
    if status in _PASSING or 500 <= status < 600:
        return Kind.UPSTREAM_FAILED
    return Kind.UPSTREAM_REFUSED if 400 <= status < 500 else Kind.UPSTREAM_PROTOCOL


def _mapped(status: int, told: object, message: str, upstream: Upstream) -> GatewayError:
    code = _field(told, "code")
    # the one 429 that waiting does not cure, by OpenAI's own code for it
    retryable = False if code == "insufficient_quota" else None
    param = _field(told, "param")
    return GatewayError(_kind(status), message, status=status, retryable=retryable, code=code, param=param, upstream=upstream)


def _decode(body: bytes) -> object:
    """The JSON value of a body; None where it is not JSON."""
    try:
        return msgspec.json.decode(body)
    except (ValueError, RecursionError):
        return None


def _is_openai(told: object) -> bool:
    if not isinstance(told, dict):
        return False
    error = told.get("error")
    return isinstance(error, dict) and isinstance(error.get("message"), str)


def _find(told: object, depth: int = _DEPTH) -> str:
    """The first message in a decoded error; of a list the first element's (Gemini's array of one, FastAPI's `detail`)."""
    if isinstance(told, str):
        return told
    if not depth or not told:
        return ""
    if isinstance(told, list):
        return _find(told[0], depth - 1)
    if isinstance(told, dict):
        return next((text for key in _MESSAGE_KEYS if (text := _find(told.get(key), depth - 1))), "")
    return ""


def _field(told: object, name: str) -> str | None:
    """`code` or `param`, from inside `error` or beside it, where it is a word or a number; a sentence (xAI) is none."""
    places = (told.get("error"), told) if isinstance(told, dict) else ()
    for place in places:
        value = place.get(name) if isinstance(place, dict) else None
        if type(value) in {str, int} and _SLUG.fullmatch(str(value)):
            return str(value)
    return None


def _named_status(error: object) -> int | None:
    if not isinstance(error, dict):
        return None
    named = (error.get("status_code"), error.get("code"))
    return next((status for status in named if type(status) is int and 400 <= status < 500), None)


def _plain(body: bytes, content_type: str) -> str:
    """The message of a body that is not JSON: plain text is one, a page or broken JSON is not."""
    start = body.lstrip()[:1]
    if "html" in content_type.lower() or start == b"<":
        return "The provider answered with a web page instead of an error message."
    if start in {b"{", b"["}:
        return "The provider answered with an error that could not be read."
    return clean(body[: 4 * _MESSAGE_LENGTH].decode("utf-8", "replace"))

"""Errors of providers, read in every shape they were seen in: what all dialects share of it.

Read by structure and status, never by the words of a message: providers reword (the one exception is named below). How a
dialect writes an error, and which words it has for its kinds, belongs in the dialect; what is retried and when belongs in
`routing`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec

from trunkline.canon.chat import FinishReason
from trunkline.canon.errors import GatewayError, Kind, Upstream

#: Statuses beside 5xx that another try may cure; what OpenAI's and Anthropic's own SDKs retry.
_PASSING = frozenset({408, 409, 429})
_MESSAGE_LENGTH = 2048
#: Keys under which a message was seen, in the order they are looked for: OpenAI, Anthropic and Gemini `error.message`; xAI
#: and Ollama `error`; Mistral, Cerebras, Cohere, Bedrock `message`; Mistral and FastAPI servers `detail`, with a list of `msg`;
#: what stands before AWS's services `Message`.
_MESSAGE_KEYS = ("error", "message", "detail", "msg", "Message")
_DEPTH = 4
_BODY_KEPT = 4096
_VERBATIM_BYTES = 64 * 1024
_SLUG = re.compile(r"[\w.:-]{1,64}", re.ASCII)
#: What says that a key is wrong, as a `code` or as the `reason` of one of Google's details.
_BAD_KEY = frozenset({"invalid_api_key", "API_KEY_INVALID"})
_KEY_WORDS = re.compile(r"\bAPI key\b", re.IGNORECASE)
_DELAY = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)s", re.ASCII)


def read_error(status: int, content_type: str, body: bytes, *, is_own: Callable[[object], bool]) -> GatewayError:
    """Map a provider's error answer (any status but a 2xx whole answer), whatever its shape.

    4xx keep their status and are refusals; 408, 409, 429 and 5xx keep it and may be tried again; a redirect is never
    followed and is a 502, as is any other status. A status that lies is mended (a wrong key told as 400 is a 401), while
    `upstream.status` stays what the provider sent. `is_own` says whether a decoded body is an error of the dialect's own
    shape: such a body is kept whole and `upstream.verbatim`.
    """
    kind = kind_of(status)
    if kind is Kind.UPSTREAM_PROTOCOL:
        what = f"a redirect ({status}), which is not followed" if 300 <= status < 400 else f"the unexpected status {status}"
        message = f"The provider answered with {what}. Check its base URL."
        return GatewayError(kind, message, upstream=Upstream(status, body[:_BODY_KEPT], content_type))
    told = _decode(body)
    verbatim = is_own(told) and len(body) <= _VERBATIM_BYTES
    upstream = Upstream(status, body if verbatim else body[:_BODY_KEPT], content_type, verbatim=verbatim)
    message = clean(message_of(told)) if told is not None else _plain(body, content_type)
    shown = 401 if status == 400 and _is_bad_key(told) else status
    return _mapped(shown, told, message or f"The provider answered with status {status} and no message.", upstream)


def reported(error: object, upstream: Upstream, status: int | None = None) -> GatewayError:
    """Map an `error` that stood inside an answer of status 200, whole or streamed.

    `status`: what the dialect knows the error's own word to mean. Without it a 4xx that the error itself names as a number
    (`status_code`, `code`) is its status; anything else is a 502.
    """
    message = clean(message_of(error)) or "The provider reported an error inside its answer."
    kept = msgspec.structs.replace(upstream, body=upstream.body[:_BODY_KEPT])
    return _mapped(status or _named_status(error) or 502, {"error": error}, message, kept)


def protocol(message: str, body: bytes) -> GatewayError:
    """An answer of status 200 that is not what it should be. What is kept of `body` is bounded."""
    return GatewayError(Kind.UPSTREAM_PROTOCOL, message, upstream=Upstream(status=200, body=body[:_BODY_KEPT]))


def broken(native: str) -> GatewayError:
    """An answer that its model could not finish; `native` is the provider's word for why."""
    why = f" ({native})" if native else ""
    return GatewayError(Kind.UPSTREAM_FAILED, f"The model could not finish its answer{why}.", code=native or None)


def unfinished(reason: FinishReason, native: str) -> GatewayError | None:
    """The error for an answer that its provider gave up, or wants sent back to go on with it; None for any other. No client
    of an API without words for that may take what there is for the whole.
    """
    if reason == "error":
        return broken(native)
    if reason == "pause":
        why = f" ({native})" if native else ""
        said = f"The provider wants its answer sent back to go on with it{why}, for which the client's API has no word."
        return GatewayError(Kind.UPSTREAM_FAILED, said, code=native or None, retryable=False)
    return None


def kind_of(status: int) -> Kind:
    """What a provider's status means: a refusal, a failure that may pass, or none that belongs in such an answer."""
    if status in _PASSING or 500 <= status < 600:
        return Kind.UPSTREAM_FAILED
    return Kind.UPSTREAM_REFUSED if 400 <= status < 500 else Kind.UPSTREAM_PROTOCOL


def clean(text: str) -> str:
    """A provider's text made fit to show: one line of at most 2,048 characters, without control or format characters."""
    shown = "".join(char if char.isprintable() else " " for char in text[:_MESSAGE_LENGTH])
    return " ".join(shown.split())


def message_of(told: object, depth: int = _DEPTH) -> str:
    """The first message in a decoded error; of a list the first element's (Gemini's array of one, FastAPI's `detail`)."""
    if isinstance(told, str):
        return told
    if not depth or not told:
        return ""
    if isinstance(told, list):
        return message_of(told[0], depth - 1)
    if isinstance(told, dict):
        return next((text for key in _MESSAGE_KEYS if (text := message_of(told.get(key), depth - 1))), "")
    return ""


def word_of(told: object, name: str) -> str | None:
    """`code`, `param` and the like, from inside `error` or beside it, where it is a word or a number; a sentence (xAI) is
    none.
    """
    places = (told.get("error"), told) if isinstance(told, dict) else ()
    for place in places:
        value = place.get(name) if isinstance(place, dict) else None
        if type(value) in {str, int} and _SLUG.fullmatch(str(value)):
            return str(value)
    return None


def _mapped(status: int, told: object, message: str, upstream: Upstream) -> GatewayError:
    code = word_of(told, "code")
    return GatewayError(
        kind_of(status),
        message,
        status=status,
        retryable=False if code == "insufficient_quota" else None,  # the 429 that waiting does not cure, by OpenAI's code
        retry_after=_retry_delay(told),
        code=code,
        param=word_of(told, "param"),
        upstream=upstream,
    )


def _decode(body: bytes) -> object:
    """The JSON value of a body; None where it is not JSON."""
    try:
        return msgspec.json.decode(body)
    except (ValueError, RecursionError):
        return None


def _is_bad_key(told: object) -> bool:
    """Whether a 400 means a wrong key. xAI's says so in words only: its `code` is that of any wrong argument."""
    if word_of(told, "code") in _BAD_KEY or any(detail.get("reason") in _BAD_KEY for detail in _details(told)):
        return True
    error = told.get("error") if isinstance(told, dict) and "code" in told else None
    return isinstance(error, str) and _KEY_WORDS.search(error) is not None


def _retry_delay(told: object) -> float | None:
    """Seconds to wait, from Google's `RetryInfo`: it sends no `retry-after`."""
    for detail in _details(told):
        found = _DELAY.fullmatch(str(detail.get("retryDelay")))
        if found:
            return float(found[1])
    return None


def _details(told: object) -> list[dict[str, Any]]:
    """The objects in Google's `error.details`."""
    outer = told[0] if isinstance(told, list) and told else told
    error = outer.get("error") if isinstance(outer, dict) else None
    details = error.get("details") if isinstance(error, dict) else None
    return [detail for detail in details if isinstance(detail, dict)] if isinstance(details, list) else []


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

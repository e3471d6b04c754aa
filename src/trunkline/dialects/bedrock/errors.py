"""Errors of Bedrock: an error answer, and an exception inside a stream.

How an error is read whatever its shape belongs in `dialects.errors`. The name of the exception, which an error answer tells
in a header, says nothing that its status does not.
"""

from __future__ import annotations

from typing import Any

import msgspec

from trunkline.canon.errors import GatewayError, Kind, Upstream
from trunkline.dialects import errors

#: The exceptions of a stream and the statuses they stand for (the service's description).
_STATUSES = {
    "validationException": 400,
    "modelStreamErrorException": 424,
    "throttlingException": 429,
    "internalServerException": 500,
    "serviceUnavailableException": 503,
}
_MODEL_FAILED = 424
"""The model broke while it answered (`ModelErrorException`): no fault of the request's, though the status is a 4xx."""

_fields = msgspec.json.Decoder(dict[str, Any]).decode


def read_error(status: int, content_type: str, body: bytes) -> GatewayError:
    """As `dialects.errors.read_error`; never verbatim, as no client speaks this dialect."""
    return _mended(errors.read_error(status, content_type, body, is_own=lambda _: False))


def reported(word: str, message: str, payload: bytes) -> GatewayError:
    """An exception or an error that stood inside a stream. `word` names it; `message`, where there is one, stands beside
    the payload.
    """
    try:
        told = _fields(payload)
    except (ValueError, RecursionError):
        told = {"message": payload.decode("utf-8", "replace")}
    status = told.get("originalStatusCode")
    if type(status) is not int or not 400 <= status < 600:
        status = _STATUSES.get(word, 502)
    said = message or errors.message_of(told) or errors.message_of(told.get("originalMessage")) or word
    return _mended(errors.reported({"message": said, "code": word}, Upstream(200, payload), status))


def _mended(error: GatewayError) -> GatewayError:
    if error.status == _MODEL_FAILED:
        error.kind, error.retryable = Kind.UPSTREAM_FAILED, True
    return error

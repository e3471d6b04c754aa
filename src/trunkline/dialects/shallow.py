"""JSON objects decoded one level deep: what must be seen is seen, the rest stays the bytes it was.

What a field means belongs in the dialects, but for the few that most of them spell alike.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from trunkline.canon.errors import GatewayError, Kind

_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
#: Encodes such an object again: keys written anew, values byte for byte, order kept, nothing between them.
encode = msgspec.json.Encoder().encode
_MODEL_LENGTH = 256
_LETTERS = len("model")
_NULL = msgspec.Raw(b"null")
_text = msgspec.json.Decoder(str).decode
_flag = msgspec.json.Decoder(bool | None).decode
_nested = msgspec.json.Decoder(dict[str, msgspec.Raw] | None).decode
_LONE_SURROGATE = re.compile(rb"\\u[dD][89abAB]..(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB]..)\\u[dD][c-fC-F]")


def fields(body: bytes) -> dict[str, msgspec.Raw]:
    """The top-level fields of a client's JSON object. Raises `GatewayError(BAD_REQUEST)` where the body is none.

    A key that stands twice, however its letters are escaped, is there once with its last value, so what is checked is what
    is sent. Refused beside broken JSON: bytes that are not UTF-8, a byte order mark, lone surrogates (RFC 8259, 8.1 and
    8.2: readers disagree about them), nesting deeper than the interpreter's stack.
    """
    try:
        found = _decode(body)
        if not body.isascii():
            body.decode()  # values are not decoded above, so their bytes have not been looked at
    except UnicodeDecodeError:
        reason = "is not valid UTF-8"
    except msgspec.ValidationError:
        reason = "must be a JSON object"
    except msgspec.DecodeError as error:
        lone = _LONE_SURROGATE.search(body)
        reason = f"holds half of a surrogate pair (byte {lone.start()})" if lone else f"is not valid JSON: {error}"
    except RecursionError:
        reason = "is nested too deeply"
    else:
        return found
    raise GatewayError(Kind.BAD_REQUEST, f"The request body {reason}.", code="invalid_json")


def bad(path: str, problem: str, code: str = "invalid_value") -> GatewayError:
    """The error for a field of a client's that is wrong. `problem` completes "The field 'x' ...". Raise it."""
    return GatewayError(Kind.BAD_REQUEST, f"The field '{path}' {problem}.", code=code, param=path)


def model_of(found: dict[str, msgspec.Raw]) -> str:
    """The `model` of a request. Raises `GatewayError(BAD_REQUEST)` where there is none that can be one."""
    for name in found:
        if len(name) == _LETTERS and name != "model" and name.lower() == "model":
            raise bad("model", "stands in another spelling")  # Go's readers take either, and the last: a key may not use it
    if "model" not in found:
        raise bad("model", "is required", code="missing_required_parameter")
    try:
        return checked_model(_text(found["model"]))
    except msgspec.ValidationError:
        raise bad("model", "must be a string") from None


def checked_model(name: str) -> str:
    """The name of a model, where it can be one. Raises `GatewayError(BAD_REQUEST)`."""
    if not 0 < len(name) <= _MODEL_LENGTH:
        raise bad("model", f"must have 1 to {_MODEL_LENGTH} characters")
    if not name.isprintable():  # it will stand in logs, metrics and perhaps a URL
        raise bad("model", "must not contain control characters")
    return name


def flag_of(found: dict[str, msgspec.Raw], name: str, path: str) -> bool | None:
    """A boolean; None where it is absent or null. Raises `GatewayError(BAD_REQUEST)` that names `path`."""
    try:
        flag: bool | None = _flag(found.get(name, _NULL))
    except msgspec.ValidationError:
        raise bad(path, "must be a boolean") from None
    return flag


def nested_of(found: dict[str, msgspec.Raw], name: str) -> dict[str, msgspec.Raw]:
    """The fields of an object inside; none where it is absent or null. Raises `GatewayError(BAD_REQUEST)`."""
    try:
        nested: dict[str, msgspec.Raw] = _nested(found.get(name, _NULL)) or {}
    except msgspec.ValidationError:
        raise bad(name, "must be an object") from None
    return nested


def values_of(found: dict[str, msgspec.Raw]) -> dict[str, Any]:
    """Every field decoded. Raises `GatewayError(BAD_REQUEST)` that names the one that no one can hold."""
    told: dict[str, Any] = {}
    for name, raw in found.items():
        try:
            told[name] = msgspec.json.decode(raw)
        except (ValueError, RecursionError) as error:
            raise bad(name, f"is not valid: {error}") from None
    return told

"""JSON objects decoded one level deep: what must be seen is seen, the rest stays the bytes it was.

What a field means belongs in the dialects.
"""

from __future__ import annotations

import re

import msgspec

from trunkline.canon.errors import GatewayError, Kind

_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
#: Encodes such an object again: keys written anew, values byte for byte, order kept, nothing between them.
encode = msgspec.json.Encoder().encode
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

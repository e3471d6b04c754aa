"""A whole answer read in passing."""

from __future__ import annotations

import msgspec

from trunkline.canon.errors import Upstream
from trunkline.canon.usage import NO_USAGE
from trunkline.dialects import guess
from trunkline.dialects.dialect import Whole
from trunkline.dialects.errors import protocol, reported
from trunkline.dialects.ollama import line
from trunkline.dialects.ollama.line import Line


def read_reply(body: bytes) -> Whole:
    """Read a 2xx whole answer in passing.

    Raises `GatewayError`: the provider's own error inside a 200, or an answer that is empty, not JSON or not of this dialect.
    """
    told = read(body)
    usage = line.usage(told)
    if usage is NO_USAGE:
        return Whole(usage, "", line.native_finish(told), estimate=guess.tokens(_size(told)))
    return Whole(usage, line.raw_usage(body), line.native_finish(told))


def read(body: bytes) -> Line:
    """A whole answer, decoded. Raises as `read_reply` does."""
    try:
        told = line.decode(body)
    except msgspec.ValidationError:
        problem = "The provider's answer is not an Ollama answer."
    except (ValueError, RecursionError):
        problem = "The provider's answer is not JSON." if body.strip() else "The provider's answer is empty."
    else:
        if told.error:
            raise reported(told.error, Upstream(status=200, body=body))
        if told.answers():
            return told
        problem = "The provider's answer is not an Ollama answer."
    raise protocol(problem, body)


def _size(told: Line) -> int:
    said = told.said()
    return len(line.text(said.content)) + len(line.text(said.thinking)) + len(bytes(said.tool_calls))

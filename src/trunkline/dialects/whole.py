"""Whole answers of providers, decoded as far as they are wanted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import msgspec

from trunkline.canon.errors import Upstream
from trunkline.canon.usage import NO_USAGE, Usage
from trunkline.canon.usage import total as summed
from trunkline.dialects.counts import raw_text
from trunkline.dialects.errors import protocol, reported


class Told(msgspec.Struct, kw_only=True, gc=False):
    """What every answer may be instead."""

    error: Any = None


_Answer = TypeVar("_Answer", bound=Told)
_Thing = TypeVar("_Thing")
_told = msgspec.json.Decoder(Told).decode


def decoded(body: bytes, decode: Callable[[bytes], _Answer], what: str) -> _Answer:
    """A 2xx answer. Raises `GatewayError` where it is an error or is not `what` (such as `an embeddings answer`)."""
    problem = f"The provider's answer is not {what}."
    try:
        found = decode(body)
    except msgspec.ValidationError:
        error = _error(body)
    except (ValueError, RecursionError):
        error = None
        problem = "The provider's answer is not JSON." if body.strip() else "The provider's answer is empty."
    else:
        if not found.error:
            return found
        error = found.error
    if error:
        raise reported(error, Upstream(status=200, body=body))
    raise protocol(problem, body)


def _error(body: bytes) -> Any:
    try:
        return _told(body).error
    except (ValueError, RecursionError):
        return None


def total(usages: Sequence[tuple[Usage, str]]) -> tuple[Usage, str]:
    """What several answers to one question used, each with its own text of it; nothing where one did not tell."""
    if not usages or any(usage.basis != "reported" for usage, _ in usages):
        return NO_USAGE, ""
    if len(usages) == 1:
        return usages[0]
    raw = f"[{','.join(raw or 'null' for _, raw in usages)}]"
    return summed(usage for usage, _ in usages), raw_text(raw.encode())


def collected(
    bodies: Sequence[bytes], read: Callable[[bytes], tuple[Iterable[_Thing], tuple[Usage, str]]]
) -> tuple[tuple[_Thing, ...], Usage, str]:
    """What `read` finds in several answers to one question, in order, and the total of what they used."""
    found = [read(body) for body in bodies]
    usage, raw_usage = total([used for _, used in found])
    return tuple(thing for things, _ in found for thing in things), usage, raw_usage

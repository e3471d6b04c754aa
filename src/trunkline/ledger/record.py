"""One request in the ledger: how it was opened, and how it was settled.

A record is *accepted* when it is opened: after the key, the model and the body were found good, before a byte goes to a
provider. Each accepted request has exactly one row in the end: its settlement, or, where the process died first, a row
made from the opening with the outcome `interrupted`.
"""

from __future__ import annotations

from typing import Literal, TypeVar

import msgspec

from trunkline.canon.usage import NO_USAGE, Usage

Outcome = Literal["ok", "refused", "upstream_error", "upstream_broken", "client_cancelled", "shutdown", "interrupted", "error"]


class Open(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="open"):
    """What is known at admission. `started_ns` is wall-clock nanoseconds since the epoch."""

    id: str
    started_ns: int
    key: str
    """Name of the client's key, never the key."""
    endpoint: str
    """The client's door, such as `chat.completions`."""
    dialect: str
    """The client's dialect."""
    model: str
    """The model name the client asked for."""
    provider: str
    target: str
    """The model name sent to the provider."""
    stream: bool
    user: str = ""
    """Whose the key is, as far as it says."""
    team: str = ""
    organisation: str = ""
    tags: str = ""
    """Of the key, sorted, with commas between them."""


class Settle(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="settle"):
    """The whole row, known at the end. Self-contained: a settlement without its opening still makes a complete row."""

    opened: Open
    outcome: Outcome
    status: int
    """HTTP status the client got; 499 where it left before any."""
    error: str = ""
    """`Kind` value, empty on success."""
    finish: str = ""
    """The provider's own finish reason."""
    attempts: int = 1
    usage: Usage = NO_USAGE
    raw_usage: str = ""
    """The provider's usage object, its own JSON text, empty where none came."""
    cost_nano: int | None = None
    """Nano-dollars; None where no price is known."""
    price_version: str = ""
    duration_us: int = 0
    first_byte_us: int = 0
    """Microseconds from the start to the first byte given to the client; 0 where none was."""
    upstream_id: str = ""
    """The provider's own request id."""
    trail: str = ""
    """What happened on the way, as JSON: a `pipeline.trail.Trail`. Empty where the first choice answered at once."""
    reported_nano: int | None = None
    """Nano-dollars that the provider itself says it costs; None where it does not."""


Record = Open | Settle
"""What the journal holds. Fields are only ever appended, with a default: a journal outlives the version that wrote it."""

_Kind = TypeVar("_Kind", Open, Settle)

Row = dict[str, str | int | bool | None]
"""One row as the store keeps it: column name to value."""

MAX_INTEGER = 2**63 - 1
"""What a column of the store and an integer of msgpack can hold."""
MAX_TEXT = 16 * 1024
"""Characters of one field of a tamed record."""


def interrupted(opened: Open) -> Settle:
    """The settlement of a request whose process died before it could settle: nothing is known but how it was opened."""
    return Settle(opened, "interrupted", 0)


def tame(record: _Kind) -> _Kind:
    """The same record, made storable: integers brought into 64 bits, text cut and freed of lone surrogates.

    What providers and clients send ends up in records, so no value may stop the books. Costly; only for records that
    could not be written as they are.
    """
    return msgspec.structs.replace(record, **{name: _tamed(getattr(record, name)) for name in record.__struct_fields__})


def _tamed(value: object) -> object:
    if isinstance(value, str):
        return value[:MAX_TEXT].encode("utf-8", "replace").decode()
    if isinstance(value, int) and not isinstance(value, bool):
        return max(0, min(value, MAX_INTEGER))
    if isinstance(value, msgspec.Struct):
        return msgspec.structs.replace(value, **{name: _tamed(getattr(value, name)) for name in value.__struct_fields__})
    return value


def row(settle: Settle) -> Row:
    """The settlement as one flat row. The names are the columns of the store's table `usage`."""
    opened = settle.opened
    usage = settle.usage
    return {
        "id": opened.id,
        "started_ns": opened.started_ns,
        "key": opened.key,
        "endpoint": opened.endpoint,
        "dialect": opened.dialect,
        "model": opened.model,
        "provider": opened.provider,
        "target": opened.target,
        "stream": opened.stream,
        "outcome": settle.outcome,
        "status": settle.status,
        "error": settle.error,
        "finish": settle.finish,
        "attempts": settle.attempts,
        "input_tokens": usage.input,
        "cache_read_tokens": usage.cache_read,
        "cache_write_5m_tokens": usage.cache_write_5m,
        "cache_write_1h_tokens": usage.cache_write_1h,
        "output_tokens": usage.output,
        "reasoning_tokens": usage.reasoning,
        "audio_input_tokens": usage.audio_input,
        "audio_output_tokens": usage.audio_output,
        "images": usage.images,
        "basis": usage.basis,
        "raw_usage": settle.raw_usage,
        "cost_nano": settle.cost_nano,
        "price_version": settle.price_version,
        "duration_us": settle.duration_us,
        "first_byte_us": settle.first_byte_us,
        "upstream_id": settle.upstream_id,
        "trail": settle.trail,
        "user": opened.user,
        "team": opened.team,
        "organisation": opened.organisation,
        "tags": opened.tags,
        "reported_nano": settle.reported_nano,
    }

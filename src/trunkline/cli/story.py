"""The story of a request that is over, as its record in the ledger tells it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from trunkline.cli.accounts import accounts
from trunkline.cli.data import fail, printable
from trunkline.cli.usage import dollars
from trunkline.pipeline.trail import Trail, read
from trunkline.pipeline.use import Step
from trunkline.store import usage


def record(data: Path, ident: str, config: Path | None = None) -> dict[str, Any]:
    """The row of the request `ident`, from the journal or the store; its trail as a `Trail`. Raises typer.Exit."""
    with accounts(data, config) as (store, unstored):
        row: Mapping[str, Any] | None = next((one for one in unstored if one["id"] == ident), None) or usage.find(store, ident)
    if row is None:
        raise fail(
            f"No request {printable(ident[:64])!r} stands in the ledger of {data}.",
            "Take the id from the answer's x-request-id. Requests that are still running, and those that were refused before"
            " a target was chosen, have no record: the log has them.",
        )
    return {**row, "trail": read(row["trail"])}


def lines(row: Mapping[str, Any]) -> list[str]:
    """A record of `record` for people."""
    when = datetime.fromtimestamp(row["started_ns"] / 1e9, UTC)
    told = [
        f"request   {row['id']}, {when:%Y-%m-%d %H:%M:%S}.{when.microsecond // 1000:03} UTC",
        f"key       {row['key'] or '(none)'}, at {row['endpoint']} ({row['dialect']}{', stream' if row['stream'] else ''})",
        f"model     {row['model'] or '(none)'}, by {_target(row)}",
        f"outcome   {row['outcome']}{_of(row['error'])}, status {row['status']}, in {_ms(row['duration_us'])}"
        + (f", first byte after {_ms(row['first_byte_us'])}" if row["first_byte_us"] else ""),
        f"tokens    {_tokens(row)}",
        f"cost      {'no price is known' if row['cost_nano'] is None else dollars(row['cost_nano'])}",
    ]
    if row["upstream_id"]:
        told.append(f"provider  calls it {row['upstream_id']}")
    told += ["way       " + line if n == 0 else "          " + line for n, line in enumerate(_way(row))]
    return [printable(line) for line in told]


def _way(row: Mapping[str, Any]) -> list[str]:
    """What happened, in order."""
    trail: Trail = row["trail"]
    told = [f"rule {number} was followed" for number in trail.rules]
    told += [f"not to {name}: {reason}" for name, reason in trail.passed]
    ended = 0
    for step in sorted(trail.steps, key=lambda step: step.began_ms):
        if 0 < ended < step.began_ms and not step.hedged:
            told.append(f"+{ended} ms  waited {step.began_ms - ended} ms")
        ended = max(ended, step.began_ms + step.took_ms)
        told.append(_told(step))
    if trail.cut:
        told.append(f"{trail.cut} more found no room in the record")
    if not trail.steps:
        told.append(f"+0 ms  {_target(row)}: {'answered' if row['outcome'] == 'ok' else row['error'] or row['outcome']}")
    return told


def _told(step: Step) -> str:
    credential = f" with credential {step.seat + 1}" if step.seat else ""
    beside = ", asked beside the one before" if step.hedged else ""
    what = f"{step.error}{f', status {step.status}' if step.status else ''}" if step.error else "answered"
    cost = "" if step.nano is None else f", {dollars(step.nano)}"
    used = f", {step.input:,} in, {step.output:,} out{cost}" if step.input or step.output else cost
    return f"+{step.began_ms} ms  {step.provider}/{step.model}{credential}{beside}: {what} after {step.took_ms} ms{used}"


def _target(row: Mapping[str, Any]) -> str:
    return f"{row['provider']}/{row['target']}" if row["target"] else row["provider"]


def _tokens(row: Mapping[str, Any]) -> str:
    if row["basis"] == "none":
        return "none are known"
    cached = f" ({row['cache_read_tokens']:,} of them cached)" if row["cache_read_tokens"] else ""
    return f"{row['input_tokens']:,} in{cached}, {row['output_tokens']:,} out, {row['basis']}"


def _of(error: str) -> str:
    return f" ({error})" if error else ""


def _ms(microseconds: int) -> str:
    return f"{microseconds / 1000:,.0f} ms"

"""S1: what two parsers could read in two ways is refused, and nothing behind it is ever read as a request."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from faults.smuggling_rows import GOOD, ROWS, Row
from harness.client import Reply, Wire
from harness.gateway import Gateway
from harness.invariants import Case
from harness.upstream import Upstream


@pytest.fixture(scope="module")
def table(gateway: Gateway, upstream: Upstream) -> Iterator[Case]:
    """The invariants once for the whole table: the rows themselves look at all but the ledger."""
    whole = Case(gateway, upstream)
    whole.begin()
    whole.rows = 0
    yield whole
    whole.check()


def answers(wire: Wire, row: Row) -> list[Reply]:
    """The answers to a row, until the connection closes or the expected ones are there."""
    found: list[Reply] = []
    while row.verdict != "allowed" or len(found) < row.answers:
        try:
            reply = wire.read_reply(bodyless=row.data.startswith(b"HEAD"))
        except TimeoutError:
            break
        if reply is None:
            break
        found.append(reply)
    return found


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_s1(row: Row, table: Case) -> None:
    """A request hidden behind another would run with somebody else's key, or poison a connection."""
    upstream = table.upstream
    upstream.clear()
    with table.gateway.connect(timeout=0.3 if row.verdict == "either" else 4.0) as wire:
        with contextlib.suppress(OSError):  # it may be refused before it is sent to its end
            wire.send(row.data)
            if row.half_close:
                wire.half_close()
        found = answers(wire, row)
        closed = row.verdict == "allowed" or wire.closed(0.1)
    statuses = [reply.status for reply in found]
    table.rows = (table.rows or 0) + len(upstream.requests)
    assert not any(b"smuggled" in seen.body for seen in upstream.requests), "the hidden request was run"
    assert upstream.strays == []
    assert len(upstream.requests) <= row.seen
    assert 500 not in statuses
    if row.verdict == "refused":
        assert closed, f"the connection stays open after {statuses}"
        assert statuses.count(200) == row.seen
        assert statuses == sorted(statuses), "an answer after a refusal"
        assert all(400 <= status < 500 for status in statuses[row.seen :])
    elif row.verdict == "allowed":
        assert statuses == [200] * row.answers
        assert len(upstream.requests) == row.seen
        assert not any(b"transfer" in seen.head.lower() or b"forwarded" in seen.head.lower() for seen in upstream.requests)


def test_s1_in_single_bytes(gateway: Gateway, table: Case) -> None:
    """The verdict must not depend on how the network cuts the bytes."""
    table.upstream.clear()
    rows = {row.name: row for row in ROWS}
    picked = ["cl+te", "two lengths that differ", "te after a bare LF", "extension", "folded line", "trailer with a bare LF"]
    for row in (rows[name] for name in picked):
        with gateway.connect(timeout=4.0) as wire:
            for at in range(len(row.data)):
                try:
                    wire.send(row.data[at : at + 1])
                except OSError:
                    break
            found = answers(wire, row)
        assert [reply.status for reply in found] in ([400], []), row.name
    with gateway.connect() as wire:
        for at in range(len(GOOD)):
            wire.send(GOOD[at : at + 1])
        reply = wire.read_reply()
    assert reply is not None
    assert reply.status == 200
    assert len(table.upstream.requests) == 1
    table.rows = (table.rows or 0) + 1

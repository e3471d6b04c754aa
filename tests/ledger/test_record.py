"""Records: rows for the store, and what is done with values nobody could foresee."""

from __future__ import annotations

import msgspec

from records import opened, settled
from trunkline.canon.usage import Usage
from trunkline.ledger.record import MAX_INTEGER, MAX_TEXT, Open, Settle, interrupted, row, tame


def test_row_holds_every_field():
    """A field that no column shows would be missing from every bill and export."""
    settle = settled(7, usage=Usage(1, 2, 3, 4, 5, 6, 7, 8, 9, "reported"))
    values = list(row(settle).values())
    flat = [
        *msgspec.structs.astuple(settle.opened),
        *msgspec.structs.astuple(settle.usage),
        *msgspec.structs.astuple(settle)[1:],
    ]
    assert sorted(map(repr, values)) == sorted(repr(value) for value in flat if not isinstance(value, Usage))


def test_interrupted_knows_only_the_opening():
    """A request whose process died must not look as if it had cost or succeeded."""
    made = interrupted(opened(3))
    assert (made.opened, made.outcome, made.status, made.cost_nano) == (opened(3), "interrupted", 0, None)


def test_tame_makes_hostile_values_storable():
    """A provider that reports 10**30 tokens, or text that is no Unicode, must not stop the books."""
    hostile = settled(opened(1, model="a\ud800b" + "x" * 2 * MAX_TEXT), usage=Usage(input=10**30, output=-5, basis="reported"))
    tamed = tame(hostile)
    assert (tamed.usage.input, tamed.usage.output) == (MAX_INTEGER, 0)
    assert tamed.opened.model.startswith("a?b")
    assert len(tamed.opened.model) == MAX_TEXT
    assert tamed.opened.stream is False
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(tamed), type=Open | Settle) == tamed


def test_a_record_of_an_older_version_is_read():
    """After an upgrade the journal of the version before is replayed: appended fields take their defaults."""
    written = msgspec.to_builtins(settled(1))
    assert msgspec.convert(written[:4], Settle) == Settle(opened(1), "ok", 200)


def test_a_journal_of_an_older_version_is_read():
    """An upgrade finds settlements that have no trail yet, and no cost as their provider told it."""
    *old, trail, reported = msgspec.msgpack.decode(msgspec.msgpack.encode(settled(1)))
    assert (trail, reported) == ("", None)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(old), type=Open | Settle) == settled(1)

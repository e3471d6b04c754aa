"""The tables and the records they hold."""

from __future__ import annotations

from records import settled
from trunkline.ledger.record import row
from trunkline.store.tables import usage


def test_the_columns_are_the_ledgers_row():
    """A field without its column, or a column without its field, would stop every commit."""
    assert list(row(settled(1))) == usage.c.keys()

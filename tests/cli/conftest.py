"""What tests of several commands begin with."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from records import opened, twice_daily
from trunkline.ledger.journal import Journal
from trunkline.ledger.record import row
from trunkline.store import usage
from trunkline.store.engine import open_store


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data directory with requests 0 to 3 in the store, 3 and 4 in the journal, and 5 open."""
    monkeypatch.setenv("TRUNKLINE_DATA", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "120")
    store = open_store(tmp_path)
    usage.insert(store, [row(twice_daily(n)) for n in range(4)])
    store.close()
    journal = Journal(tmp_path / "journal")
    for n in (3, 4):
        journal.settle(journal.open(opened(n)), twice_daily(n))
    os.close(journal.open(opened(5)).fd)
    return tmp_path

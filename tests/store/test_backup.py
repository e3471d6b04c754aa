"""Copies of the store: of one moment, whole or not there, and put back only where they are sound."""

from __future__ import annotations

import os
import shutil
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import func, select

from records import settled
from trunkline.ledger.record import row
from trunkline.store import keys, usage
from trunkline.store.backup import back_up, restore
from trunkline.store.engine import open_store
from trunkline.store.errors import StoreError
from trunkline.store.lock import DataLock
from trunkline.store.place import DATABASE
from trunkline.store.tables import metadata


def _silent(done, total):
    pass


@pytest.fixture
def copy(filled, tmp_path):
    back_up(filled, tmp_path / "copy", _silent)
    return tmp_path / "copy"


def _counts(data):
    store = open_store(data)
    try:
        return len(keys.live(store)[1]), len(list(usage.export(store, None, None)))
    finally:
        store.close()


def test_what_is_restored_is_what_was_copied(filled, copy, tmp_path):
    """Keys still open the gate, and the sums are the same."""
    assert restore(tmp_path / "new", copy) is None
    stores = [open_store(place) for place in (filled, tmp_path / "new")]
    assert keys.live(stores[0]) == keys.live(stores[1])
    with stores[0].read() as old, stores[1].read() as new:
        for table in metadata.sorted_tables:
            assert old.execute(select(table)).all() == new.execute(select(table)).all()
        assert old.execute(select(func.sum(metadata.tables["usage"].c.cost_nano))).scalar() > 0
    for store in stores:
        store.close()


def test_a_copy_is_one_file_for_its_owner_only(filled, copy, tmp_path):
    """It holds what the database holds; and a part that is forgotten beside it would be a loss."""
    assert copy.stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy", "data"]
    restore(tmp_path / "new", copy)
    assert (tmp_path / "new" / DATABASE).stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700


def test_a_copy_is_of_one_moment_while_others_write(filled, tmp_path):
    """A gateway commits twenty times a second: the copy must come to its end, and hold no half of a batch."""
    writer, gone, wrote = open_store(filled), threading.Event(), threading.Event()

    def write():
        batch = 0
        while not gone.is_set():
            batch += 1
            usage.insert(writer, [row(settled(batch * 1000 + n)) for n in range(10)])
            wrote.set()

    thread = threading.Thread(target=write)
    thread.start()
    told = []

    def progress(done, total):
        wrote.clear()
        wrote.wait(5)
        told.append((done, total))

    try:
        back_up(filled, tmp_path / "copy", progress)
    finally:
        gone.set()
        thread.join()
        writer.close()
    assert told
    assert told[-1][0] == told[-1][1]
    restore(tmp_path / "new", tmp_path / "copy")
    found, records = _counts(tmp_path / "new")
    assert found == 3
    assert records % 10 == 0
    assert 200 <= records < _counts(filled)[1]


def test_a_file_is_replaced_only_on_demand(filled, tmp_path):
    """Last week's copy must not be lost by a slip, nor by a copy that fails."""
    target = tmp_path / "copy"
    target.write_text("precious")
    with pytest.raises(StoreError, match=r"already.*--force"):
        back_up(filled, target, _silent)
    assert target.read_text() == "precious"
    assert back_up(filled, target, _silent, force=True) == target.stat().st_size > 4096


@pytest.mark.parametrize("name", [DATABASE, f"{DATABASE}-wal", "link", "loop/../data/trunkline.db", "folder", "."])
def test_the_store_itself_is_not_replaced_by_its_copy(filled, tmp_path, monkeypatch, name):
    """A gateway would go on writing into the file that was taken from under it; nor is a folder, or a device, a place."""
    monkeypatch.chdir(filled)
    (filled / "link").symlink_to(filled / DATABASE)
    (filled / "folder").mkdir()
    (filled / "loop").symlink_to(filled)
    before = (filled / DATABASE).stat()
    with pytest.raises(StoreError, match="in the place of"):
        back_up(filled, Path(name), _silent, force=True)
    assert ((filled / DATABASE).stat().st_ino, (filled / "link").is_symlink()) == (before.st_ino, True)
    assert _counts(filled) == (3, 200)


def test_a_pipe_is_not_replaced(filled, tmp_path):
    """As root it would take a device from everybody."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(StoreError, match="in the place of"):
        back_up(filled, tmp_path / "pipe", _silent, force=True)
    assert (tmp_path / "pipe").is_fifo()


def test_a_link_leads_to_where_the_copy_goes(filled, tmp_path):
    """Who keeps copies on another disk has a link to it here."""
    (tmp_path / "disk").mkdir()
    (tmp_path / "copy").symlink_to(tmp_path / "disk" / "today")
    back_up(filled, tmp_path / "copy", _silent)
    assert (tmp_path / "copy").is_symlink()
    restore(tmp_path / "new", tmp_path / "disk" / "today")
    assert _counts(tmp_path / "new") == (3, 200)


def test_two_copies_to_one_place(filled, tmp_path):
    """A timer may fire before the last copy is done: half of one must not get the other's name."""
    told = []

    def again(done, total):
        with pytest.raises(StoreError, match="Another copy is being made"):
            back_up(filled, tmp_path / "copy", _silent)
        told.append(done)

    back_up(filled, tmp_path / "copy", again)
    assert told
    assert restore(tmp_path / "new", tmp_path / "copy") is None


def test_what_cannot_be_copied_leaves_nothing_behind(filled, tmp_path):
    """Half a copy would be trusted in need."""
    damaged = bytearray((filled / DATABASE).read_bytes())
    page = int.from_bytes(damaged[16:18], "big")
    damaged[page * 2 :] = b"\xff" * (len(damaged) - page * 2)
    (filled / DATABASE).write_bytes(damaged)
    with pytest.raises(StoreError, match="damaged"):
        back_up(filled, tmp_path / "copy", _silent)
    with pytest.raises(StoreError, match=r"cannot be made.*folder exists"):
        back_up(filled, tmp_path / "no" / "folder", _silent)
    with pytest.raises(StoreError, match=r"no database.*--data"):
        back_up(tmp_path, tmp_path / "copy", _silent)
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_a_lock_is_told_and_not_waited_for_without_end(filled, tmp_path):
    """A copy on a timer that hangs is noticed when it is needed."""
    with closing(sqlite3.connect(filled / DATABASE, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        other.execute("UPDATE meta SET value = value")
        with pytest.raises(StoreError, match="cannot be copied: database is locked"):
            back_up(filled, tmp_path / "copy", _silent)
    assert not (tmp_path / "copy").exists()


def test_nothing_is_restored_under_a_running_gateway(filled, copy):
    """It would go on writing into the file that was taken from under it."""
    lock = DataLock.acquire(filled)
    try:
        with pytest.raises(StoreError, match="Another gateway"):
            restore(filled, copy, force=True)
    finally:
        lock.release()
    assert _counts(filled) == (3, 200)


def test_a_database_is_replaced_only_on_demand_and_kept(filled, copy):
    """The one that was there may be the better one."""
    store = open_store(filled)
    keys.create(store, "since", None, 2)
    store.close()
    with pytest.raises(StoreError, match=r"already.*--force.*kept"):
        restore(filled, copy)
    assert _counts(filled) == (4, 200)
    kept = restore(filled, copy, force=True)
    assert _counts(filled) == (3, 200)
    shutil.move(kept, filled / DATABASE)
    assert _counts(filled) == (4, 200)


def test_the_log_of_the_old_database_does_not_stay(filled, copy):
    """A write-ahead log is of one database: beside another it is dirt at best."""
    (filled / f"{DATABASE}-wal").write_bytes(b"left by a crash")
    kept = restore(filled, copy, force=True)
    assert kept.with_name(f"{kept.name}-wal").read_bytes() == b"left by a crash"
    assert not (filled / f"{DATABASE}-wal").exists()
    assert _counts(filled) == (3, 200)


def test_a_restore_that_broke_off_is_begun_again(filled, copy):
    """Between two names the old database is only where it is kept: there it must survive."""
    (filled / DATABASE).rename(filled / f"{DATABASE}.old")
    (filled / f"{DATABASE}-wal").write_bytes(b"of nothing")
    assert restore(filled, copy) is None
    assert _counts(filled) == (3, 200)
    assert (filled / f"{DATABASE}.old").exists()
    assert not (filled / f"{DATABASE}-wal").exists()


def test_what_broke_off_is_not_restored_and_not_removed(filled, copy):
    """A file that somebody names must still be there afterwards."""
    left = filled / f"{DATABASE}.unfinished"
    shutil.copy(copy, left)
    with pytest.raises(StoreError, match="broke off"):
        restore(filled, left, force=True)
    assert left.read_bytes() == copy.read_bytes()
    restore(filled, filled / DATABASE, force=True)
    assert _counts(filled) == (3, 200)


@pytest.mark.parametrize("harm", ["text", "half", "flipped", "newer", "foreign", "absent", "part"])
def test_what_is_not_sound_is_not_restored(filled, copy, harm):
    """Before what is there is touched, the copy is read to its end."""
    before = (filled / DATABASE).read_bytes()
    content = bytearray(copy.read_bytes())
    if harm == "text":
        copy.write_bytes(b"not a database, " * 1024)
    elif harm == "half":
        os.truncate(copy, len(content) // 2)
    elif harm == "flipped":
        page = int.from_bytes(content[16:18], "big")
        content[page : page * 2] = bytes(byte ^ 0xFF for byte in content[page : page * 2])
        copy.write_bytes(content)
    elif harm == "absent":
        copy.unlink()
    elif harm == "part":
        copy.with_name("copy-wal").write_bytes(b"the rest")
    else:
        with closing(sqlite3.connect(copy)) as file:
            file.execute("UPDATE alembic_version SET version_num = '9999'" if harm == "newer" else "DROP TABLE keys")
            file.commit()
    with pytest.raises(StoreError, match=r"damaged|newer|not one of Trunkline|no file|only a part"):
        restore(filled, copy, force=True)
    assert (filled / DATABASE).read_bytes() == before
    assert _counts(filled) == (3, 200)
    assert not list(filled.glob("*.unfinished*"))

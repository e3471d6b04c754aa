"""SQLite in the data directory: made when there is none, refused when it is not what it should be, never replaced."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from records import settled
from trunkline.ledger.record import row
from trunkline.store import keys, migrations, usage
from trunkline.store import sqlite as module
from trunkline.store.engine import open_store
from trunkline.store.errors import StoreError
from trunkline.store.place import DATABASE

NEXT = f"""
from alembic import op
import sqlalchemy as sa
revision = "next"
down_revision = "{migrations.REVISIONS[-1]}"
def upgrade():
    op.create_table("made_by_next", sa.Column("x", sa.Integer))
"""
"""A revision after the newest."""
ENV = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


def _counts(data):
    store = open_store(data)
    try:
        return len(keys.live(store)[1]), len(list(usage.export(store, None, None)))
    finally:
        store.close()


def _edit(data, *statements):
    connection = sqlite3.connect(data / DATABASE, isolation_level=None)
    for statement in statements:
        connection.execute(statement)
    connection.close()


def test_a_new_store_is_private_and_empty(tmp_path):
    """Nobody else on the machine may read accounts or key digests."""
    store = open_store(tmp_path / "data")
    keys.create(store, "a", None, 1)
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "data").iterdir()}
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700
    assert set(modes.values()) == {0o600}
    assert {DATABASE, f"{DATABASE}-wal"} <= modes.keys()
    store.close()


def test_what_is_committed_outlasts_a_power_cut(tmp_path):
    """The journal deletes what the store has taken; so a commit must be on the disk, not on its way."""
    store = open_store(tmp_path)
    with store.begin() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
    store.close()


def test_a_store_is_opened_again(filled):
    """A restart finds everything."""
    assert _counts(filled) == (3, 200)


def test_a_reading_is_one_snapshot(filled):
    """Totals beside a writing gateway must not see half of a batch, or a record twice."""
    reader, writer = open_store(filled), open_store(filled)
    with reader.read() as connection:
        before = connection.exec_driver_sql("SELECT count(*) FROM usage").scalar()
        usage.insert(writer, [row(settled(1000))])
        assert connection.exec_driver_sql("SELECT count(*) FROM usage").scalar() == before == 200
    reader.close()
    writer.close()


def test_damage_never_starts_empty(filled, tmp_path):
    """Flipped bytes at 100 places: either refused with words, or everything is still there. Empty would open the gate."""
    sound = (filled / DATABASE).read_bytes()
    dice = random.Random(5)
    places = [*range(20), *(dice.randrange(len(sound)) for _ in range(80))]
    refused = 0
    for place in places:
        damaged = bytearray(sound)
        for offset in range(place, min(place + 8, len(sound))):
            damaged[offset] ^= 0xFF
        data = tmp_path / "damaged"
        data.mkdir(exist_ok=True)
        (data / DATABASE).write_bytes(damaged)
        try:
            assert _counts(data) == (3, 200)
        except StoreError:
            refused += 1
        assert (data / DATABASE).stat().st_size >= len(sound)
        shutil.rmtree(data)
    assert refused >= 20


@pytest.mark.parametrize("size", [0, 1, 100, 4096, 8192, 20000])
def test_a_truncated_file_is_refused(filled, size):
    """A copy that broke off must not pass for a new installation."""
    os.truncate(filled / DATABASE, size)
    before = (filled / DATABASE).read_bytes()
    with pytest.raises(StoreError, match="damaged"):
        open_store(filled)
    assert (filled / DATABASE).read_bytes() == before


def test_a_missing_file_beside_its_log_is_refused(filled):
    """Someone moved the database and forgot the log: the log belongs to it, and a new database would eat it."""
    (filled / DATABASE).unlink()
    (filled / f"{DATABASE}-wal").write_bytes(b"x")
    (filled / "store.lock").unlink()
    with pytest.raises(StoreError, match="-wal shows"):
        open_store(filled)


@pytest.mark.parametrize("create", [True, False])
def test_a_lost_database_is_not_begun_anew(filled, create):
    """An empty store would print a new first key, and keys and accounts would be gone in silence."""
    (filled / DATABASE).unlink()
    with pytest.raises(StoreError, match=r"damaged.*store\.lock shows.*begin anew.*backup"):
        open_store(filled, create=create)
    assert not (filled / DATABASE).exists()
    (filled / "store.lock").unlink()
    assert _counts(filled) == (0, 0)


def test_a_first_start_that_ended_early_is_no_loss(tmp_path):
    """Killed before the database was made: the next start makes it."""
    (tmp_path / "store.lock").touch()
    assert _counts(tmp_path) == (0, 0)


def test_who_only_looks_makes_nothing(tmp_path):
    """`trunkline usage --data /tmp` is a slip; it must leave no trace there."""
    for place in (tmp_path / "empty", tmp_path / "absent"):
        if place.name == "empty":
            place.mkdir(mode=0o755)
        with pytest.raises(StoreError, match="No gateway has used"):
            open_store(place, create=False)
    assert list((tmp_path / "empty").iterdir()) == []
    assert (tmp_path / "empty").stat().st_mode & 0o777 == 0o755
    assert not (tmp_path / "absent").exists()


def test_who_only_looks_sees_what_is_there(filled):
    """Looking opens the same store."""
    store = open_store(filled, create=False)
    assert len(keys.live(store)[1]) == 3
    store.close()


def test_an_interrupted_making_is_made_again(tmp_path):
    """A process killed at its very first start leaves nothing that stops the second."""
    (tmp_path / f"{DATABASE}.new").write_bytes(b"half")
    open_store(tmp_path).close()
    assert not (tmp_path / f"{DATABASE}.new").exists()


def test_a_large_database_is_searched_only_after_an_unclean_stop(filled, monkeypatch):
    """Reading gigabytes at every start would cost the second in which the first request must be answered."""
    monkeypatch.setattr(module, "SMALL_BYTES", 0)
    damaged = bytearray((filled / DATABASE).read_bytes())
    page = int.from_bytes(damaged[16:18], "big")
    damaged[-page:] = b"\xff" * page
    (filled / DATABASE).write_bytes(damaged)
    open_store(filled).close()
    (filled / f"{DATABASE}-wal").write_bytes(bytes(32))
    with pytest.raises(StoreError, match="damaged"):
        open_store(filled)
    (filled / f"{DATABASE}-wal").write_bytes(bytes(32))
    open_store(filled, check=False).close()


def test_a_newer_schema_is_refused(filled):
    """An older program must not write what a newer one keeps its books in."""
    _edit(filled, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StoreError, match=r"newer version.*9999"):
        open_store(filled)


def test_a_foreign_database_is_refused(tmp_path, filled):
    """`--data` pointed at another program's directory must harm nothing."""
    (tmp_path / "other").mkdir()
    connection = sqlite3.connect(tmp_path / "other" / DATABASE)
    connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    before = (tmp_path / "other" / DATABASE).read_bytes()
    with pytest.raises(StoreError, match="not one of Trunkline"):
        open_store(tmp_path / "other")
    assert (tmp_path / "other" / DATABASE).read_bytes() == before
    _edit(filled, "DELETE FROM alembic_version")
    with pytest.raises(StoreError, match="not one of Trunkline"):
        open_store(filled)
    _edit(filled, "DROP TABLE alembic_version")
    with pytest.raises(StoreError, match="not one of Trunkline"):
        open_store(filled)


def test_a_place_that_cannot_be_used_is_told(tmp_path):
    """The operator learns which directory, and what to do."""
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"cannot be used.*--data"):
        open_store(tmp_path / "file" / "data")
    for name, words in ((f"{DATABASE}.new", "cannot be made"), (DATABASE, "cannot be read")):
        (tmp_path / f"at {name}" / name).mkdir(parents=True)
        with pytest.raises(StoreError, match=words):
            open_store(tmp_path / f"at {name}")


def test_a_full_disk_at_the_first_start_is_told(tmp_path):
    """Half a database must not be left at its name."""
    script = """
        import resource, sys
        from pathlib import Path
        from trunkline.store.engine import open_store
        from trunkline.store.errors import StoreError
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (3000, before[1]))
        try:
            open_store(Path(sys.argv[1]))
        except StoreError as error:
            print(error.message)
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    """
    done = subprocess.run(
        [sys.executable, "-B", "-c", textwrap.dedent(script), str(tmp_path)],
        env=ENV,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "cannot be used" in done.stdout
    assert not (tmp_path / DATABASE).exists()


@pytest.mark.parametrize("old", [False, True])
def test_four_processes_at_once_end_with_one_good_store(tmp_path, old):
    """A supervisor that starts four at once: one makes or migrates the store, the others wait, none fails."""
    if old:
        open_store(tmp_path).close()
        newer = shutil.copytree(Path(migrations.__file__).parent, tmp_path / "migrations")
        (newer / "versions" / "next.py").write_text(NEXT)
    script = """
        import sys
        from pathlib import Path
        from trunkline.store import engine, keys, migrations, schema
        data = Path(sys.argv[1])
        if (data / "migrations").exists():
            migrations.__file__ = str(data / "migrations" / "__init__.py")
            schema.REVISIONS += ("next",)
        sys.stdin.readline()
        store = engine.open_store(data)
        keys.create(store, sys.argv[2], None, 1)
        store.close()
    """
    children = [
        subprocess.Popen(
            [sys.executable, "-B", "-c", textwrap.dedent(script), str(tmp_path), str(n)], env=ENV, stdin=subprocess.PIPE
        )
        for n in range(4)
    ]
    for child in children:
        child.stdin.write(b"\n")
        child.stdin.flush()
    for child in children:
        child.communicate()
    assert [child.returncode for child in children] == [0] * 4
    if old:
        _edit(tmp_path, "DROP TABLE made_by_next", f"UPDATE alembic_version SET version_num = '{migrations.REVISIONS[-1]}'")
    store = open_store(tmp_path)
    generation, found = keys.live(store)
    store.close()
    assert (generation, sorted(key.name for key in found)) == (4, ["0", "1", "2", "3"])

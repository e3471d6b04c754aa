"""Migrations, on each kind of database: from every released version, by several at once, to what a new store is."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
import textwrap
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import MetaData, Table, create_engine, inspect, select

from records import START_NS, opened, settled
from trunkline.canon.usage import Usage
from trunkline.ledger.record import row
from trunkline.store import migrations, rollup, sums, usage
from trunkline.store.engine import open_store
from trunkline.store.migrate import upgrade
from trunkline.store.place import DATABASE
from trunkline.store.sqlite import APPLICATION_ID
from trunkline.store.tables import metadata
from trunkline.store.url import parse

ENV = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
OLD = migrations.REVISIONS[:-1]

pytestmark = pytest.mark.filterwarnings("ignore:.*expression-based index")
"""Such a one of SQLite is not reflected; `_indexes` compares it."""


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request, tmp_path):
    """A data directory, and the URL of an empty database or None: what `open_store` takes."""
    return tmp_path / "data", request.getfixturevalue("postgres_url") if request.param == "postgresql" else None


def _open(place, **options):
    return open_store(place[0], place[1] and parse(place[1]), **options)


@contextmanager
def _raw(place):
    """A transaction on the database as it is, past the code that opens stores."""
    data, url = place
    if url is None:
        data.mkdir(mode=0o700, exist_ok=True)
        with closing(sqlite3.connect(data / DATABASE)) as file:
            file.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        engine = create_engine(f"sqlite:///{data / DATABASE}")
    else:
        engine = create_engine(url.replace("postgresql://", "postgresql+pg8000://"))
    with engine.begin() as connection:
        yield connection
    engine.dispose()


def _make_old(place, revision, rows=()):
    with _raw(place) as connection:
        upgrade(connection, revision)
        table = Table("usage", MetaData(), autoload_with=connection)
        for one in rows:
            connection.execute(table.insert().values({name: one[name] for name in table.c.keys()}))  # noqa: SIM118 - a collection of columns
        keys = Table("keys", MetaData(), autoload_with=connection)
        connection.execute(keys.insert().values(name="old", digest=bytes(32), models=["gpt-4.1"], created_ns=5))


def test_the_list_of_revisions_is_the_folder():
    """A revision that is not listed would make every store look newer than the program."""
    folder = Path(migrations.__file__).parent
    config = Config()
    config.set_main_option("script_location", str(folder))
    found = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
    assert tuple(reversed(found)) == migrations.REVISIONS


@pytest.mark.parametrize("first", [*OLD, "head"])
def test_migrating_arrives_at_what_a_new_store_is(place, first, tmp_path, request):
    """An upgraded installation must not differ from a fresh one, whichever release it began with."""
    _make_old(place, first)
    _open(place).close()
    new = tmp_path / "fresh", None
    if place[1] is not None:
        server = request.getfixturevalue("postgres")
        new = tmp_path / "fresh", server.url(server.fresh())
    _open(new).close()
    with _raw(place) as migrated, _raw(new) as fresh:
        assert compare_metadata(MigrationContext.configure(migrated), metadata) == []
        names = [sorted(inspect(each).get_table_names()) for each in (migrated, fresh)]
        assert names[0] == names[1]
        for table in metadata.tables:
            for what in ("get_columns", "get_indexes", "get_unique_constraints", "get_pk_constraint"):
                told = [re.sub(r" at 0x\w+", "", repr(getattr(inspect(each), what)(table))) for each in (migrated, fresh)]
                assert told[0] == told[1]
        assert _indexes(migrated) == _indexes(fresh)
        assert migrated.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() == migrations.REVISIONS[-1]


def _indexes(connection):
    sqlite = "SELECT name, sql FROM sqlite_master WHERE type = 'index'"
    postgres = "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'"
    found = connection.exec_driver_sql(sqlite if connection.dialect.name == "sqlite" else postgres)
    return sorted((name, told and " ".join(told.split())) for name, told in found)


@pytest.mark.parametrize("revision", OLD)
def test_rows_from_before_stay(place, revision):
    """A store of an older version goes on with all its records and keys; what was not known then is empty."""
    rows = [row(settled(n)) for n in range(3)]
    _make_old(place, revision, rows)
    store = _open(place)
    found = list(usage.export(store, None, None))
    with store.read() as connection:
        key = connection.execute(select(metadata.tables["keys"])).one()._mapping
    store.close()
    later = {"user": "", "team": "", "organisation": "", "tags": "", "reported_nano": None}
    if revision == "0001":
        later["trail"] = ""
    assert found == [one | later for one in rows]
    assert (key["name"], key["models"], key["settings"]) == ("old", ["gpt-4.1"], {})


@pytest.mark.parametrize("revision", OLD)
def test_rows_from_before_are_summed_once(place, revision):
    """Totals and budgets are read from the sums: rows that are in none would have cost nothing."""
    claims = Usage(input=2**63 - 1, output=2**62 + 3, cache_write_5m=2, cache_write_1h=2**63 - 1, reasoning=1, images=2)
    rows = [row(settled(opened(n, key=f"k{n % 3}", started_ns=START_NS + n * 20_000 * 10**9), cost_nano=n)) for n in range(9)]
    rows[2] |= {"outcome": "error", "cost_nano": None}
    rows[3] |= {"cost_nano": None, "basis": "none"}
    rows += [row(settled(opened(20 + n, key="absurd"), usage=claims, cost_nano=2**62)) for n in range(3)]
    _make_old(place, revision, rows)
    store = _open(place)
    by_sums = [sums.totals(store, by, None, None) for by in ("key", "model", "day")]
    usage.insert(store, rows)
    assert [sums.totals(store, by, None, None) for by in ("key", "model", "day")] == by_sums
    with store.begin() as connection:
        for table in ("usage", "usage_groups", "usage_quarters", "usage_days", "meta"):
            connection.exec_driver_sql(f"DELETE FROM {table}")
    rollup.known_groups(store).clear()
    usage.insert(store, rows)
    assert [sums.totals(store, by, None, None) for by in ("key", "model", "day")] == by_sums
    store.close()


@pytest.mark.parametrize("revision", ["empty", *OLD])
def test_four_starters_at_once_end_with_one_good_store(place, revision):
    """A supervisor, or machines on one database, start four at once: one makes or migrates the store, the others wait."""
    if revision != "empty":
        _make_old(place, revision, [row(settled(1))])
    script = """
        import sys
        from pathlib import Path
        from trunkline.store.engine import open_store
        from trunkline.store.tables import meta
        from trunkline.store.url import parse
        sys.stdin.readline()
        store = open_store(Path(sys.argv[1]), parse(sys.argv[2]) if sys.argv[2] else None)
        with store.begin() as connection:
            connection.execute(meta.insert().values(name=sys.argv[3], value=1))
        store.close()
    """
    command = [sys.executable, "-B", "-c", textwrap.dedent(script), str(place[0]), place[1] or ""]
    children = [
        subprocess.Popen([*command, str(n)], env=ENV, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for n in range(4)
    ]
    for child in children:
        child.stdin.write("\n")
        child.stdin.flush()
    said = [child.communicate()[1] for child in children]
    assert [child.returncode for child in children] == [0] * 4, said
    with _raw(place) as connection:
        meta = metadata.tables["meta"]
        assert sorted(connection.scalars(select(meta.c.name).where(meta.c.name.in_(list("0123"))))) == ["0", "1", "2", "3"]
        assert connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() == migrations.REVISIONS[-1]
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_a_migration_that_fails_leaves_everything_as_it_was(place, tmp_path, monkeypatch):
    """A full disk or a lost connection in the middle must not leave a database that no version can read."""
    _make_old(place, OLD[-1], [row(settled(1))])
    broken = tmp_path / "migrations"
    (broken / "versions").mkdir(parents=True)
    original = Path(migrations.__file__).parent
    for name in ("env.py", *(f"versions/{file.name}" for file in (original / "versions").glob("*.py"))):
        (broken / name).write_text((original / name).read_text())
    last = next((broken / "versions").glob(f"{migrations.REVISIONS[-1]}_*.py"))
    last.write_text(
        last.read_text().replace("    _extend_usage()", "    _extend_usage()\n    op.execute('SELECT 1 FROM nowhere')", 1)
    )
    with monkeypatch.context() as patch:
        patch.setattr(migrations, "__file__", str(broken / "__init__.py"))
        with pytest.raises(Exception, match="nowhere"):
            _open(place)
    with _raw(place) as connection:
        assert connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() == OLD[-1]
        assert "tags" not in {column["name"] for column in inspect(connection).get_columns("usage")}
    store = _open(place)
    assert len(list(usage.export(store, None, None))) == 1
    store.close()


def test_alembic_is_not_imported_for_a_store_that_is_up_to_date(tmp_path):
    """It costs a third of the second in which the first request must be answered."""
    script = "import sys; from pathlib import Path; from trunkline.store.engine import open_store\n"
    script += "open_store(Path(sys.argv[1])).close(); open_store(Path(sys.argv[1])).close(); sys.exit('alembic' in sys.modules)"
    path = {"PYTHONPATH": ":".join(sys.path)}
    assert subprocess.run([sys.executable, "-B", "-c", script, str(tmp_path)], env=path, check=False).returncode == 0

"""Migrations, and that they arrive where a new store begins."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect, select, text

from records import settled
from trunkline.ledger.record import row
from trunkline.store import migrations
from trunkline.store.engine import open_store
from trunkline.store.migrate import upgrade
from trunkline.store.tables import metadata, usage


@pytest.fixture
def migrated(tmp_path):
    engine = create_engine(f"sqlite:///{tmp_path / 'migrated.db'}")
    with engine.begin() as connection:
        upgrade(connection)
    yield engine
    engine.dispose()


def _names(connection):
    rows = connection.exec_driver_sql("SELECT type, name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' ORDER BY name")
    return [tuple(each) for each in rows]


def test_the_list_of_revisions_is_the_folder():
    """A revision that is not listed would make every store look newer than the program."""
    folder = Path(migrations.__file__).parent
    config = Config()
    config.set_main_option("script_location", str(folder))
    found = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
    assert tuple(reversed(found)) == migrations.REVISIONS


def test_migrating_arrives_at_what_a_new_store_is(migrated, tmp_path):
    """An upgraded installation must not differ from a fresh one."""
    store = open_store(tmp_path / "fresh")
    with migrated.connect() as old, store.begin() as new:
        assert compare_metadata(MigrationContext.configure(old), metadata) == []
        assert _names(old) == _names(new)
        for table in metadata.tables:
            for what in ("get_columns", "get_indexes", "get_unique_constraints", "get_pk_constraint"):
                told = [re.sub(r" at 0x\w+", "", repr(getattr(inspect(each), what)(table))) for each in (old, new)]
                assert told[0] == told[1]
        assert old.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() == migrations.REVISIONS[-1]
    store.close()


def test_rows_from_before_have_no_trail(tmp_path):
    """A store of an older version goes on with all its records."""
    engine = create_engine(f"sqlite:///{tmp_path / 'old.db'}")
    old = {name: value for name, value in row(settled(1)).items() if name != "trail"}
    with engine.begin() as connection:
        upgrade(connection, "0001")
        names, values = ", ".join(old), ", ".join(f":{name}" for name in old)
        connection.execute(text(f"INSERT INTO usage ({names}) VALUES ({values})"), old)
        upgrade(connection)
        assert dict(connection.execute(select(usage)).one()._mapping) == old | {"trail": ""}
    engine.dispose()


def test_alembic_is_not_imported_for_a_store_that_is_up_to_date(tmp_path):
    """It costs a third of the second in which the first request must be answered."""
    script = "import sys; from pathlib import Path; from trunkline.store.engine import open_store\n"
    script += "open_store(Path(sys.argv[1])).close(); open_store(Path(sys.argv[1])).close(); sys.exit('alembic' in sys.modules)"
    path = {"PYTHONPATH": ":".join(sys.path)}
    assert subprocess.run([sys.executable, "-B", "-c", script, str(tmp_path)], env=path, check=False).returncode == 0

"""Bringing a store of an older version up to date, with Alembic, which is imported only then: it takes a third of a second."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection

from trunkline.store import migrations


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Apply every revision the store lacks, inside the caller's transaction."""
    from alembic import command  # noqa: PLC0415 - slow to import, and hardly ever needed
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)

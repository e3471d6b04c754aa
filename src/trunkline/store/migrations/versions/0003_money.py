"""Holders of keys, roll-ups of usage, prices of one's own, alerts, and who works with the store."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from trunkline.store.groups import group_id

revision = "0003"
down_revision = "0002"

_QUARTER_NS = 900_000_000_000
_GROUP = ("key", "user", "team", "organisation", "model", "provider", "target")
_COUNTS = ("requests", "failed", "unpriced", "input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens",
           "reasoning_tokens", "images", "cost_nano", "reported_nano")  # fmt: skip
_COUNTED = {
    "requests": "count(*)",
    "failed": "count(*) FILTER (WHERE u.outcome <> 'ok')",
    "unpriced": "count(*) FILTER (WHERE u.cost_nano IS NULL AND u.basis <> 'none')",
}
"""How the counts are made of rows; the others are sums of the column of their name."""


def upgrade() -> None:
    """Create and extend; rows from before have no holders but their key."""
    _extend_usage()
    _create_sums()
    _roll_up(op.get_bind())
    _extend_keys()
    _create_holders()
    _create_rest()


def _extend_usage() -> None:
    for name in ("user", "team", "organisation", "tags"):
        op.add_column("usage", sa.Column(name, sa.Text, nullable=False, server_default=""))
    op.add_column("usage", sa.Column("reported_nano", sa.BigInteger, nullable=True))


def _create_sums() -> None:
    op.create_index("usage_by_quarter", "usage", [sa.text(f"(started_ns / {_QUARTER_NS})"), "key"])
    op.create_table(
        "usage_groups",
        sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in _GROUP),
    )
    for table, keys in (("usage_quarters", ("slot", "group_id")), ("usage_days", ("group_id", "slot"))):
        first, second = (sa.Column(name, sa.BigInteger, primary_key=True, autoincrement=False) for name in keys)
        counts = (sa.Column(count, sa.BigInteger, nullable=False) for count in _COUNTS)
        op.create_table(table, first, second, *counts, sqlite_with_rowid=False)
    op.create_index("usage_quarters_by_group", "usage_quarters", ["group_id", "slot"])


def _roll_up(connection: sa.Connection) -> None:
    """Sum up the rows there are. Sums of upper and lower halves: SQLite refuses, and never rounds, what exceeds 64 bits."""
    names = ", ".join(f'"{name}"' for name in _GROUP)
    found = connection.execute(sa.text(f"SELECT DISTINCT {names} FROM usage")).all()  # noqa: S608 - our own words
    values = [{"id": group_id(tuple(row)), **row._mapping} for row in found]  # noqa: SLF001 - SQLAlchemy's documented name
    if not values:
        return
    groups = sa.table("usage_groups", sa.column("id"), *(sa.column(name) for name in _GROUP))
    connection.execute(groups.insert(), values)
    same = " AND ".join(f'g."{name}" = u."{name}"' for name in _GROUP)
    written = _saturated("u.cache_write_5m_tokens", "u.cache_write_1h_tokens")
    counted = _COUNTED | {"cache_write_tokens": written}
    rows = ", ".join(f"{counted.get(name) or _saturated(f'u.{name}')} AS {name}" for name in _COUNTS)
    sums = ", ".join(_saturated(name) for name in _COUNTS)
    rows = f"u.started_ns / {_QUARTER_NS}, g.id, {rows} FROM usage u JOIN usage_groups g ON {same}"
    for statement in (
        f"INSERT INTO usage_quarters SELECT {rows} GROUP BY 1, 2 ORDER BY 1, 2",
        f"INSERT INTO usage_quarters SELECT slot, 0, {sums} FROM usage_quarters GROUP BY 1 ORDER BY 1",  # noqa: S608
        f"INSERT INTO usage_days SELECT group_id, slot / 96, {sums} FROM usage_quarters GROUP BY 1, 2 ORDER BY 1, 2",  # noqa: S608
        "INSERT INTO meta SELECT 'usage_folded', max(slot) + 1 FROM usage_quarters",
    ):
        connection.execute(sa.text(statement))


def _saturated(*values: str) -> str:
    """The sum of columns as SQL; 2^63-1 where it is greater."""
    high = " + ".join(f"CAST(sum({value} >> 32) AS BIGINT)" for value in values)
    low = " + ".join(f"CAST(sum({value} & 4294967295) AS BIGINT)" for value in values)
    top = f"({high} + (({low}) >> 32))"
    whole = f"({top} << 32) + (({low}) & 4294967295)"
    return f"COALESCE(CASE WHEN {top} > 2147483647 THEN 9223372036854775807 ELSE {whole} END, 0)"


def _extend_keys() -> None:
    op.add_column("keys", sa.Column("settings", sa.JSON, nullable=False, server_default="{}"))
    op.add_column("keys", sa.Column("expires_ns", sa.BigInteger, nullable=True))
    op.add_column("keys", sa.Column("previous_digest", sa.LargeBinary(32), nullable=True))
    op.add_column("keys", sa.Column("previous_until_ns", sa.BigInteger, nullable=True))


def _create_holders() -> None:
    op.create_table(
        "holders",
        sa.Column("kind", sa.String(16), primary_key=True),
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("settings", sa.JSON, nullable=False),
        sa.Column("created_ns", sa.BigInteger, nullable=False),
    )


def _create_rest() -> None:
    op.create_table(
        "prices",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("settings", sa.JSON, nullable=False),
        sa.Column("created_ns", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "alerts",
        sa.Column("id", sa.String(128), primary_key=True),
        sa.Column("made_ns", sa.BigInteger, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("next_ns", sa.BigInteger, nullable=False),
        sa.Column("delivered_ns", sa.BigInteger, nullable=True),
    )
    waiting = sa.text("delivered_ns IS NULL")
    op.create_index("alerts_waiting", "alerts", ["next_ns"], sqlite_where=waiting, postgresql_where=waiting)
    op.create_table(
        "processes",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("seen_ns", sa.BigInteger, nullable=False),
        sa.Column("generation", sa.BigInteger, nullable=False),
    )

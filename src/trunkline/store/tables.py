"""The tables, as the newest version of the program knows them. How older ones become so belongs in `migrations`.

Times are wall-clock nanoseconds since the epoch, money is integer nano-dollars.
"""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Boolean, Column, Index, Integer, LargeBinary, MetaData, String, Table, Text, text

metadata = MetaData()

usage = Table(
    "usage",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("started_ns", BigInteger, nullable=False),
    Column("key", Text, nullable=False),
    Column("endpoint", Text, nullable=False),
    Column("dialect", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("stream", Boolean, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("status", Integer, nullable=False),
    Column("error", Text, nullable=False),
    Column("finish", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("input_tokens", BigInteger, nullable=False),
    Column("cache_read_tokens", BigInteger, nullable=False),
    Column("cache_write_5m_tokens", BigInteger, nullable=False),
    Column("cache_write_1h_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("reasoning_tokens", BigInteger, nullable=False),
    Column("audio_input_tokens", BigInteger, nullable=False),
    Column("audio_output_tokens", BigInteger, nullable=False),
    Column("images", BigInteger, nullable=False),
    Column("basis", Text, nullable=False),
    Column("raw_usage", Text, nullable=False),
    Column("cost_nano", BigInteger, nullable=True),
    Column("price_version", Text, nullable=False),
    Column("duration_us", BigInteger, nullable=False),
    Column("first_byte_us", BigInteger, nullable=False),
    Column("upstream_id", Text, nullable=False),
    Column("trail", Text, nullable=False, server_default=""),
    Column("user", Text, nullable=False, server_default=""),
    Column("team", Text, nullable=False, server_default=""),
    Column("organisation", Text, nullable=False, server_default=""),
    Column("tags", Text, nullable=False, server_default=""),
    Column("reported_nano", BigInteger, nullable=True),
    Index("usage_by_time", "started_ns"),
    Index("usage_by_quarter", text("(started_ns / 900000000000)"), "key"),
)
"""One row per accepted request. Each index costs every row a microsecond; sums over long times are read from the roll-ups.

Who seeks one key's rows knows their quarters of an hour from the roll-ups. By key and time, the index would grow at as many
places as there are keys, and each commit write all of them.
"""


GROUP = ("key", "user", "team", "organisation", "model", "provider", "target")
"""Whom and what for: sums are kept for each combination of these that occurs."""
COUNTS = ("requests", "failed", "unpriced", "input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens",
          "reasoning_tokens", "images", "cost_nano", "reported_nano")  # fmt: skip
"""What is summed."""

groups = Table(
    "usage_groups",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    *(Column(name, Text, nullable=False) for name in GROUP),
)
"""The combinations, by `rollup.group_id`: sums that hold a number instead of seven texts are small and quick to read."""


def _sums() -> list[Column[int]]:
    """They stay at the greatest number of 64 bits where they would exceed it."""
    return [Column(name, BigInteger, nullable=False) for name in COUNTS]


quarters = Table(
    "usage_quarters",
    metadata,
    Column("slot", BigInteger, primary_key=True, autoincrement=False),
    Column("group_id", BigInteger, primary_key=True, autoincrement=False),
    *_sums(),
    Index("usage_quarters_by_group", "group_id", "slot"),
    sqlite_with_rowid=False,
)
"""Sums of every row of `usage` that there ever was, by quarters of an hour since the epoch (every zone's day begins with one).

The group 0 is all of them together. By time first, so that what is written now lies together.
"""
days = Table(
    "usage_days",
    metadata,
    Column("group_id", BigInteger, primary_key=True, autoincrement=False),
    Column("slot", BigInteger, primary_key=True, autoincrement=False),
    *_sums(),
    sqlite_with_rowid=False,
)
"""The same by days since the epoch (UTC), but without the quarters from `usage_folded` (in `meta`) on. By group first."""

_live = text("revoked_ns IS NULL")

keys = Table(
    "keys",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False),
    Column("digest", LargeBinary(32), nullable=False, unique=True),
    Column("models", JSON(none_as_null=True), nullable=True),
    Column("created_ns", BigInteger, nullable=False),
    Column("revoked_ns", BigInteger, nullable=True),
    Column("settings", JSON, nullable=False, server_default="{}"),
    Column("expires_ns", BigInteger, nullable=True),
    Column("previous_digest", LargeBinary(32), nullable=True),
    Column("previous_until_ns", BigInteger, nullable=True),
    Index("keys_live_name", "name", unique=True, sqlite_where=_live, postgresql_where=_live),
)
"""Client keys. Only the SHA-256 of a key is kept; `models` is null where all are allowed; a revoked one keeps its row.

`settings`: what a file may say of a key besides its name and secret. After a rotation the previous secret holds for a while.
"""

holders = Table(
    "holders",
    metadata,
    Column("kind", String(16), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("settings", JSON, nullable=False),
    Column("created_ns", BigInteger, nullable=False),
)
"""Users, teams and organisations. `settings`: what a file may say of one."""

prices = Table(
    "prices",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("settings", JSON, nullable=False),
    Column("created_ns", BigInteger, nullable=False),
)
"""Prices of one's own, in the order in which they were set. `settings`: what a file may say of one."""

_undelivered = text("delivered_ns IS NULL")

alerts = Table(
    "alerts",
    metadata,
    Column("id", String(128), primary_key=True),
    Column("made_ns", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("next_ns", BigInteger, nullable=False),
    Column("delivered_ns", BigInteger, nullable=True),
    Index("alerts_waiting", "next_ns", sqlite_where=_undelivered, postgresql_where=_undelivered),
)
"""What is told once by webhook, also where several processes see it: the id says what it is about."""

processes = Table(
    "processes",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("version", Text, nullable=False),
    Column("seen_ns", BigInteger, nullable=False),
    Column("generation", BigInteger, nullable=False),
)
"""Who works with this store, and with which generation of keys; only where the store is shared by machines."""

meta = Table(
    "meta",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("value", BigInteger, nullable=False),
)
"""Counters of the store itself: `keys_generation` goes up with each change to the keys; `usage_folded`: quarters before this
one are part of `usage_days`; `usage_pruned`: rows of `usage` from before this quarter may be gone."""

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
    Index("usage_by_time", "started_ns"),
)
"""One row per accepted request. Each index costs every row a microsecond; totals read a span of time and need only this one."""

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
    Index("keys_live_name", "name", unique=True, sqlite_where=_live, postgresql_where=_live),
)
"""Client keys. Only the SHA-256 of a key is kept; `models` is null where all are allowed; a revoked one keeps its row."""

meta = Table(
    "meta",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("value", BigInteger, nullable=False),
)
"""Counters of the store itself: `keys_generation` goes up with each change to the keys."""

"""What is known of a model at a kind of provider: the rows of `models.toml`, and what an operator puts over them.

What the fields mean is told in `canon.facts`. Asking a provider what its models can does not belong here.
"""

from __future__ import annotations

import datetime as dt
import functools
import re
import tomllib
from collections.abc import Iterable, Mapping
from fnmatch import translate
from importlib.resources import files
from typing import Any

import msgspec

from trunkline.canon.facts import Facts

Given = Mapping[str, Any]
"""Fields of `Facts` by name, as plain values: lists for its sets and tuples."""
Overrides = Iterable[tuple[str, Given]]
"""A glob of model names, and what holds for those. Laid over in order, the last one wins."""


class Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One row. The fields are explained at the top of `models.toml`."""

    kinds: tuple[str, ...]
    models: tuple[str, ...]
    facts: dict[str, Any]
    source: str
    date: dt.date


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    rows: tuple[Row, ...]


@functools.cache
def rows() -> tuple[Row, ...]:
    """Every row, in the order of the file. Shared: do not change them."""
    text = files("trunkline.providers").joinpath("models.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomllib.loads(text), _File).rows


def facts(kind: str, model: str, overrides: Overrides = ()) -> Facts:
    """The facts of `model` at a provider of `kind`, with an operator's `overrides` laid over them.

    The rows are matched by the name alone, without the folders before it (`models/x`, `vendor/x`) and, of Claude, without what
    Bedrock puts there (`us.anthropic.x`); overrides by the whole
    name. Neither minds capitals. A kind that has no rows has no facts. Raises `msgspec.ValidationError` for an override that
    is none: `config` lets none through.
    """
    whole = model.lower()
    name = whole.rpartition("/")[2].removeprefix("ft:").rpartition("anthropic.")[2]
    found: dict[str, Any] = {}
    for pattern, given in _of_kind(kind):
        if pattern.match(name):
            found |= given
    for glob, given in overrides:
        if _pattern((glob.lower(),)).match(whole):
            found |= given
    return msgspec.convert(found, Facts)


@functools.cache
def _of_kind(kind: str) -> tuple[tuple[re.Pattern[str], Given], ...]:
    return tuple((_pattern(row.models), row.facts) for row in rows() if kind in row.kinds)


@functools.lru_cache(maxsize=1024)
def _pattern(globs: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(translate(glob) for glob in globs))

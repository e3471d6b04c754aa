"""Times and places that the commands on the accounts share."""

from __future__ import annotations

import time
from zoneinfo import ZoneInfo

import pytest
import typer
from typer.testing import CliRunner

from records import START_NS
from trunkline.cli.accounts import chosen, moment, time_zone
from trunkline.cli.usage import app
from trunkline.store.engine import open_store

DAY = 86_400_000_000_000


def test_a_journal_that_cannot_be_read_is_told(tmp_path):
    """Without it the totals would be short; a traceback would not say so."""
    open_store(tmp_path).close()
    (tmp_path / "journal" / f"journal-{1:020d}.log").mkdir(parents=True)
    done = CliRunner().invoke(app, ["--data", str(tmp_path)])
    assert done.exit_code == 1
    assert "The journal" in done.stderr


def test_what_was_not_named_is_not_asked_for():
    """An empty name is one too: requests without a team."""
    assert chosen(key="a", team="", model=None) == {"key": "a", "team": ""}


@pytest.mark.parametrize(
    ("text", "end", "expected"),
    [
        (None, False, None),
        ("2026-01-01", False, START_NS),
        ("2026-01-01", True, START_NS + DAY),
        ("2026-01-01T06:00", True, START_NS + DAY // 4),
        ("2026-01-01T00:00:00+01:00", False, START_NS - DAY // 24),
        ("9999-12-31", True, 2**63 - 1),
        ("0001-01-01", False, 0),
        ("0001-01-01T00:00:00+05:00", False, 0),
        ("999999w", False, 0),
    ],
)
def test_moments(text, end, expected):
    """A day is a day in UTC, and its end belongs to it."""
    assert moment(text, end=end) == expected


@pytest.mark.parametrize(("text", "seconds"), [("90m", 5400), ("12h", 43200), ("7d", 604800), ("2w", 1209600)])
def test_spans_count_from_now(text, seconds):
    """`--since 7d` is the last week."""
    assert abs(moment(text) - (time.time_ns() - seconds * 10**9)) < 10**9


@pytest.mark.parametrize("text", ["", "yesterday", "7", "7y", "2026-13-01", "1234567d"])
def test_other_words_are_refused(text):
    """A misread time would be a wrong bill."""
    with pytest.raises(typer.BadParameter, match="neither"):
        moment(text)


@pytest.mark.parametrize(
    ("text", "end", "expected"),
    [
        ("2026-01-01", False, START_NS - DAY // 24),
        ("2026-03-29", True, 1_774_821_600 * 10**9),
        ("2026-01-01T00:00:00+00:00", False, START_NS),
    ],
)
def test_moments_of_a_zone(text, end, expected):
    """A day there begins and ends by its own clocks, on the day of 23 hours too."""
    assert moment(text, end=end, zone=ZoneInfo("Europe/Berlin")) == expected


def test_zones_by_name():
    """As everybody writes them; anything else is refused before it becomes a wrong day."""
    assert str(time_zone("Europe/Berlin")) == "Europe/Berlin"
    assert str(time_zone("UTC")) == "UTC"
    with pytest.raises(typer.BadParameter, match="Berlin"):
        time_zone("Nowhere/City")

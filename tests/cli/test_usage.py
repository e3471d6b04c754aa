"""`trunkline usage`, as a person or a script calls it."""

from __future__ import annotations

import json
import time

import pytest
from typer.testing import CliRunner

from records import opened, settled, twice_daily
from trunkline.cli.usage import app, bar, dollars
from trunkline.ledger.record import row
from trunkline.store import retention, sums, usage
from trunkline.store.engine import open_store

run = CliRunner().invoke
DAY = 86_400_000_000_000


def test_totals_by_day(data):
    """The table a person looks at: stored and journalled requests, each once; costs exact."""
    done = run(app, [])
    assert done.exit_code == 0
    lines = [line.split() for line in done.stdout.splitlines()]
    assert lines[0] == ["day", "requests", "input", "cached", "output", "cost", "cost"]
    assert [line[:6] for line in lines[1:]] == [
        ["2026-01-01", "2", "20", "8", "40", "$0.001234"],
        ["2026-01-02", "2", "20", "8", "40", "$0.003702"],
        ["2026-01-03", "1", "10", "4", "20", "$0.00617"],
        ["total", "5", "50", "20", "100", "$0.011106"],
    ]
    assert lines[3][6] == "█" * 20
    assert lines[2][6] == "█" * 12
    assert "2 requests have no known price" in done.stderr


def test_totals_by_model_as_json(data):
    """A script reads integers."""
    done = run(app, ["--by", "model", "--json"])
    told = json.loads(done.stdout)
    assert [(total["name"], total["requests"], total["unpriced"], total["cost_nano"]) for total in told] == [
        ("model-0", 3, 0, 11_106_000),
        ("model-1", 2, 2, 0),
    ]


def test_totals_by_hour_in_a_zone_of_one_key(data):
    """A person in Berlin asks for their own days and hours."""
    done = run(app, ["--by", "hour", "--zone", "Europe/Berlin", "--key", "laptop", "--until", "2026-01-01", "--json"])
    assert [total["name"] for total in json.loads(done.stdout)] == ["2026-01-01T01:00+01:00", "2026-01-01T13:00+01:00"]
    assert run(app, ["--key", "other"]).stdout == "No requests in this time.\n"
    days = json.loads(run(app, ["--zone", "Asia/Tokyo", "--since", "2026-01-02", "--until", "2026-01-02", "--json"]).stdout)
    assert [(total["name"], total["requests"]) for total in days] == [("2026-01-02", 2)]


def test_an_unknown_zone_is_told(data):
    """A bill by wrong days is a wrong bill."""
    for name in ("Berlin/Europe", "../etc/passwd", ""):
        done = run(app, ["--zone", name])
        assert done.exit_code == 2
        assert "time zone" in done.stderr


def test_the_newest_records(data):
    """What just happened, from the journal and the store."""
    done = run(app, ["list", "--limit", "2"])
    lines = [line.split() for line in done.stdout.splitlines()]
    assert lines[0][:4] == ["started", "(UTC)", "key", "model"]
    assert [(line[0], line[1], line[3]) for line in lines[1:]] == [
        ("2026-01-03", "00:00:00", "model-0"),
        ("2026-01-02", "12:00:00", "model-1"),
    ]
    told = json.loads(run(app, ["list", "--model", "model-1", "--json"]).stdout)
    assert told == [row(twice_daily(3)), row(twice_daily(1))]
    assert run(app, ["list", "--key", "nobody"]).stdout == "No such requests.\n"


def test_old_records_go_and_their_sums_stay(data):
    """Whoever may keep nothing for long still has to know what was spent."""
    before = run(app, ["--json"]).stdout
    assert run(app, ["prune", "--older-than", "2026-01-02", "--dry-run"]).stdout == "2 records would be deleted.\n"
    assert run(app, ["prune", "--older-than", "2026-01-02"]).stdout == "2 records were deleted; totals stay as they were.\n"
    assert run(app, ["prune", "--older-than", "2026-01-02"]).stdout.startswith("0 records")
    assert run(app, ["--json"]).stdout == before
    assert len(run(app, ["export"]).stdout.splitlines()) == 3


def test_nothing_can_be_deleted_ahead_of_its_time(data):
    """A date to come must not make totals of that time coarse."""
    assert run(app, ["prune", "--older-than", "2999-01-01"]).stdout.startswith("4 records")
    store = open_store(data)
    soon = time.time_ns() + DAY
    usage.insert(store, [row(settled(opened(9, started_ns=soon)))])
    assert [total.requests for total in sums.totals(store, "key", soon + 1, None)] == []
    store.close()


def test_many_old_records_go_piece_by_piece(data, monkeypatch):
    """More than one piece, and no piece too few."""
    monkeypatch.setattr(retention, "BATCH", 2)
    monkeypatch.setattr(retention.prune, "__defaults__", (2,))
    assert run(app, ["prune", "--older-than", "1d"]).stdout.startswith("4 records")


def test_without_any_price_the_bars_show_tokens(data):
    """A local model costs nothing, and its use is still to be seen."""
    done = run(app, ["--by", "model", "--since", "2026-01-01T12:00:00", "--until", "2026-01-01"])
    assert done.stdout.splitlines()[0].split()[-1] == "tokens"
    assert done.stdout.splitlines()[1].split() == ["model-1", "1", "10", "4", "20", "$0.00", "█" * 20]


def test_nothing_used_is_said(data):
    """An empty table would look like a failure."""
    assert run(app, ["--since", "1m"]).stdout == "No requests in this time.\n"


def test_names_cannot_paint_the_terminal(tmp_path, monkeypatch):
    """Clients choose model names; the operator's terminal is not theirs."""
    monkeypatch.setenv("COLUMNS", "120")
    store = open_store(tmp_path)
    usage.insert(store, [row(settled(opened(1, model="[red]\x1b[31mx\n:smile:")))])
    store.close()
    done = run(app, ["--by", "model", "--data", str(tmp_path)])
    assert "[red]\N{REPLACEMENT CHARACTER}[31mx\N{REPLACEMENT CHARACTER}:smile:" in done.stdout
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize("words", [["--since", "0001-01-01"], ["--since", "999999w"], ["--until", "9999-12-31"]])
def test_bounds_beyond_all_records(data, words):
    """Who wants everything names a time far away, and would read a traceback."""
    assert len(run(app, ["export", *words]).stdout.splitlines()) == 5
    assert run(app, words).exit_code == 0


@pytest.mark.parametrize("words", [["--since", "7d"], ["--data", "x"], ["--json"], ["--by", "day"]])
def test_options_before_export_are_refused(data, words):
    """They would be dropped in silence, and another directory or time be exported."""
    done = run(app, [*words, "export"])
    assert (done.exit_code, done.stdout) == (2, "")
    assert "Options of export stand after it" in done.stderr


def test_looking_changes_nothing(data):
    """The journal belongs to the gateway."""
    journal = {path: path.read_bytes() for path in (data / "journal").iterdir()}
    run(app, [])
    run(app, ["export"])
    assert {path: path.read_bytes() for path in (data / "journal").iterdir()} == journal


def test_a_wrong_directory_is_told_and_not_made(tmp_path):
    """A typing error must not leave a new, empty store behind."""
    done = run(app, ["--data", str(tmp_path / "typo")])
    assert done.exit_code == 1
    assert str(tmp_path / "typo") in done.stderr
    assert not (tmp_path / "typo").exists()


def test_a_damaged_store_is_told(data):
    """The command says what the gateway would say."""
    (data / "trunkline.db").write_bytes(b"junk")
    done = run(app, [])
    assert done.exit_code == 1
    assert "damaged" in done.stderr


@pytest.mark.parametrize(
    ("nano", "text"),
    [(0, "$0.00"), (1, "$0.000000001"), (10**7, "$0.01"), (1_500_000_000, "$1.50"), (1_234_567_000_000_000, "$1,234,567.00")],
)
def test_dollars_are_exact(nano, text):
    """No float comes near money."""
    assert dollars(nano) == text


@pytest.mark.parametrize(
    ("value", "largest", "text"),
    [(0, 0, ""), (0, 5, ""), (5, 5, "█" * 20), (1, 2, "█" * 10), (1, 10**9, "▏"), (1, 32, "▋"), (33, 320, "██")],
)
def test_bars(value, largest, text):
    """The least use still shows."""
    assert bar(value, largest) == text

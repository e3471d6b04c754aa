"""`trunkline usage`, as a person or a script calls it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import pytest
import typer
from typer.testing import CliRunner

from records import START_NS, opened, settled
from trunkline.cli.usage import app, bar, dollars, moment
from trunkline.ledger.journal import Journal
from trunkline.ledger.record import row
from trunkline.store import usage
from trunkline.store.engine import open_store

run = CliRunner().invoke
DAY = 86_400_000_000_000


@pytest.fixture
def data(tmp_path, monkeypatch):
    """A data directory with requests 0 to 3 in the store, 3 and 4 in the journal, and 5 open."""
    monkeypatch.setenv("TRUNKLINE_DATA", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "120")
    store = open_store(tmp_path)
    usage.insert(store, [row(_request(n)) for n in range(4)])
    store.close()
    journal = Journal(tmp_path / "journal")
    for n in (3, 4):
        journal.settle(journal.open(opened(n)), _request(n))
    os.close(journal.open(opened(5)).fd)
    return tmp_path


def _request(n):
    """Two requests a day; `model-1` is without a price."""
    model = f"model-{n % 2}"
    return settled(opened(n, model=model, started_ns=START_NS + n * DAY // 2), cost_nano=None if n % 2 else 1_234_000 * (n + 1))


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


def test_export_writes_every_column_of_every_record(data):
    """An auditor gets each request once, in order, with all that is known of it."""
    done = run(app, ["export", "--format", "jsonl", "--data", str(data)])
    assert done.exit_code == 0
    assert [json.loads(line) for line in done.stdout.splitlines()] == [row(_request(n)) for n in range(5)]
    since = run(app, ["export", "--since", "2026-01-02", "--until", "2026-01-02"])
    assert [json.loads(line)["id"] for line in since.stdout.splitlines()] == [f"{n:032d}" for n in (2, 3)]


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


def test_a_journal_that_cannot_be_read_is_told(data):
    """Without it the totals would be short; a traceback would not say so."""
    for segment in (data / "journal").iterdir():
        segment.unlink()
        segment.mkdir()
    done = run(app, [])
    assert done.exit_code == 1
    assert "The journal" in done.stderr


def test_looking_changes_nothing(data):
    """The journal belongs to the gateway."""
    journal = {path: path.read_bytes() for path in (data / "journal").iterdir()}
    run(app, [])
    run(app, ["export"])
    assert {path: path.read_bytes() for path in (data / "journal").iterdir()} == journal


def test_a_reader_that_leaves_is_no_failure(data):
    """`trunkline usage export | head` must not print a traceback."""
    store = open_store(data)
    usage.insert(store, [row(_request(n)) for n in range(10, 3000)])
    store.close()
    child = subprocess.Popen(
        [sys.executable, "-B", "-c", "from trunkline.cli.usage import app; app()", "export"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    child.stdout.readline()
    child.stdout.close()
    assert b"Traceback" not in child.stderr.read()
    child.stderr.close()
    child.wait()


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

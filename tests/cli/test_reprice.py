"""`trunkline usage reprice`, as a person or a script calls it."""

from __future__ import annotations

import json

import msgspec
import pytest
import yaml
from typer.testing import CliRunner

from records import START_NS, opened, settled
from trunkline.canon.usage import NO_USAGE
from trunkline.cli.main import app
from trunkline.ledger.record import row
from trunkline.store import sums, usage
from trunkline.store.engine import open_store

run = CliRunner().invoke
DAY = 86_400 * 10**9
RIGHT = 6 * 2000 + 4 * 500 + 20 * 8000
"""What a request of `records` costs by the bundled list."""
TRAIL = {"steps": [{"provider": "openai", "model": "m", "began_ms": 0, "took_ms": 1, "error": "upstream_unreachable"},
                   {"provider": "openai", "model": "m", "began_ms": 1, "took_ms": 1}]}  # fmt: skip


@pytest.fixture
def data(tmp_path, monkeypatch):
    """A ledger with a right cost, two wrong ones on two days, one without, and some that cannot be told."""
    monkeypatch.setenv("TRUNKLINE_DATA", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "140")
    monkeypatch.delenv("TRUNKLINE_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "trunkline.yaml").write_text(yaml.safe_dump({"providers": {"openai": {"api_key": "sk-of-tests-only"}}}))
    half = TRAIL | {"steps": [TRAIL["steps"][1], TRAIL["steps"][1]]}
    rows = [
        row(settled(opened(0), cost_nano=RIGHT)),
        row(settled(opened(1), cost_nano=1000)),
        row(settled(opened(2, started_ns=START_NS + DAY, key="other"), cost_nano=RIGHT + 5000)),
        row(settled(opened(3), cost_nano=None)),
        row(settled(opened(4, model="nobody-knows"), cost_nano=7)),
        row(settled(opened(5, provider="gone"), cost_nano=7)),
        row(settled(opened(6), cost_nano=None, usage=NO_USAGE)),
        row(settled(opened(7), cost_nano=7)) | {"attempts": 2, "trail": msgspec.json.encode(half).decode()},
        row(settled(opened(8), cost_nano=7)) | {"attempts": 2, "trail": msgspec.json.encode(TRAIL).decode()},
        row(settled(opened(9), cost_nano=7)) | {"attempts": 2},
        row(settled(opened(10), cost_nano=7)) | {"endpoint": "completions", "raw_usage": "[{},{}]"},
        row(settled(opened(11), cost_nano=7)) | {"endpoint": "realtime"},
    ]
    store = open_store(tmp_path)
    usage.insert(store, rows)
    store.close()
    return tmp_path


def costs(data):
    store = open_store(data)
    try:
        found = {int(one["id"]): one["cost_nano"] for one in usage.export(store, None, None)}
        (total,) = sums.totals(store, "team", None, None)
        assert total.cost_nano == sum(filter(None, found.values()))
        return found
    finally:
        store.close()


def test_a_dry_run_tells_and_changes_nothing(data):
    """The table is what a person decides by: old, new and difference, and how many stay and why."""
    before = costs(data)
    done = run(app, ["usage", "reprice", "--from", "2026-01-01", "--dry-run"])
    assert done.exit_code == 0, done.output
    lines = [line.split() for line in done.stdout.splitlines()]
    assert ["2026-01-01", "gpt-4.1", "3", "$0.000001007", "$0.000522", "+$0.000520993", "█" * 20] in lines
    assert ["2026-01-02", "gpt-4.1", "1", "$0.000179", "$0.000174", "-$0.000005", "▏"] in lines
    assert ["total", "4", "$0.000180007", "$0.000696", "+$0.000515993"] in lines
    for words in ("1 of them had no price before", "1 stay as they are: they cost the same",
                  "4 stay as they are: they sum several",
                  "1 stay as they are: they went to a provider", "1 stay as they are: they have no known price",
                  "1 stay as they are: they used nothing"):  # fmt: skip
        assert words in done.stdout
    assert costs(data) == before


def test_what_was_shown_is_done_once(data):
    """Rows and totals follow, and a second time finds nothing to do."""
    done = run(app, ["usage", "reprice", "--from", "2026-01-01", "--yes", "--json"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert (told["rows"], sum(line["requests"] for line in told["changes"])) == (12, 4)
    assert "Changed 4 records. Budgets follow when a gateway starts;" in done.stderr
    assert costs(data) == {0: RIGHT, 1: RIGHT, 2: RIGHT, 3: RIGHT, 4: 7, 5: 7, 6: None, 7: 7, 8: RIGHT, 9: 7, 10: 7, 11: 7}
    again = run(app, ["usage", "reprice", "--from", "2026-01-01"])
    assert (again.exit_code, again.stdout.startswith("Nothing changes: 12 records were looked at.")) == (0, True)


@pytest.mark.parametrize(
    ("options", "changed"),
    [
        (["--key", "other"], [2]),
        (["--from", "2026-01-02"], [2]),
        (["--until", "2026-01-01"], [1, 3, 8]),
        (["--model", "gpt-*"], [1, 2, 3, 8]),
        (["--model", "claude-*"], []),
    ],
)
def test_only_some(data, options, changed):
    """Who corrects one key's account must not touch another's."""
    before = costs(data)
    run(app, ["usage", "reprice", *(["--from", "2026-01-01"] if "--from" not in options else []), *options, "--yes"])
    after = costs(data)
    assert sorted(n for n in before if before[n] != after[n]) == changed


def test_prices_of_ones_own_count(data):
    """Set a price, then put the past right by it: each at its own time."""
    assert (
        run(app, ["prices", "set", "--model", "nobody-*", "--input", "1", "--output", "0", "--from", "2026-01-01"]).exit_code
        == 0
    )
    run(app, ["usage", "reprice", "--from", "2026-01-01", "--model", "nobody-*", "--yes"])
    assert costs(data)[4] == 10_000
    run(app, ["prices", "set", "--model", "nobody-*", "--input", "9", "--output", "0", "--from", "2026-01-02"])
    done = run(app, ["usage", "reprice", "--from", "2026-01-01", "--model", "nobody-*", "--yes"])
    assert "1 stay as they are: they cost the same" in done.stdout


def test_nobody_to_ask(data):
    """A script that forgot --yes must not change the books."""
    done = run(app, ["usage", "reprice", "--from", "2026-01-01"])
    assert (done.exit_code, "Say --yes" in done.stderr) == (1, True)
    assert costs(data)[1] == 1000

"""`trunkline alerts`, as a person calls it."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from harness.upstream import Upstream
from trunkline.alerts import crossed
from trunkline.cli.main import app
from trunkline.meters.rule import Rule
from trunkline.meters.windows import FOREVER
from trunkline.store import alerts
from trunkline.store.engine import open_store

SECRET = base64.b64encode(bytes(range(32))).decode()
DAY_NS = 86_400 * 10**9
run = CliRunner().invoke


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a data directory; the configuration is the test's."""
    monkeypatch.setenv("TRUNKLINE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("TRUNKLINE_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def receiver() -> Iterator[Upstream]:
    """Whoever is told."""
    with Upstream() as running:
        yield running


def configure(place: Path, url: str) -> None:
    """A file with nothing but alerts."""
    (place / "trunkline.yaml").write_text(yaml.safe_dump({"alerts": {"url": url, "secret": SECRET}}))
    (place / "trunkline.yaml").chmod(0o600)


def test_list_says_how_each_stands(place: Path) -> None:
    """An operator could not tell what was told from what nobody took."""
    store = open_store(place / "data")
    body = crossed(Rule("team:la\x1bb", "money", 25 * 10**9), FOREVER, 80, 5).body(DAY_NS)
    alerts.add(store, [("delivered", body), ("given up", '{"type": "other"}'), ("waits", body)], DAY_NS)
    alerts.settle(store, "delivered", 2 * DAY_NS)
    alerts.settle(store, "given up", None)
    store.close()
    done = run(app, ["alerts", "list"])
    assert done.exit_code == 0, done.output
    lines = [line.rstrip() for line in done.stdout.splitlines()]
    assert len(lines) == 4
    assert "\x1b" not in done.stdout
    assert "80 % of $25.00 in all" in lines[1]
    assert lines[1].endswith("delivered 1970-01-03 00:00:00")
    assert lines[2].endswith("given up")
    assert lines[3].endswith("waits, next try 1970-01-02 00:00:00")
    assert len(run(app, ["alerts", "list", "--limit", "1"]).stdout.splitlines()) == 2


def test_the_receiver_is_tried(place: Path, receiver: Upstream) -> None:
    """Whether alerts arrive would show on the day when they matter."""
    configure(place, f"http://127.0.0.1:{receiver.port}/hook")
    done = run(app, ["alerts", "test"])
    assert (done.exit_code, done.stdout) == (0, "The receiver took it (200).\n")
    assert receiver.requests[0].fields["type"] == "test"
    assert receiver.requests[0].header("webhook-signature")
    receiver.script("status=401")
    assert "The receiver answered 401." in run(app, ["alerts", "test"]).output
    receiver.script("drop")
    broken = run(app, ["alerts", "test"])
    assert (broken.exit_code, "broke off" in broken.output) == (1, True)


def test_who_is_to_be_told_must_be_said(place: Path) -> None:
    """It would end with a traceback, or as if all were well."""
    nobody = run(app, ["alerts", "test"])
    assert (nobody.exit_code, "Nobody is told" in nobody.output) == (1, True)
    configure(place, "http://hooks.example.com/")
    wrong = run(app, ["alerts", "test"])
    assert (wrong.exit_code, "alerts.url: must begin with https://" in wrong.output) == (1, True)
    assert SECRET not in wrong.output

"""`trunkline explain --id`: a past request, from the ledger of a real process."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import Result
from typer.testing import CliRunner

from harness.gateway import PROVIDER_KEY, Gateway, settings
from harness.upstream import Upstream
from records import opened, settled
from trunkline.canon.usage import Usage
from trunkline.cli.main import app
from trunkline.ledger.journal import Journal
from trunkline.ledger.record import row
from trunkline.pipeline.trail import Trail
from trunkline.pipeline.use import Step
from trunkline.store import usage
from trunkline.store.engine import open_store


@pytest.fixture
def upstreams() -> Iterator[tuple[Upstream, Upstream]]:
    with Upstream() as first, Upstream() as second:
        yield first, second


def test_a_request_that_failed_over(upstreams: tuple[Upstream, Upstream], tmp_path: Path) -> None:
    """Support is given an x-request-id, and must be able to say what happened: while it runs, and after it ended."""
    first, second = upstreams
    config: dict[str, Any] = settings(first.url)
    config["providers"]["spare"] = {"kind": "openai", "base_url": second.url, "api_key": PROVIDER_KEY}
    config["models"]["m"]["fallbacks"] = ["spare/small"]
    with Gateway(config, tmp_path) as gateway:
        first.then("status=503")
        ident = gateway.chat().header("x-request-id")
        assert ident is not None
        while_it_runs = gateway.run("explain", "--id", ident, "--data", str(gateway.data))
        assert gateway.stop() == 0
        done = gateway.run("explain", "--id", ident, "--data", str(gateway.data))
        as_json = gateway.run("explain", "--id", ident, "--data", str(gateway.data), "--json")
    assert while_it_runs.stdout == done.stdout
    told = done.stdout.decode().splitlines()
    assert told[0].startswith(f"request   {ident}, 20")
    assert told[1] == "key       tester, at chat.completions (openai_chat)"
    assert told[2] == "model     m, by spare/small"
    assert told[3].startswith("outcome   ok, status 200, in ")
    way = [line[10:] for line in told[-2:]]
    assert "lab/tiny: upstream_failed, status 503 after " in way[0]
    assert "spare/small: answered after " in way[1]
    assert PROVIDER_KEY not in done.stdout.decode()
    assert [step["provider"] for step in json.loads(as_json.stdout)["trail"]["steps"]] == ["lab", "spare"]


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Request 1 in the store, with a trail; 2 in the journal, without one; 3 still open; 5 to a provider's files."""
    monkeypatch.setenv("TRUNKLINE_DATA", str(tmp_path))
    trail = Trail(
        rules=(2,),
        passed=(("lab/a", "failed of late and rests for 8 s"),),
        steps=(
            Step("lab", "b", 0, 120, "upstream_failed", 429, seat=1),
            Step("lab", "c", 320, 80, "upstream_timeout"),
            Step("lab", "d", 360, 40, hedged=True, input=1200, output=30, nano=2_500_000),
        ),
        cut=3,
    )
    told = msgspec.structs.replace(
        settled(opened(1, model="x\x1b[31m"), cost_nano=None), trail=msgspec.json.encode(trail).decode()
    )
    store = open_store(tmp_path)
    nothing = msgspec.structs.replace(settled(5), usage=Usage(), upstream_id="", outcome="client_cancelled")
    nothing = msgspec.structs.replace(
        nothing, opened=msgspec.structs.replace(nothing.opened, model="", target=""), first_byte_us=0
    )
    usage.insert(store, [row(told), row(nothing)])
    store.close()
    journal = Journal(tmp_path / "journal")
    journal.settle(journal.open(opened(2)), settled(2))
    os.close(journal.open(opened(3)).fd)
    return tmp_path


def run(number: int, *words: str) -> Result:
    return CliRunner().invoke(app, ["explain", "--id", f"{number:032d}", *words])


def test_a_long_way(data: Path) -> None:
    """Rules, who rested, waits, and what ran beside each other."""
    done = run(1)
    assert done.exit_code == 0, done.output
    assert "\x1b" not in done.stdout
    lines = [line[10:] for line in done.stdout.splitlines()]
    assert lines[4] == "10 in (4 of them cached), 20 out, reported"
    assert lines[5] == "no price is known"
    assert lines[6] == "calls it req_1"
    assert lines[7:] == [
        "rule 2 was followed",
        "not to lab/a: failed of late and rests for 8 s",
        "+0 ms  lab/b with credential 2: upstream_failed, status 429 after 120 ms",
        "+120 ms  waited 200 ms",
        "+320 ms  lab/c: upstream_timeout after 80 ms",
        "+360 ms  lab/d, asked beside the one before: answered after 40 ms, 1,200 in, 30 out, $0.0025",
        "3 more found no room in the record",
    ]


def test_an_ordinary_way(data: Path) -> None:
    """Nothing special happened, and that is what is said."""
    done = run(2)
    lines = done.stdout.splitlines()
    assert lines[3] == "outcome   ok, status 200, in 1 ms, first byte after 0 ms"
    assert lines[5] == "cost      $0.0000015"
    assert lines[-1] == "way       +0 ms  openai/gpt-4.1: answered"


def test_what_is_not_known_is_said(data: Path) -> None:
    """A request that names no model, and that its client left."""
    lines = [line[10:] for line in run(5).stdout.splitlines()]
    assert lines[2:] == [
        "(none), by openai",
        "client_cancelled, status 200, in 1 ms",
        "none are known",
        "$0.0000015",
        "+0 ms  openai: client_cancelled",
    ]


@pytest.mark.parametrize("number", [3, 4])
def test_a_request_without_a_record(data: Path, number: int) -> None:
    """It may be running, or was refused before it was accepted: where to look is said."""
    done = run(number)
    assert (done.exit_code, done.stdout) == (1, "")
    assert "No request" in done.stderr
    assert "the log has them" in done.stderr

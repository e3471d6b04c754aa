"""`trunkline status`, as a person calls it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from click.testing import Result
from typer.testing import CliRunner

from harness.gateway import KEY, PROVIDER_KEY, Gateway, settings
from harness.script import whole
from harness.upstream import Upstream
from trunkline.cli import status as module
from trunkline.cli.main import app
from trunkline.edge.pool import Told
from trunkline.ledger.journal import Stats
from trunkline.pipeline.status import Status, TargetTold, WorkerTold
from trunkline.routing.condition import Condition


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream() as found:
        yield found


def run(url: str, *words: str) -> Result:
    return CliRunner().invoke(app, ["status", "--url", url, *words])


def test_a_running_gateway(upstream: Upstream, tmp_path: Path) -> None:
    """An outage is seen at a glance: who, since when, and what the process does about it."""
    with Gateway(settings(upstream.url), tmp_path) as gateway:
        url = f"http://127.0.0.1:{gateway.admin[1]}"
        for _ in range(3):
            assert gateway.chat(model="lab/answered").status == 200
        gateway.chat(model=f"lab/{KEY}")
        for _ in range(5):
            upstream.then("status=500")
            gateway.chat(model="costly")
        told = gateway.run("status", "--url", url).stdout.decode()
        page = json.loads(gateway.run("status", "--url", url, "--json").stdout)
        metrics = gateway.metrics_text()
        raw = gateway.get("/status", admin=True).body.decode()
    lines = told.splitlines()
    assert lines[0].startswith("Trunkline ")
    assert any(line.startswith("lab/expensive ") and " open, " in line and "100%" in line and "█" in line for line in lines)
    assert any(line.startswith("lab/answered ") and " closed " in line for line in lines)
    assert any(line.startswith("lab ") for line in lines), "its connections"
    states = {one["model"]: one["condition"]["state"] for one in page["targets"]}
    assert states["expensive"] == "open"
    assert page["generation"] == 1
    assert PROVIDER_KEY not in raw
    assert 'trunkline_target_state{model="expensive",provider="lab",state="open"} 1.0' in metrics
    assert "answered" not in metrics


TOLD = Status(
    version="1.2.3",
    uptime=93_784.0,
    in_flight=1234,
    draining=True,
    source="/etc/[x].yaml",
    generation=3,
    journal=Stats(healthy=False, appended=5, failed=1, lost=2, backlog=7),
    targets=(
        TargetTold("lab", "a", 1, True, Condition(served=12, busy=3, first_p50=0.21, first_p95=0.9, tokens_left=4500)),
        TargetTold("lab", "a", 2, True, Condition(state="half_open", rests=8.2, failed=0.5, first_p50=1.5, requests_left=3)),
        TargetTold("lab", "\x1b[31m", 1, False, Condition(state="recovering")),
    ),
    others=40,
    pools=(Told("lab", 1, 2, 0, 0, 2, 512, 512, 4),),
)


@pytest.fixture
def served(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of something that tells `TOLD` twice."""
    monkeypatch.setenv("COLUMNS", "120")
    upstream.then(*[[whole(200, msgspec.json.encode(TOLD))]] * 2)
    return upstream.url.removesuffix("/v1")


def test_what_is_drawn(served: str) -> None:
    """Each number has its place, and nothing of it commands the terminal."""
    done = run(served)
    assert done.exit_code == 0, done.output
    assert "\x1b" not in done.stdout
    lines = [line.rstrip() for line in done.stdout.splitlines()]
    assert lines[:3] == [
        "Trunkline 1.2.3, up 1 d 2 h, 1,234 in flight, draining",
        "configuration  /etc/[x].yaml, generation 3",
        "journal        cannot be written, 7 on their way to the store, 2 lost",
    ]
    rows = [line.split() for line in lines[4:]]
    second = "lab/a (credential 2) half open, 8 s 50% ████ 0 0 1,500 ms 3 requests"
    assert rows[0] == ["target", "state", "failed", "busy", "served", "first", "token", "left"]
    assert rows[1] == ["lab/a", "closed", "0%", "3", "12", "210", "/", "900", "ms", "4,500", "tokens"]
    assert rows[2] == second.split()
    assert rows[3][:2] == ["lab/\N{REPLACEMENT CHARACTER}[31m", "recovering"]
    assert lines[8] == "40 more are not shown"
    assert rows[-1] == ["lab", "2", "1", "0", "2", "512", "0", "4"]


def test_several_workers_are_drawn(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line each: who they are, and which of them is not well."""
    monkeypatch.setenv("COLUMNS", "120")
    workers = (
        WorkerTold(0, 4711, "serving", 2, 61.0, 1200, 3, 5),
        WorkerTold(1, 4712, "silent", 0),
        WorkerTold(2, None, "failing", 9),
    )
    upstream.then([whole(200, msgspec.json.encode(msgspec.structs.replace(TOLD, workers=workers)))])
    done = run(upstream.url.removesuffix("/v1"))
    rows = [line.split() for line in done.stdout.splitlines()]
    at = next(number for number, row in enumerate(rows) if row[:1] == ["worker"])
    assert rows[at] == ["worker", "state", "process", "up", "in", "flight", "generation", "backlog", "replaced"]
    assert rows[at + 1] == ["0", "serving", "4711", "1", "min", "1", "s", "1,200", "3", "5", "2"]
    assert rows[at + 2][:3] == ["1", "silent", "4712"]
    assert rows[at + 3][:2] == ["2", "failing"]
    assert rows[at + 3][-1] == "9"
    assert rows[at + 4] == []


def test_for_scripts(served: str) -> None:
    """A script reads what the gateway says, as it says it."""
    assert msgspec.json.decode(run(served, "--json").stdout, type=Status) == TOLD


def test_an_idle_gateway(upstream: Upstream) -> None:
    """Nothing was asked yet, which is no fault."""
    idle = msgspec.structs.replace(TOLD, uptime=59.0, draining=False, targets=(), others=0, pools=())
    for seconds, span in ((59.0, "59 s"), (61.0, "1 min 1 s"), (7260.0, "2 h 1 min")):
        upstream.then([whole(200, msgspec.json.encode(msgspec.structs.replace(idle, uptime=seconds)))])
        done = run(upstream.url.removesuffix("/v1"))
        assert f"up {span}, 1,234 in flight\n" in done.stdout
        assert done.stdout.endswith("No target was asked yet.\n")


def test_what_no_provider_told_has_no_column(upstream: Upstream) -> None:
    """Most terminals are narrow."""
    plain = msgspec.structs.replace(TOLD, targets=TOLD.targets[2:])
    upstream.then([whole(200, msgspec.json.encode(plain))])
    assert "left" not in run(upstream.url.removesuffix("/v1")).stdout


def test_it_is_drawn_anew(served: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until who watches has seen enough."""
    slept = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", sleep)
    done = run(served, "--watch")
    assert (done.exit_code, slept) == (0, [1.0, 1.0])
    assert done.stdout.count("generation 3") == 2, "a file, a pipe or a dumb terminal gets one below the other"


def test_on_a_terminal_it_is_drawn_over(served: str, upstream: Upstream) -> None:
    """Somebody watches a wall, not a roll of paper."""
    upstream.then(*[[whole(200, msgspec.json.encode(TOLD))]] * 60)  # whoever is slow to end it has it look more than twice
    leader, follower = os.openpty()
    command = [sys.executable, "-m", "trunkline", "status", "--url", served, "--watch"]
    environ = {**os.environ, "TERM": "xterm", "COLUMNS": "120", "LINES": "40"}
    with subprocess.Popen(command, stdin=follower, stdout=follower, stderr=follower, env=environ) as watching:
        os.close(follower)
        drawn = b""
        while drawn.count(b"generation 3") < 2:
            drawn += os.read(leader, 65536)
        watching.send_signal(signal.SIGINT)
        assert watching.wait(10) == 0
    os.close(leader)
    assert b"\x1b[1A" in drawn, "the cursor goes up again"


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://127.0.0.1:1", "No gateway answers at http://127.0.0.1:1: Connection refused."),
        ("127.0.0.1:4001", "cannot be used"),
        ("ftp://127.0.0.1", "cannot be used"),
    ],
)
def test_where_nothing_listens(url: str, says: str) -> None:
    """A traceback would not say what to do."""
    done = run(url)
    assert (done.exit_code, done.stdout) == (1, "")
    assert says in done.stderr


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ([whole(404, b"{}")], "has no status (404)"),
        ([whole(200, b"{}")], "is no Trunkline"),
        ([b"nonsense\r\n\r\n"], "No gateway answers"),
    ],
)
def test_somebody_else_answers(upstream: Upstream, answer: list[bytes], says: str) -> None:
    """The data plane's port is the likely mistake."""
    upstream.then(answer)
    done = run(upstream.url.removesuffix("/v1"))
    assert done.exit_code == 1
    assert says in done.stderr


def test_the_usual_place() -> None:
    """It is where `serve` has its admin listener by default."""
    assert module._USUAL == "http://127.0.0.1:4001"

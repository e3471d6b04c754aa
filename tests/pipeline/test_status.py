"""What an operator sees of the process."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from trunkline.canon.errors import GatewayError, Kind
from trunkline.config.load import load
from trunkline.config.snapshot import Snapshot
from trunkline.edge.pool import Told
from trunkline.ledger.journal import Stats
from trunkline.pipeline.status import Status, TargetTold, WorkerTold, states, targets, together
from trunkline.providers.provider import Target
from trunkline.routing.condition import Condition
from trunkline.routing.course import Standings

DOWN = GatewayError(Kind.UPSTREAM_FAILED, "no", status=500)


@pytest.fixture
def snapshot(tmp_path: Path) -> Snapshot:
    file = tmp_path / "trunkline.yaml"
    keys = ["sk-one-0123456789", "sk-two-0123456789"]
    providers = {"lab": {"kind": "openai", "api_keys": keys}, "spare": {"kind": "anthropic", "api_key": "sk-ant-0123456789"}}
    models = {"m": {"targets": ["lab/gpt-4.1"], "fallbacks": ["spare/claude"]}, "n": {"targets": ["lab/gpt-4.1"]}}
    file.write_text(yaml.safe_dump({"providers": providers, "models": models}))
    file.chmod(0o600)
    return load(file, {})


def fails(standings: Standings, target: Target) -> None:
    for _ in range(5):
        standings.of(target).failed(100.0, 100.0, DOWN)


def test_configured_targets_are_shown_once_asked_or_not(snapshot: Snapshot) -> None:
    """An operator looks for what stands in the file."""
    told, others = targets(snapshot, Standings(lambda _: None), 100.0)
    assert [(one.provider, one.model, one.credential, one.configured) for one in told] == [
        ("lab", "gpt-4.1", 1, True),
        ("lab", "gpt-4.1", 2, True),
        ("spare", "claude", 1, True),
    ]
    assert others == 0
    assert all(one.condition == Condition() for one in told)


def test_names_that_clients_made_up_are_not_shown(snapshot: Snapshot) -> None:
    """They are a client's text; only what a provider answered to is a model."""
    standings = Standings(lambda _: None)
    routes = [snapshot.route(name) for name in ("lab/real", "lab/made-up", "echo/my secret", "lab/gpt-4.1")]
    held = [standings.along(route) for route in routes if route is not None]
    for course in held[::2]:
        course.standings[0].succeeded(100.0, 101.0, None)
    told, others = targets(snapshot, standings, 102.0)
    assert [one.model for one in told if not one.configured] == ["real"]
    known = {model for _, _, model in standings.all()}
    assert {"real", "made-up", "my secret"} <= known
    assert others == len(standings.all()) - 3


def test_who_is_not_well_is_never_left_out(snapshot: Snapshot) -> None:
    """The one row that matters would be below the end of the list."""
    standings = Standings(lambda _: None)
    course = standings.along(snapshot.routes["m"])
    fails(standings, course.everyone[2])
    standings.asked(course.standings[0], 1, 100.0)
    told, others = targets(snapshot, standings, 101.0, most=1)
    assert [(one.provider, one.condition.state) for one in told] == [("spare", "open")]
    assert others == 2


def test_made_up_names_do_not_crowd_out_configured_ones(snapshot: Snapshot) -> None:
    """A server that answers to any name would let a client fill the page with its own words."""
    standings = Standings(lambda _: None)
    route = snapshot.route("lab/made-up")
    assert route is not None
    course = standings.along(route)
    standings.asked(course.standings[0], 1, 100.0)
    course.standings[0].succeeded(100.0, 101.0, None)
    told, others = targets(snapshot, standings, 102.0, most=3)
    assert all(one.configured for one in told)
    assert others == 2


def test_states_for_the_metrics(snapshot: Snapshot) -> None:
    """One series for each target; a credential that is refused shows."""
    standings = Standings(lambda _: None)
    course = standings.along(snapshot.routes["m"])
    assert states(snapshot, standings, 100.0) == {("lab", "gpt-4.1", "closed"): 1.0, ("spare", "claude", "closed"): 1.0}
    fails(standings, course.everyone[1])
    assert states(snapshot, standings, 101.0) == {("lab", "gpt-4.1", "open"): 1.0, ("spare", "claude", "closed"): 1.0}
    assert states(snapshot, standings, 101.0, most=1) == {("lab", "gpt-4.1", "open"): 1.0}


def one(uptime: float, *told: TargetTold, draining: bool = False, generation: int = 1, pools: tuple[Told, ...] = ()) -> Status:
    """What one process says."""
    journal = Stats(healthy=uptime != 2.0, appended=1, failed=1, lost=0, backlog=3)
    return Status("1", uptime, 2, draining, "file", generation, journal, told, int(uptime), pools)


def test_several_processes_are_one_gateway() -> None:
    """Sums where things are counted, the worst where they are judged: an outage that one of them sees is one."""
    well = Condition(served=10, busy=1, first_p50=0.1, requests_left=5)
    ill = Condition(state="open", rests=3.0, failed=0.5, served=1, first_p50=0.2, first_p95=0.3, tokens_left=9)
    first, second = TargetTold("lab", "m", 1, True, well), TargetTold("lab", "m", 1, True, ill)
    other = TargetTold("lab", "a", 1, False, well)
    pool = Told("lab", idle=1, busy=2, opening=0, waiting=1, asking=2, limit=10, most=20, rejected=1)
    workers = [WorkerTold(0, 7, "serving", 0), WorkerTold(1, None, "ended", 3)]
    whole = together(
        [one(1.0, first, pools=(pool,), generation=2), one(2.0, second, other, draining=True, pools=(pool,))], workers
    )
    assert (whole.uptime, whole.in_flight, whole.draining, whole.generation, whole.others) == (2.0, 4, False, 1, 2)
    assert whole.journal == Stats(healthy=False, appended=2, failed=2, lost=0, backlog=6)
    assert [told.model for told in whole.targets] == ["a", "m"]
    assert whole.targets[1].condition == Condition("open", 3.0, 0.5, 1, 11, 0.2, 0.3, 5, 9)
    assert whole.pools == (Told("lab", idle=2, busy=4, opening=0, waiting=2, asking=4, limit=20, most=40, rejected=2),)
    assert whole.workers == tuple(workers)


def test_one_alone_is_told_as_it_is() -> None:
    """Where the others are silent."""
    alone = one(1.0, TargetTold("lab", "m", 1, True, Condition()))
    assert together([alone], []) == alone

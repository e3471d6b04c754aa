"""A short run of chaos: two seeds that are always the same, and one that nobody has seen. `make chaos` runs for longer."""

from __future__ import annotations

import secrets
from collections.abc import Callable

import pytest

from chaos.run import chaos, main

SEEDS = ("first", "second", secrets.token_hex(3))


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("seed", "upstreams"), list(zip(SEEDS, (2, 5, 4), strict=True)), ids=("fixed-2", "fixed-5", "random-4")
)
def test_chaos(seed: str, upstreams: int, record_property: Callable[[str, object], None]) -> None:
    """Whatever providers and clients do together: no answer is mixed, lost or another's, and the books are right."""
    record_property("seed", seed)
    report = chaos(seed, 5.0, upstreams, tell=False)
    assert report.wrong == [], "\n".join([f"seed {seed}", *report.wrong[:5], report.table()])
    assert report.requests > 100, report.table()
    assert report.plays.total() > 100


def test_a_request_can_be_played_alone(capsys: pytest.CaptureFixture[str]) -> None:
    """A violation in the ten thousandth request would otherwise take ten thousand to be seen again."""
    assert main(["--seed", "first", "--upstreams", "2", "--only", "1,4"]) == 0
    told = capsys.readouterr().out
    assert [line for line in told.splitlines() if line.startswith("request")] == ["request first-1: ", "request first-4: "]
    assert "seed first: every invariant holds" in told

"""One gateway and one mock provider per file; every case between the invariants before and after it."""

from __future__ import annotations

import itertools
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.gateway import Gateway, Make, settings
from harness.invariants import Case, clean_up_after_failure
from harness.upstream import Upstream


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    """Tell fixtures whether the test itself failed."""
    report: Any = yield
    if report.when == "call":
        item.stash[FAILED] = report.failed
    return report


FAILED = pytest.StashKey[bool]()
_numbers = itertools.count()


@pytest.fixture(scope="module")
def gateway(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """The real process, in front of `upstream`. Its client is under limits and a budget that nobody reaches."""
    config = settings(upstream.url)
    config["keys"][0] |= {
        "limits": {"rpm": 10**7, "tpm": 10**11, "concurrent": 10**5},
        "budgets": [{"usd": 10**6, "per": "month"}],
    }
    config["providers"]["lab"]["limits"] = {"rpm": 10**7, "concurrent": 10**5}
    config["ledger"] = {"unknown_price": "allow"}  # of speech, which no answer tells
    config["prices"] = [{"model": "tiny*", "input": 1, "output": 2}]
    config["models"]["m-*"] = {**config["models"]["m"], "targets": ["lab/tiny-*"]}
    with Gateway(config, tmp_path_factory.mktemp("gateway")) as running:
        yield running


@pytest.fixture
def own_target(gateway: Gateway) -> Iterator[None]:
    """For files whose cases make the provider fail: each has a model of its own, which rests for no other's sake."""
    gateway.model = f"m-{next(_numbers)}"
    yield
    gateway.model = "m"


@pytest.fixture
def case(gateway: Gateway, upstream: Upstream, request: pytest.FixtureRequest) -> Iterator[Case]:
    """A case with the invariants of `harness.invariants` after it."""
    one = Case(gateway, upstream)
    one.begin()
    yield one
    if request.node.stash.get(FAILED, True):
        clean_up_after_failure(gateway, upstream)
        return
    try:
        one.check()
    except BaseException:
        clean_up_after_failure(gateway, upstream)
        raise


@pytest.fixture
def make_gateway(tmp_path: Path) -> Iterator[Make]:
    """For cases that need settings of their own: `make_gateway(config, **options)` starts one, ended with the test."""
    made: list[Gateway] = []

    def make(config: dict[str, Any] | str, **options: Any) -> Gateway:
        folder = tmp_path / f"gateway-{len(made)}"
        folder.mkdir()
        made.append(Gateway(config, folder, **options))
        return made[-1].start()

    yield make
    for one in made:
        one.kill()

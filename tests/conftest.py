"""What every test shares. With TRUNKLINE_REQUIRE_ALL=1 nothing may be skipped: a real part that is missing is a failure.

Tests marked `other_os` are the exception: they need an operating system other than the one at hand.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator

import pytest

from harness import redis as redis_server
from harness.postgres import Postgres, programs
from harness.upstream import Upstream

REQUIRE_ALL = os.environ.get("TRUNKLINE_REQUIRE_ALL") == "1"


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    """The scriptable provider, one per file."""
    with Upstream() as running:
        yield running


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """The one PostgreSQL server of the session. Databases on it: `server.empty()`, `server.fresh()`; it must keep running."""
    if programs() is None:
        pytest.skip("PostgreSQL is not installed (scripts/install-servers)")
    server = Postgres()
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture
def postgres_url(postgres: Postgres) -> Iterator[str]:
    """The URL, as it stands in a configuration, of a database of one's own with nothing in it."""
    name = postgres.empty()
    yield postgres.url(name)
    postgres.drop(name)


@pytest.fixture(scope="module")
def redis() -> Iterator[redis_server.Redis]:
    """A Redis server, one per file; whoever changes how it is puts it right again."""
    if redis_server.program() is None:
        pytest.skip("Redis is not installed (scripts/install-servers)")
    with redis_server.Redis() as server:
        yield server


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    """Why a test or file was skipped, as pytest says it."""
    longrepr = report.longrepr
    return str(longrepr[2]) if isinstance(longrepr, tuple) else str(longrepr)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn the skip of a test into a failure where everything is required; an expected failure stays one."""
    report = yield
    if REQUIRE_ALL and report.skipped and not hasattr(report, "wasxfail") and item.get_closest_marker("other_os") is None:
        report.longrepr = f"{_reason(report)}\nTRUNKLINE_REQUIRE_ALL=1 allows no skip."
        report.outcome = "failed"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Turn the skip of a whole file into a failure where everything is required."""
    report = yield
    if REQUIRE_ALL and report.skipped:
        report.longrepr = f"{_reason(report)}\nTRUNKLINE_REQUIRE_ALL=1 allows no skip."
        report.outcome = "failed"
    return report

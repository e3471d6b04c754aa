"""What every test shares. With TRUNKLINE_REQUIRE_ALL=1 nothing may be skipped: a real part that is missing is a failure.

Tests marked `other_os` are the exception: they need an operating system other than the one at hand.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator

import pytest

from harness.upstream import Upstream

REQUIRE_ALL = os.environ.get("TRUNKLINE_REQUIRE_ALL") == "1"


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    """The scriptable provider, one per file."""
    with Upstream() as running:
        yield running


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

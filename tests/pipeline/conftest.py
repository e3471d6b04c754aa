"""A gateway inside the test's process, and a provider before it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from harness.upstream import Upstream
from pipeline.inside import inside, shared

__all__ = ["inside", "shared"]


@pytest.fixture
def second() -> Iterator[Upstream]:
    """Another provider."""
    with Upstream() as found:
        yield found

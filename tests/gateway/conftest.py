"""A gateway inside the test's process, and a provider before it."""

from __future__ import annotations

from pipeline.inside import inside, shared

__all__ = ["inside", "shared"]

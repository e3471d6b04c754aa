"""Whether a model whose price nobody knows may be asked."""

from __future__ import annotations

import pytest

from trunkline.policy.prices import may_ask


@pytest.mark.parametrize(
    ("setting", "known", "hard", "may"),
    [
        ("refuse_with_budget", True, True, True),
        ("refuse_with_budget", False, True, False),
        ("refuse_with_budget", False, False, True),
        ("refuse", True, False, True),
        ("refuse", False, False, False),
        ("allow", False, True, True),
    ],
)
def test_who_may_ask(setting, known: bool, hard: bool, may: bool) -> None:
    """A hard budget that cannot be counted is none: whoever set one must not find out by the bill."""
    assert may_ask(setting, known=known, hard_budget=hard) is may

"""How much to think, between dialects that say it in words and dialects that say it in tokens.

The table is ours: no provider publishes one. Which words a model takes is data of `canon.facts`.
"""

from __future__ import annotations

from collections.abc import Sequence

ORDER = ("minimal", "low", "medium", "high", "xhigh", "max")
"""Canon's words, from the least to the most."""

#: Tokens at most for a word. The least is the least that Claude takes; `high` is a coding agent's usual measure.
_BUDGETS = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16384, "xhigh": 32768, "max": 65536}


def budget_of(effort: str) -> int:
    """Tokens at most for an effort; those of `medium` where the word is not known."""
    return _BUDGETS.get(effort, _BUDGETS["medium"])


def effort_of(budget: int) -> str:
    """The least effort whose tokens hold `budget`, so that `effort_of(budget_of(x)) == x`."""
    return next((effort for effort in ORDER if budget <= _BUDGETS[effort]), ORDER[-1])


def nearest(effort: str, taken: Sequence[str]) -> str:
    """Of the words that a model takes the most that is not above `effort`, else the least; `effort` itself where none are
    named. `taken` goes from the least to the most.
    """
    if not taken or effort in taken:
        return effort
    rank = ORDER.index(effort) if effort in ORDER else ORDER.index("medium")
    below = [word for word in taken if word in ORDER and ORDER.index(word) <= rank]
    return below[-1] if below else taken[0]

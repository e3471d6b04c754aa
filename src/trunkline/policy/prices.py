"""Whether a request may go to a model whose price nobody knows. What is known belongs in `ledger`."""

from __future__ import annotations

from typing import Literal

UnknownPrice = Literal["refuse_with_budget", "refuse", "allow"]
"""Refuse it where a hard budget holds (which could not be counted), always, or never."""


def may_ask(setting: UnknownPrice, *, known: bool, hard_budget: bool) -> bool:
    """Whether the request may be made. `hard_budget`: one that refuses is among the request's own."""
    return known or setting == "allow" or (setting == "refuse_with_budget" and not hard_budget)

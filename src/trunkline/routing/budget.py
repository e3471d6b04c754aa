"""How many second tries a target is worth, so that retries do not bring down what is already struggling. Pure.

Whether an error may be tried again at all belongs in `retry`; how a target is doing in `health`.
"""

from __future__ import annotations

PRICE = 10
"""First tries that pay for one second try: second tries add at most a tenth to a target's requests."""
FLOOR = 10
"""Second tries that are saved up at the start, so that a target with little traffic has some too."""
MOST = 100
"""Second tries that can be saved up: long calm weather must not pay for a storm."""


class Budget:
    """One target's: a token bucket that first tries fill, as in Finagle's `RetryBudget` (its guide: Clients, Retries) and in
    gRPC's retry throttling (gRFC A6). It is counted in tenths of a second try, so that nothing is lost to rounding.
    """

    __slots__ = ("_saved",)

    def __init__(self) -> None:
        self._saved = FLOOR * PRICE

    def asked(self) -> None:
        """A request goes to the target for the first time."""
        if self._saved < MOST * PRICE:
            self._saved += 1

    def may(self) -> bool:
        """Whether a request that the target already failed may go there once more; nothing is changed by it."""
        return self._saved >= PRICE

    def spend(self) -> None:
        """It goes there once more."""
        self._saved -= PRICE

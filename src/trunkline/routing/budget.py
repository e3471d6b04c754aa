"""How many requests may be made beside the ordinary ones, so that they cost no more than agreed, and do not bring down what is
already struggling. Pure.

Whether an error may be tried again at all belongs in `retry`, when a request is late in `pace`.
"""

from __future__ import annotations

_PRICE = 1_000_000
"""What one further request costs; counted in whole numbers, so that nothing is lost to rounding."""


class Budget:
    """A token bucket that ordinary requests fill, as in Finagle's `RetryBudget` (its guide: Clients, Retries) and in gRPC's
    retry throttling (gRFC A6).
    """

    __slots__ = ("_most", "_saved", "_share")

    def __init__(self, share: float, start: int, most: int) -> None:
        """`share`: of the ordinary requests, how many further ones there may be, 0 to 1; `start`: how many are there at first;
        `most`: how many can be saved up: long calm weather must not pay for a storm.
        """
        self._share = round(share * _PRICE)
        self._saved = start * _PRICE
        self._most = most * _PRICE

    def asked(self, times: int = 1) -> None:
        """So many ordinary requests are made."""
        self._saved = min(self._saved + times * self._share, self._most)

    def may(self) -> bool:
        """Whether one may be made beside; nothing is changed by it."""
        return self._saved >= _PRICE

    def spend(self) -> None:
        """One is."""
        self._saved -= _PRICE


def of_target() -> Budget:
    """One target's second tries: a tenth of the requests it answers. A target with little traffic has some too."""
    return Budget(0.1, 10, 100)


def of_hedges(share: float) -> Budget:
    """One route's requests that are asked twice. It begins empty: the share holds from the first request on."""
    return Budget(share, 0, 10)

"""How many of a route's requests may be asked twice at the same time, so that the second ones cost no more than agreed. Pure.

When a request is late belongs in `pace`, asking beside another in `pipeline.hedge`.
"""

from __future__ import annotations

PRICE = 1_000_000
"""What one second attempt costs; counted in whole numbers, so that nothing is lost to rounding."""
MOST = 10 * PRICE
"""What can be saved up: a calm day must not pay for asking everything twice in a storm."""


class Hedging:
    """One route's: a token bucket that its requests fill. It begins empty: the share holds from the first request on."""

    __slots__ = ("_saved", "_share")

    def __init__(self, share: float) -> None:
        """`share`: of all requests, how many may be asked twice; 0 to 1."""
        self._share = round(share * PRICE)
        self._saved = 0

    def asked(self) -> None:
        """A request goes to its first target."""
        self._saved = min(self._saved + self._share, MOST)

    def may(self) -> bool:
        """Whether one may be asked twice; nothing is changed by it."""
        return self._saved >= PRICE

    def spend(self) -> None:
        """One is."""
        self._saved -= PRICE

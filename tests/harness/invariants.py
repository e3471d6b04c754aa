"""What must hold after every case, whatever went wrong in it.

The process lives, the next request is served, nothing stays occupied, every accepted request has its one row, and no
secret was told. What a single case expects belongs in `tests/faults`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from harness.client import Reply
from harness.gateway import KEY, NARROW_KEY, PROVIDER_KEY, Gateway
from harness.upstream import Upstream

SECRETS = (KEY.encode(), NARROW_KEY.encode(), PROVIDER_KEY.encode())
SETTLE = 5.0
"""Seconds after a case in which everything must be back."""


def eventually(condition: Callable[[], object], what: str | Callable[[], str], timeout: float = SETTLE) -> None:
    """Poll until `condition()` holds: for state that only a question to the process reveals. `what` is for the failure."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout} s: {what if isinstance(what, str) else what()}")
        time.sleep(0.02)


@dataclass
class Case:
    """One case, between the state before it and the state after it."""

    gateway: Gateway
    upstream: Upstream
    rows: int | None = None
    """Rows the case must add to the ledger, where it is not the number of requests the mock saw."""
    rows_up_to: int | None = None
    """Where requests may be accepted and yet not reach the mock: how many rows there may be at most."""
    outcomes: list[str] | None = None
    """Their outcomes in the order of their beginnings, where the case says them."""
    fd_slack: int = 4
    """File descriptors that may be open beyond those of the first case: a database connection, a log reader's question."""
    waived: set[str] = field(default_factory=set)
    """Invariants that cannot hold for this case, by name: `ledger`, `fds`, `errors` (a crash of our own in the log)."""
    others: tuple[Upstream, ...] = ()
    """Further providers, for which the same must hold; `upstream` is the one that the model `m` asks first."""
    _rows_before: set[str] = field(default_factory=set)
    _lines_before: int = 0

    def begin(self) -> None:
        """Remember the state before the case."""
        if self.gateway.booked is None:
            self.gateway.booked = self._book_all()
            self.gateway.idle_fds = self.idle_fds()
        self._rows_before = self.gateway.booked
        for one in self._upstreams:
            one.clear()
        self._lines_before = len(self.gateway.stdout)

    def _book_all(self) -> set[str]:
        """Ids of all rows so far: a request of our own is the last of them."""
        mark = self.gateway.chat().header("x-request-id")
        eventually(lambda: any(row["id"] == mark for row in self.gateway.stored()), "the first row in the database")
        return {row["id"] for row in self.gateway.stored()}

    def idle_fds(self) -> int:
        """Open descriptors without the pooled provider connections, which may stay."""
        return self.gateway.fds() - sum(one.open for one in self._upstreams)

    @property
    def _upstreams(self) -> tuple[Upstream, ...]:
        return (self.upstream, *self.others)

    def check(self) -> None:
        """Everything that must hold. Raises AssertionError that names what does not."""
        gateway, upstream = self.gateway, self.upstream
        assert gateway.alive, f"the gateway died\n{gateway.output()}"
        eventually(lambda: gateway.in_flight() == 0, lambda: f"in flight back to 0 (is {gateway.in_flight()})")
        eventually(lambda: gateway.held() == {}, lambda: f"nothing reserved of limits and budgets (are {gateway.held()})")
        for one in self._upstreams:
            eventually(lambda one=one: one.busy == 0, "no provider connection busy")
            assert one.strays == [], f"bytes outside any request reached the provider: {one.strays}"
        expected = len(upstream.requests) if self.rows is None else self.rows
        for one in self._upstreams:
            one.script(None)
        after = self._next()
        assert (after.status, after.complete) == (200, True), f"the next request got {after}"
        assert after.content == "after-the-case", f"the next request got somebody else's answer: {after}"
        if "fds" not in self.waived:
            bound = gateway.idle_fds + self.fd_slack
            eventually(lambda: self.idle_fds() <= bound, lambda: f"descriptors back to {bound} (are {self.idle_fds()})")
        if "ledger" not in self.waived:
            most = expected if self.rows_up_to is None else self.rows_up_to
            self._check_ledger(expected + 1, most + 1, after.header("x-request-id"))
        if "errors" not in self.waived:
            crashes = [line for line in gateway.logs()[self._lines_before :] if line.get("level") == "error"]
            assert crashes == [], f"an error of our own: {crashes[:3]}"
        self.check_secrets()

    def _next(self) -> Reply:
        """The next request's answer. A provider that many cases failed may rest, and be asked a few times a second only."""
        found: list[Reply] = []

        def answered() -> bool:
            found.append(self.gateway.chat(nonce="after-the-case"))
            return found[-1].status != 503 or found[-1].error["code"] != "providers_resting"

        eventually(answered, "the next request is let through")
        return found[-1]

    def new_rows(self) -> list[dict[str, Any]]:
        """The rows since the case began, from `trunkline usage export`."""
        return [row for row in self.gateway.ledger() if row["id"] not in self._rows_before]

    def _check_ledger(self, least: int, most: int, last: str | None) -> None:
        found: list[dict[str, Any]] = []

        def enough() -> bool:
            found[:] = [row for row in self.gateway.stored() if row["id"] not in self._rows_before]
            return len(found) >= least and any(row["id"] == last for row in found)

        try:
            eventually(enough, "")
        except AssertionError:
            rows = [(row["outcome"], row["status"]) for row in found]
            raise AssertionError(f"{len(found)} rows for {least} accepted requests: {rows[-20:]}") from None
        ids = {row["id"] for row in found}
        assert len(ids) == len(found), "an id stands twice in the ledger"
        assert len(found) <= most, f"{len(found)} rows for {most} accepted requests: {found[-20:]}"
        self.gateway.booked = self._rows_before | ids
        if self.outcomes is not None:
            outcomes = [row["outcome"] for row in found[:-1]]
            assert outcomes == self.outcomes, f"the ledger says {outcomes}, not {self.outcomes}"

    def check_secrets(self, *also: bytes) -> None:
        """No credential in the logs or metrics; `also` is further text that was received."""
        told = [*self.gateway.stdout, *self.gateway.stderr, self.gateway.metrics_text().encode(), *also]
        for secret in SECRETS:
            assert not any(secret in text for text in told), (
                f"{secret[:12]!r}… was told: {[t for t in told if secret in t][:1]}"
            )


@contextmanager
def watched(gateway: Gateway, upstream: Upstream) -> Iterator[Case]:
    """A case with its invariants checked at the end, unless it failed by itself."""
    case = Case(gateway, upstream)
    case.begin()
    yield case
    case.check()


def clean_up_after_failure(gateway: Gateway, upstream: Upstream) -> None:
    """Start afresh, so that one failed case does not fail the next ones."""
    gateway.kill()
    upstream.reset_all()
    upstream.clear()
    gateway.booked = None
    gateway.restart()

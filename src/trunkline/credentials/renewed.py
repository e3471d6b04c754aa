"""A token (or keys) that expires and is renewed in time: beside the requests, once for all, and not more often than helps.

Where it comes from is the business of who hands in `fetch`.
"""

from __future__ import annotations

import asyncio
import logging
import re
import threading
import time
from collections.abc import Callable
from contextlib import suppress

import msgspec
from typing_extensions import override

from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.wire import WireRequest

_PATIENCE = 10.0
"""Seconds a request waits where there is no token at all."""
_LONGEST = 30.0
"""Seconds after which a fetch that does not come back is given up."""
_EARLY, _SHARE = 300.0, 0.1
"""A token is renewed when less than so many seconds, or less than this share of its life, are left."""
_MARGIN, _MARGIN_SHARE = 10.0, 0.05
"""It is no longer used so long before its end, or with this share left: a request takes its time to get there."""
_LEAST_LIFE, _MOST_LIFE = 5.0, 86_400.0
_BACKOFF, _MOST_BACKOFF = 3.0, 30.0
"""Seconds after a failure until the next try; doubled with each."""
_PRINTABLE = re.compile(r"[\x21-\x7e]+")

_log = logging.getLogger(__name__)


class Token(msgspec.Struct, frozen=True):
    """What a fetch brought. `repr` shows nothing of it."""

    value: str
    life: float
    """Seconds it holds from now on."""
    head: bytes = b""
    """Header lines to send with it, each ending CRLF."""

    @override
    def __repr__(self) -> str:
        """Its life only."""
        return f"Token(life={self.life})"


Fetch = Callable[[], Token]
"""Gets a token. Blocks; called on a thread of its own. Raises `GatewayError`, whose message says what to mend."""


class Renewed:
    """A `Credential`. Made inside a running loop; the first token is fetched at once, beside everything else."""

    def __init__(
        self,
        fetch: Fetch,
        *,
        clock: Callable[[], float] = lambda: time.time_ns() / 1e9,
        mono: Callable[[], float] = time.monotonic,
    ) -> None:
        """`clock`: the wall's, and `mono`: a token is as old as the older of both says, for a machine may sleep, in which the
        second stands still, and the first may be set back. Failures are spaced by the second.
        """
        self._fetch = fetch
        self._clock = clock
        self._mono = mono
        self._loop = asyncio.get_running_loop()
        self._closed = False
        self._lines = b""
        self._token = Token("", 0.0)
        self._got = (0.0, 0.0)
        self._until = self._renew = float("-inf")
        """Ages at which it is no longer used, and renewed."""
        self._running: asyncio.Future[None] | None = None
        self._given_up: asyncio.TimerHandle
        self._error: GatewayError | None = None
        self._failures = 0
        self._again = float("-inf")
        self.secrets: tuple[bytes, ...] = ()
        """The token that `lines` hands out now."""
        self._begin()

    async def lines(self, request: WireRequest) -> bytes:  # noqa: ARG002 - it is the same for all
        """The token's header lines. Raises `GatewayError` where there is none and none can be had in ten seconds."""
        await self.token()
        return self._lines

    async def token(self) -> Token:
        """The token itself, as it was fetched, for those who do not send it. Raises as `lines` does."""
        age = self._age()
        if age >= self._until:
            await self._wait()
        elif age >= self._renew:
            self._begin()
        return self._token

    def _age(self) -> float:
        """Seconds since the token was fetched."""
        wall, mono = self._got
        return max(self._clock() - wall, self._mono() - mono)

    def close(self) -> None:
        """Give up whatever is being fetched; who waits for it is cancelled."""
        self._closed = True
        running = self._end()
        if running is not None:
            running.cancel()

    async def _wait(self) -> None:
        self._begin()
        if self._running is not None:
            try:
                async with asyncio.timeout(_PATIENCE):
                    await asyncio.shield(self._running)
            except TimeoutError:
                raise _too_slow(_PATIENCE) from None
        if self._age() >= self._until:
            raise self._refusal()

    def _begin(self) -> None:
        """Fetch, unless that goes on already or failed a moment ago."""
        if self._closed or self._running is not None or self._mono() < self._again:
            return
        self._running = running = self._loop.create_future()
        self._given_up = self._loop.call_later(_LONGEST, self._settle, running, _too_slow(_LONGEST))
        # a daemon: a server that never answers must not hold up the end of the process
        threading.Thread(target=self._work, args=(running,), name="token", daemon=True).start()

    def _work(self, running: asyncio.Future[None]) -> None:
        found: Token | GatewayError
        try:
            found = self._fetch()
            if _PRINTABLE.fullmatch(found.value) is None:
                found = GatewayError(Kind.UPSTREAM_PROTOCOL, "The token server's answer is no token.")
        except GatewayError as error:
            found = error
        except Exception as error:  # noqa: BLE001 - a failure like any other; its words may hold secrets
            message = f"The gateway got no credential for this provider ({type(error).__name__})."
            found = GatewayError(Kind.UPSTREAM_PROTOCOL, message)
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._settle, running, found)

    def _settle(self, running: asyncio.Future[None], found: Token | GatewayError) -> None:
        if running is not self._running:
            return  # it was given up
        self._end()
        if isinstance(found, Token):
            life = min(max(found.life, _LEAST_LIFE), _MOST_LIFE)
            self._token, self._got = found, (self._clock(), self._mono())
            self._lines = b"Authorization: Bearer %b\r\n%b" % (found.value.encode("ascii"), found.head)
            self.secrets = (found.value.encode("ascii"),)
            self._until = life - min(_MARGIN, life * _MARGIN_SHARE)
            self._renew = life - min(_EARLY, life * _SHARE)
            self._error, self._failures, self._again = None, 0, float("-inf")
        else:
            self._error = found
            self._again = self._mono() + min(_BACKOFF * 2**self._failures, _MOST_BACKOFF)
            self._failures = min(self._failures + 1, 8)
            _log.warning("no credential for a provider: %s", found.message)
        running.set_result(None)

    def _end(self) -> asyncio.Future[None] | None:
        running, self._running = self._running, None
        self._given_up.cancel()
        return running

    def _refusal(self) -> GatewayError:
        """The last failure anew: one object raised for many would gather their traces."""
        error = self._error
        if error is None:
            return GatewayError(Kind.SHUTTING_DOWN, "The gateway is shutting down. Try again.", retry_after=1.0)
        after = max(self._again - self._mono(), 1.0) if error.retryable else None
        return GatewayError(error.kind, error.message, status=error.status, code=error.code, retry_after=after)


def _too_slow(seconds: float) -> GatewayError:
    message = f"The gateway got no credential for this provider within {seconds:.0f} s. Try again; operators: see the log."
    return GatewayError(Kind.UPSTREAM_TIMEOUT, message)

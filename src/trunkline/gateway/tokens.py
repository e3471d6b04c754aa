"""Bearer tokens at the door: verified once, then known by their digest for as long as they count.

What a token must be and say is `policy.tokens`', its issuer's keys are `credentials.jwks`', whom it lets in is the key ring's.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable
from typing import NamedTuple

from trunkline.canon.errors import GatewayError
from trunkline.config.tokens import TokenIssuer
from trunkline.config.web import moved
from trunkline.credentials.jwks import MOST, BadKeys, Key, Keys, KeySet, verify
from trunkline.edge.call import CallFailed, get
from trunkline.edge.client import Client
from trunkline.pipeline.exchange import Live
from trunkline.policy.keys import Guests, Principal
from trunkline.policy.tokens import Bad, Said, Token, issuer_of, looks_like_token, no_keys, read, take_apart
from trunkline.telemetry.log import Log
from trunkline.telemetry.metrics import Metrics

KNOWN = 20_000
"""Good tokens that are remembered; the least recently used goes first."""
FORGED = 10_000
"""Tokens with a wrong signature that are remembered."""
_SECONDS = 8.0
"""For one answer of an issuer."""
_SECOND_NS = 1_000_000_000


class Clocks(NamedTuple):
    """Time and chance, handed in."""

    wall_ns: Callable[[], int]
    mono: Callable[[], float]
    dice: Callable[[], float]


class _Home:
    """One issuer, alive."""

    def __init__(self, issuer: TokenIssuer, keys: Keys) -> None:
        self.issuer = issuer
        self.keys = keys
        self.alive = True
        self.fetches: Counter[str] = Counter(ok=0, failed=0)

    def same(self, other: TokenIssuer) -> bool:
        """Whether what counts for its tokens is as it was. What each user has for himself is the key ring's."""
        mine = self.issuer
        return (mine.asked, mine.where, mine.place) == (other.asked, other.where, other.place)


class _Known:
    """A token that was verified."""

    __slots__ = ("guests", "home", "key", "keys", "principal", "said", "token", "until_ns")

    def __init__(self, home: _Home, token: Token, said: Said, found: tuple[KeySet, Key]) -> None:
        self.home = home
        self.token = token.kid, token.algorithm
        self.said = said
        self.keys, self.key = found
        self.until_ns = int(said.until * _SECOND_NS)
        self.guests: Guests | None = None
        """By whom `principal` was made."""
        self.principal: Principal | None = None


class Tokens:
    """All issuers. Used from the loop's thread."""

    def __init__(self, live: Live, client: Client, metrics: Metrics, log: Log, clocks: Clocks) -> None:
        """`client`: what keys are fetched over; not the providers'."""
        self._live = live
        self._client = client
        self._log = log
        self._clocks = clocks
        self._homes: dict[str, _Home] = {}
        self._known: dict[bytes, _Known] = {}
        self._forged: dict[bytes, tuple[_Home, KeySet]] = {}
        self._results: Counter[str] = Counter()
        self._measure(metrics)

    def follow(self, issuers: Iterable[TokenIssuer]) -> None:
        """These count from now on. Tokens of those that changed are verified anew; keys are fetched beside everything else."""
        old, self._homes = self._homes, {}
        for issuer in issuers:
            home = old.pop(issuer.asked.issuer, None)
            if home is None or not home.same(issuer):
                if home is not None:
                    self._leave(home)
                home = self._enter(issuer)
            self._homes[issuer.asked.issuer] = home
        for home in old.values():
            self._leave(home)

    def close(self) -> None:
        """Fetch no more."""
        self.follow(())

    def find(self, key: bytes) -> Principal | None:
        """Whom a token lets in; None where it is none, or does not count. Raises `GatewayError`: 403 where nobody here is meant
        by it, 503 where it cannot be told from a forged one at the moment.
        """
        if not self._homes or not looks_like_token(key):
            return None
        digest = hashlib.sha256(key).digest()
        known = self._known.pop(digest, None)
        try:
            if known is None or not self._stands(known):
                known = self._verified(key, digest)
            self._known[digest] = known  # the last is the one that was used last
            return self._principal(known, digest)
        except Bad as bad:
            self._results[bad.reason] += 1
            return None
        except GatewayError as error:
            self._results["forbidden" if error.status == 403 else "unavailable"] += 1
            raise

    def holds(self, principal: Principal) -> bool:
        """Whether a token that was let in still counts. One that was forgotten for want of room does until it expires."""
        known = self._known.get(principal.token)
        if not principal.token or known is None:
            return bool(principal.token) and not principal.expired(self._clocks.wall_ns())
        try:
            return self._stands(known) and self._principal(known, principal.token) is not None
        except GatewayError:
            return False

    def _stands(self, known: _Known) -> bool:
        """Whether it would be verified again: it has not expired, its issuer is asked the same, and has the same key."""
        if not known.home.alive or self._clocks.wall_ns() >= known.until_ns:
            return False
        keys = known.home.keys.current
        if keys is known.keys:
            return True
        found = None if keys is None else keys.find(*known.token)
        if keys is None or found is None or found.mark != known.key.mark:
            return False
        known.keys, known.key = keys, found
        return True

    def _principal(self, known: _Known, digest: bytes) -> Principal | None:
        """By the key ring in force. Raises `GatewayError` (403)."""
        guests = self._live.keys.guests
        if guests is not known.guests:
            known.principal = None
            known.principal = None if guests is None else guests.let_in(known.home.issuer.asked.name, known.said, digest)
            known.guests = guests
        return known.principal

    def _verified(self, key: bytes, digest: bytes) -> _Known:
        """A token that was not seen before. Raises `Bad`, and `GatewayError` (503)."""
        forged = self._forged.get(digest)
        if forged is not None and forged[0].alive and forged[0].keys.current is forged[1]:
            raise Bad("signature")
        token = take_apart(key)
        home = self._homes.get(issuer_of(token))
        if home is None:
            raise Bad("issuer")
        said = read(home.issuer.asked, token, self._clocks.wall_ns() / _SECOND_NS)
        keys = home.keys.current
        if keys is None:
            raise no_keys()
        if token.kid is not None and token.kid not in keys.kids:
            if home.keys.doubt():
                raise no_keys()
            raise Bad("key")
        found = keys.find(token.kid, token.algorithm)
        if found is None:
            raise Bad("key")
        if not verify(token.algorithm, found, token.signed, token.signature):
            if len(self._forged) >= FORGED:
                self._forged.clear()
            self._forged[digest] = home, keys
            raise Bad("signature")
        if len(self._known) >= KNOWN:
            del self._known[next(iter(self._known))]
        self._results["verified"] += 1
        return _Known(home, token, said, (keys, found))

    # issuers ----------------------------------------------------------------------------------------------------------

    def _enter(self, issuer: TokenIssuer) -> _Home:
        name = issuer.asked.name

        async def fetch(url: str) -> bytes:
            if issuer.place is None:
                raise BadKeys("they are in a file")
            try:
                said = await get(self._client, moved(issuer.place, url), MOST, _SECONDS)
            except CallFailed as error:
                raise BadKeys(str(error)) from None
            except ValueError as error:
                raise BadKeys(f"the URL it names {error}") from None
            if said.status != 200:
                raise BadKeys(f"its host answered {said.status}")
            return said.body

        def report(why: str | None) -> None:
            first = home.fetches["ok" if why is None else "failed"] == 0
            news = first or failed[0] != (why is not None)
            failed[0] = why is not None
            home.fetches["failed" if failed[0] else "ok"] += 1
            if news and why is not None:
                self._log.event("warning", "the keys of an issuer of tokens could not be fetched", issuer=name, reason=why)
            elif news:
                self._log.event("info", "the keys of an issuer of tokens are there", issuer=name)

        failed = [False]
        home = _Home(issuer, Keys(issuer.where, fetch, report, self._clocks.mono, self._clocks.dice))
        home.keys.begin()
        return home

    def _leave(self, home: _Home) -> None:
        home.alive = False
        home.keys.close()

    def _measure(self, metrics: Metrics) -> None:
        metrics.watch(
            "counter",
            "trunkline_bearer_tokens_total",
            "Bearer tokens that were not known yet, by what became of them.",
            lambda: {(result,): count for result, count in self._results.items()},
            labels=("result",),
        )
        metrics.watch(
            "gauge",
            "trunkline_issuer_keys",
            "Keys of an issuer of tokens that are in force.",
            lambda: {(home.issuer.asked.name,): len(keys) if (keys := home.keys.current) else 0 for home in self._all()},
            labels=("issuer",),
        )
        metrics.watch(
            "counter",
            "trunkline_issuer_fetches_total",
            "Times the keys of an issuer of tokens were asked for.",
            lambda: {(home.issuer.asked.name, result): n for home in self._all() for result, n in home.fetches.items()},
            labels=("issuer", "result"),
        )

    def _all(self) -> list[_Home]:
        return list(self._homes.values())

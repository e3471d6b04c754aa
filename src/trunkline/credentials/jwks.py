"""The public keys of an issuer of tokens: read strictly, fetched beside all requests, kept while its issuer is down, and
replaced when it rotates them (RFC 7517, OpenID Connect Discovery 1.0).

Where they are fetched over is the business of who hands in `fetch`; what a token must say belongs in `policy.tokens`.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec

MOST = 256 * 1024
"""Bytes of a set of keys, or of a discovery document."""
MAX_KEYS = 100
SOON = 10.0
"""Seconds that lie at least between two fetches that unknown keys asked for."""
HELD = 86_400.0
"""Seconds for which the last good keys stay in force while their issuer cannot be asked."""
_LONGEST = 10.0
"""Seconds for one fetch, discovery included."""
_BACKOFF = 1.0
"""Seconds after a failure until the next try, doubled with each, up to the usual time between two."""
_DISCOVERY = ".well-known/openid-configuration"
_RSA_BITS = range(2048, 8193)
"""Shorter ones can be broken (RFC 7518 section 3.3); longer ones make each verification dear."""
_KINDS = {
    "RSA": frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}),
    "EC P-256": frozenset({"ES256"}),
    "EC P-384": frozenset({"ES384"}),
    "EC P-521": frozenset({"ES512"}),
    "OKP Ed25519": frozenset({"EdDSA"}),
}
"""What a kind of key, on its curve, can be used for."""
ALGORITHMS = frozenset().union(*_KINDS.values())
"""All asymmetric: a public key can never be taken for a shared secret."""


class BadKeys(Exception):  # noqa: N818 - a name that reads well where it is caught
    """There are no keys. `str` says why, in words that follow a colon."""


class Where(msgspec.Struct, frozen=True):
    """Where an issuer's keys are."""

    issuer: str
    url: str | None = None
    file: str | None = None
    """Neither of both: OpenID Connect discovery tells the URL."""
    refresh: float = 600.0
    """Seconds between two fetches."""


Fetch = Callable[[str], Awaitable[bytes]]
"""What is at a URL. Raises `BadKeys`."""
Report = Callable[[str | None], None]
"""Told of each fetch what went wrong with it; None where nothing did."""


class Key(msgspec.Struct, frozen=True, eq=False):
    """One public key."""

    mark: bytes
    """Of what it is made of: two with the same are the same key."""
    key: Any
    """As `cryptography` has it."""


class KeySet:
    """All keys of an issuer at one time, by what they can verify."""

    def __init__(self, keys: dict[tuple[str, str], Key], kids: frozenset[str], digest: bytes) -> None:
        """`keys`: by (kid, algorithm); `kids`: also of those that are of no use here."""
        self._keys = keys
        self.kids = kids
        self.digest = digest

    def __len__(self) -> int:
        """How many keys there are."""
        return len({key.mark for key in self._keys.values()})

    def find(self, kid: str | None, algorithm: str) -> Key | None:
        """The key that a token names; without a name the only one for its algorithm."""
        if kid is not None:
            return self._keys.get((kid, algorithm))
        fit = {key.mark: key for (_, used), key in self._keys.items() if used == algorithm}
        return next(iter(fit.values())) if len(fit) == 1 else None


def read_keys(data: bytes) -> KeySet:
    """A JWK set. Keys that cannot verify are left out. Raises `BadKeys` where nothing is left, or it is no such set."""
    told = _mapping(data, "it is no set of keys")
    written = told.get("keys")
    if not isinstance(written, list) or len(written) > MAX_KEYS:
        raise BadKeys(f"it is no set of at most {MAX_KEYS} keys")
    keys: dict[tuple[str, str], Key] = {}
    kids = set()
    for one in written:
        if not isinstance(one, dict):
            continue
        kid = one.get("kid", "")
        if not isinstance(kid, str):
            continue
        kids.add(kid)
        algorithms = _algorithms(one)
        if algorithms and (key := _key(one, algorithms)) is not None:
            for algorithm in algorithms:
                keys.setdefault((kid, algorithm), key)
    if not keys:
        raise BadKeys("no key in it can verify a token")
    return KeySet(keys, frozenset(kids), hashlib.sha256(data).digest())


def _algorithms(jwk: dict[str, Any]) -> frozenset[str]:
    """Those that a key may be used with: it is bound to its kind, and to what it says itself (RFC 7517 section 4)."""
    kind = str(jwk.get("kty"))
    fit = _KINDS.get(kind if kind == "RSA" else f"{kind} {jwk.get('crv')}", frozenset())
    said, operations = jwk.get("alg", ""), jwk.get("key_ops", ["verify"])
    if jwk.get("use", "sig") != "sig" or not isinstance(operations, list) or "verify" not in operations:
        return frozenset()
    return fit if said == "" else fit & {str(said)}


def _key(jwk: dict[str, Any], algorithms: frozenset[str]) -> Key | None:
    from jwt import PyJWK, PyJWTError  # noqa: PLC0415 - only where tokens are used

    public = {name: value for name, value in jwk.items() if name in {"kty", "crv", "x", "y", "n", "e"}}
    try:
        made = PyJWK(public, min(algorithms)).key
    except (PyJWTError, ValueError, TypeError, AttributeError):
        return None
    if jwk["kty"] == "RSA" and made.key_size not in _RSA_BITS:
        return None
    return Key(hashlib.sha256(json.dumps(public, sort_keys=True).encode()).digest(), made)


def _mapping(data: bytes, otherwise: str) -> dict[str, Any]:
    try:
        told = json.loads(data)
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        raise BadKeys(otherwise)
    return told


class Keys:
    """The keys of one issuer, alive. Used from the loop's thread."""

    def __init__(
        self, where: Where, fetch: Fetch, report: Report, mono: Callable[[], float], dice: Callable[[], float]
    ) -> None:
        """`dice`: 0 to 1."""
        self.where = where
        self.current: KeySet | None = None
        """Those in force; None where there were never any, or none for too long."""
        self.failed = False
        """The last fetch brought nothing."""
        self._fetch = fetch
        self._report = report
        self._mono = mono
        self._dice = dice
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._good = self._doubted = float("-inf")
        self._failures = 0
        self._closed = False

    def begin(self) -> None:
        """Fetch them now, unless that goes on."""
        if self._task is None and not self._closed:
            if self._timer is not None:
                self._timer.cancel()
            self._task = self._loop.create_task(self._renew())

    def doubt(self) -> bool:
        """A token names a key that is not there. Whether it may come: they are being fetched, or could not be."""
        now = self._mono()
        if self._task is None and now - self._doubted >= SOON:
            self._doubted = now
            self.begin()
        return self._task is not None or self.failed

    def close(self) -> None:
        """Fetch no more."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()

    async def _renew(self) -> None:
        try:
            async with asyncio.timeout(_LONGEST):
                found = await self._get()
        except (BadKeys, TimeoutError) as error:
            self._ended(None, str(error) or "it took too long")
        except Exception as error:  # noqa: BLE001 - whatever it is, there are no new keys, and they are asked for again
            self._ended(None, f"the gateway failed on it ({type(error).__name__})")
        else:
            self._ended(found, None)

    def _ended(self, found: KeySet | None, why: str | None) -> None:
        self._task = None
        if self._closed:
            return
        now, refresh = self._mono(), self.where.refresh
        self.failed = found is None
        if found is not None:
            self._good, self._failures = now, 0
            if self.current is None or self.current.digest != found.digest:
                self.current = found
            after = refresh
        else:
            after = min(_BACKOFF * 2**self._failures, refresh)
            self._failures = min(self._failures + 1, 16)
            if now - self._good > HELD:
                self.current = None
        self._timer = self._loop.call_later(after * (0.9 + 0.2 * self._dice()), self.begin)
        self._report(why)

    async def _get(self) -> KeySet:
        where = self.where
        if where.file is not None:
            data = await self._loop.run_in_executor(None, _read, where.file)
        else:
            data = await self._fetch(where.url or await self._discovered())
        return await self._loop.run_in_executor(None, read_keys, data)

    async def _discovered(self) -> str:
        """The URL of the keys. Its document must speak of this issuer (OpenID Connect Discovery 1.0 section 4.3)."""
        data = await self._fetch(f"{self.where.issuer.removesuffix('/')}/{_DISCOVERY}")
        told = _mapping(data, "its discovery document is no JSON object")
        url = told.get("jwks_uri")
        if told.get("issuer") != self.where.issuer:
            raise BadKeys("its discovery document speaks of another issuer")
        if not isinstance(url, str):
            raise BadKeys("its discovery document names no jwks_uri")
        return url


def _read(file: str) -> bytes:
    try:
        with Path(file).open("rb") as opened:
            data = opened.read(MOST + 1)
    except OSError as error:
        raise BadKeys(f"the file cannot be read ({error.strerror})") from None
    if len(data) > MOST:
        raise BadKeys("the file is too large")
    return data


def verify(algorithm: str, key: Key, message: bytes, signature: bytes) -> bool:
    """Whether the signature is the key's. `key` came from `find` for this very algorithm."""
    return bool(_algorithm(algorithm).verify(message, key.key, signature))


@functools.cache
def _algorithm(name: str) -> Any:
    from jwt.algorithms import get_default_algorithms  # noqa: PLC0415 - only where tokens are used

    return get_default_algorithms()[name]

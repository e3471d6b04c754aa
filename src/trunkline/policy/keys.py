"""Who is asking: client keys, looked up by digest, and what each may use.

Pure: a frozen table in memory. Where keys are stored belongs in `store`, where they are written in `config`.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from typing import Protocol

import msgspec

from trunkline.canon.errors import GatewayError, Kind
from trunkline.meters.rule import NO_RULES, Rules
from trunkline.policy.addresses import Networks
from trunkline.policy.overload import Priority
from trunkline.policy.tokens import Said

MAX_KEY_BYTES = 512
"""A longer credential is refused unread."""


class Principal(msgspec.Struct, frozen=True):
    """A key as known at request time."""

    name: str
    digest: bytes
    """SHA-256 of the key, 32 bytes. Keys are 256-bit random, so a plain digest cannot be guessed backwards."""
    models: frozenset[str] | None = None
    """Model names it may ask for; None means all. An entry `provider/*` allows every model of a provider."""

    aliases: Mapping[str, str] = {}
    """What names mean to this key: a model's name for each."""
    tags: frozenset[str] = frozenset()
    """What the rules of models may ask for."""
    priority: Priority = "normal"
    """Under load, who is turned away first."""
    rules: Rules = NO_RULES
    """The limits and budgets of the key and of all that it belongs to."""
    user: str = ""
    team: str = ""
    organisation: str = ""
    providers: frozenset[str] | None = None
    """Who may be asked for it; None means all."""
    endpoints: frozenset[str] | None = None
    """Doors it may use, by the names of the ledger (`chat.completions`); None means all."""
    expires_ns: int | None = None
    """Wall clock, nanoseconds since the epoch; from then on it is as if revoked."""

    label: str = ""
    """Its tags in one word, as the ledger keeps them."""
    also: tuple[frozenset[str], ...] = ()
    """Model names that those allow whom it belongs to, as `models`: all must allow one. Empty where `models` is None."""
    addresses: Networks | None = None
    """From where it may be used; None means anywhere."""
    token: bytes = b""
    """SHA-256 of the token that speaks for it, where it has no key; `digest` is then the same for all tokens of one user."""

    def meant(self, model: str) -> str:
        """What this key means by a model's name."""
        return self.aliases.get(model, model)

    def may_use(self, model: str, entry: str = "") -> bool:
        """Whether this key may ask for `model`, one of the names of what is configured as `entry`: either may be allowed."""
        allowed = self.models
        if allowed is None:
            return True
        return _among(allowed, model, entry) and (not self.also or all(_among(one, model, entry) for one in self.also))

    def may_ask(self, provider: str) -> bool:
        """Whether its requests may go to a provider."""
        return self.providers is None or provider in self.providers

    def expired(self, now_ns: int) -> bool:
        """Whether its time is over. `now_ns`: wall clock."""
        return self.expires_ns is not None and now_ns >= self.expires_ns


def _among(allowed: frozenset[str], model: str, entry: str) -> bool:
    if model in allowed or entry in allowed:
        return True
    provider, slash, _ = model.partition("/")
    return bool(slash) and f"{provider}/*" in allowed


class Guests(Protocol):
    """Whom good tokens let in, beside those who have keys."""

    def let_in(self, issuer: str, said: Said, token: bytes) -> Principal:
        """The principal of a token with this digest, of an issuer by its name here. Raises `GatewayError` (403)."""
        ...


class KeyRing:
    """All keys that are valid now. Swapped whole when one is created or revoked."""

    def __init__(self, principals: Iterable[Principal], guests: Guests | None = None) -> None:
        """Of two with one key the later counts."""
        self._by_digest = {p.digest: p for p in principals}
        self.guests = guests
        """None where no tokens are taken."""

    def find(self, key: bytes) -> Principal | None:
        """The principal of `key` (raw bytes as sent), or None. Costs one digest; never a database look-up."""
        if not key or len(key) > MAX_KEY_BYTES:
            return None
        digest = hashlib.sha256(key).digest()
        principal = self._by_digest.get(digest)
        if principal is None or not hmac.compare_digest(principal.digest, digest):
            return None
        return principal

    def holds(self, principal: Principal, now_ns: int) -> bool:
        """Whether the key is still valid: a request's body may arrive long after its head was let in."""
        return principal.digest in self._by_digest and not principal.expired(now_ns)


def invalid() -> GatewayError:
    """The 401 for a key that is not, or no longer, valid. Constant: it says nothing of the key."""
    return GatewayError(Kind.UNAUTHENTICATED, "The API key is not valid.", code="invalid_api_key")


def not_allowed(model: str) -> GatewayError:
    """The 403 for a model that the caller's key may not use. Names the model, never the key."""
    return GatewayError(
        Kind.FORBIDDEN,
        f"This key may not use the model {model[:200]!r}. GET /v1/models lists what it may use.",
        code="model_not_allowed",
        param="model",
    )


def not_from_here() -> GatewayError:
    """The 403 for a key that may not be used from the client's address."""
    return GatewayError(Kind.FORBIDDEN, "This key may not be used from this address.", code="address_not_allowed")


def not_this_way(endpoint: str) -> GatewayError:
    """The 403 for an endpoint that the caller's key may not use."""
    return GatewayError(Kind.FORBIDDEN, f"This key may not use the endpoint {endpoint!r}.", code="endpoint_not_allowed")


def not_to_them(model: str) -> GatewayError:
    """The 403 where a request could only go to providers that the caller's key may not use."""
    what = f"the model {model[:200]!r} comes from others" if model else "this request would go to others"
    return GatewayError(
        Kind.FORBIDDEN, f"This key may use only some providers, and {what}.", code="provider_not_allowed", param="model"
    )

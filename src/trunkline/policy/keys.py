"""Who is asking: client keys, looked up by digest, and what each may use.

Pure: a frozen table in memory. Where keys are stored belongs in `store`, where they are written in `config`.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping

import msgspec

from trunkline.canon.errors import GatewayError, Kind
from trunkline.policy.overload import Priority

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

    def meant(self, model: str) -> str:
        """What this key means by a model's name."""
        return self.aliases.get(model, model)

    def may_use(self, model: str, entry: str = "") -> bool:
        """Whether this key may ask for `model`, one of the names of what is configured as `entry`: either may be allowed."""
        allowed = self.models
        if allowed is None or model in allowed or entry in allowed:
            return True
        provider, slash, _ = model.partition("/")
        return bool(slash) and f"{provider}/*" in allowed


class KeyRing:
    """All keys that are valid now. Swapped whole when one is created or revoked."""

    def __init__(self, principals: Iterable[Principal]) -> None:
        """Of two with one key the later counts."""
        self._by_digest = {p.digest: p for p in principals}

    def find(self, key: bytes) -> Principal | None:
        """The principal of `key` (raw bytes as sent), or None. Costs one digest; never a database look-up."""
        if not key or len(key) > MAX_KEY_BYTES:
            return None
        digest = hashlib.sha256(key).digest()
        principal = self._by_digest.get(digest)
        if principal is None or not hmac.compare_digest(principal.digest, digest):
            return None
        return principal

    def holds(self, principal: Principal) -> bool:
        """Whether the key is still valid: a request's body may arrive long after its head was let in."""
        return principal.digest in self._by_digest


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

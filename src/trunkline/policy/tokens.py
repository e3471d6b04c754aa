"""What a bearer token (a JWT, RFC 7519) must be and must say to count, and whom it is for. Signatures are checked elsewhere.

Pure: bytes and a clock come in, claims and names come out. Whatever is wrong with a token, its sender is told the same; the
reasons are for the operator. Much is refused that a lenient reader would take, because whoever reads leniently can be told
two things by one token.
"""

from __future__ import annotations

import binascii
import json
import re
from base64 import urlsafe_b64decode
from collections.abc import Iterable, Mapping
from typing import Any, Literal, NoReturn

import msgspec

from trunkline.canon.errors import GatewayError, Kind

MAX_TOKEN_BYTES = 8192
"""A longer one is refused unread."""
MAX_NAME = 255
"""Characters of a user's name: the most that a `sub` has (OpenID Connect Core 1.0 section 2)."""
MAX_TAGS = 32
_MOST_SECONDS = 1 << 40
"""Times beyond it are no dates."""
_TYPES = frozenset({"jwt", "at+jwt", "application/jwt", "application/at+jwt"})
"""RFC 7519 section 5.1, RFC 9068 section 2.1. Others, such as `logout+jwt`, were signed for something else."""
_PARTS = re.compile(rb"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")
_TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

Reason = Literal[
    "malformed", "header", "issuer", "audience", "expired", "too_early", "too_old", "subject", "requirement", "key", "signature"
]
"""Why a token does not count, for metrics."""


class Bad(Exception):  # noqa: N818 - a name that reads well where it is caught
    """The token does not count. Never shown to its sender."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


class Token(msgspec.Struct, frozen=True):
    """A token taken apart; nothing of it is believed yet."""

    algorithm: str
    kid: str | None
    claims: dict[str, Any]
    signed: bytes
    """What the signature is over."""
    signature: bytes


class Names(msgspec.Struct, frozen=True):
    """Where a token says what: claims, or dotted paths into them. None: it does not, and need not."""

    user: str = "sub"
    team: str | None = None
    organisation: str | None = None
    tags: str | None = None
    models: str | None = None


class Issuer(msgspec.Struct, frozen=True):
    """What is asked of the tokens of one issuer."""

    name: str
    """As accounts and logs call it."""
    issuer: str
    audience: frozenset[str]
    algorithms: frozenset[str]
    leeway: float = 30.0
    """Seconds by which clocks may differ."""
    max_age: float | None = None
    """Seconds since it was issued."""
    prefix: str = ""
    """Stands before the names of its users here, so that they are nobody else's."""
    claims: Names = Names()
    require: tuple[tuple[str, str], ...] = ()
    """Claims, or dotted paths, and what must stand there or, where it is a list, in it: also true, false and whole numbers."""


class Said(msgspec.Struct, frozen=True):
    """Whom a token is for, as it says itself."""

    user: str
    teams: tuple[str, ...] | None
    """One, or those of which the first that is known counts; None where tokens need not say."""
    organisations: tuple[str, ...] | None
    tags: frozenset[str]
    models: frozenset[str] | None
    until: float
    """Seconds since the epoch; from then on it does not count."""


def looks_like_token(key: bytes) -> bool:
    """Whether a credential may be one: JSON that begins with a brace, in base64. Keys of ours never do."""
    return key.startswith(b"ey") and len(key) <= MAX_TOKEN_BYTES


def take_apart(token: bytes) -> Token:
    """Header, claims and signature (RFC 7515 section 7.1). Raises `Bad`."""
    parts = _PARTS.fullmatch(token) if len(token) <= MAX_TOKEN_BYTES else None
    if parts is None:
        raise Bad("malformed")
    header, claims, signature = (_decoded(part) for part in parts.groups())
    told = _json(header)
    kind, algorithm, kid = told.get("typ", "jwt"), told.get("alg"), told.get("kid")
    # `crit` and `b64` would change what the rest means; `jku`, `x5u` and `jwk`, which say where to find a key, are never read
    if not isinstance(kind, str) or kind.lower() not in _TYPES or "crit" in told or "b64" in told:
        raise Bad("header")
    if not isinstance(algorithm, str) or not (kid is None or (isinstance(kid, str) and kid)):
        raise Bad("header")
    return Token(algorithm, kid, _json(claims), token[: parts.end(2)], signature)


def issuer_of(token: Token) -> str:
    """Who says to have made it. Raises `Bad`."""
    issuer = token.claims.get("iss")
    if not isinstance(issuer, str):
        raise Bad("issuer")
    return issuer


def read(issuer: Issuer, token: Token, now: float) -> Said:
    """Whom it is for, if its claims are in order at `now` (seconds since the epoch). Raises `Bad`."""
    claims = token.claims
    if token.algorithm not in issuer.algorithms:
        raise Bad("header")
    audience = claims.get("aud")
    if issuer.audience.isdisjoint(_texts(audience, "audience")):
        raise Bad("audience")
    until = _timely(issuer, claims, now)
    for path, wanted in issuer.require:
        found = look_up(claims, path)
        if wanted not in map(_plain, found if isinstance(found, list) else (found,)):
            raise Bad("requirement")
    return _said(issuer, claims, until)


def look_up(claims: Mapping[str, Any], path: str) -> object:
    """A claim by its name, which may hold dots (`https://example.com/team`), else by a dotted path. None: there is none."""
    if path in claims:
        return claims[path]
    found: object = claims
    for part in path.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found


def _timely(issuer: Issuer, claims: Mapping[str, Any], now: float) -> float:
    """Until when it counts (RFC 7519 sections 4.1.4 to 4.1.6)."""
    expires, begins, issued = (_moment(claims, name) for name in ("exp", "nbf", "iat"))
    if expires is None or expires + issuer.leeway <= now:
        raise Bad("expired")
    if (begins is not None and begins > now + issuer.leeway) or (issued is not None and issued > now + issuer.leeway):
        raise Bad("too_early")
    until = expires + issuer.leeway
    if issuer.max_age is not None:
        if issued is None or issued + issuer.max_age + issuer.leeway <= now:
            raise Bad("too_old")
        until = min(until, issued + issuer.max_age + issuer.leeway)
    return until


def _moment(claims: Mapping[str, Any], name: str) -> float | None:
    found = claims.get(name)
    if found is None and name not in claims:
        return None
    if isinstance(found, bool) or not isinstance(found, int | float) or not 0 <= found <= _MOST_SECONDS:
        raise Bad("malformed")
    return float(found)


def _said(issuer: Issuer, claims: Mapping[str, Any], until: float) -> Said:
    names = issuer.claims
    user = look_up(claims, names.user)
    if not isinstance(user, str) or not 0 < len(user) <= MAX_NAME or not user.isprintable() or user != user.strip():
        raise Bad("subject")

    def texts(path: str | None) -> tuple[str, ...] | None:
        return None if path is None else _texts(look_up(claims, path), "subject")

    tags, models = texts(names.tags), texts(names.models)
    return Said(
        user=issuer.prefix + user,
        teams=texts(names.team),
        organisations=texts(names.organisation),
        tags=frozenset([tag for tag in _words(tags or ()) if _TAG.fullmatch(tag)][:MAX_TAGS]),
        models=None if models is None else frozenset(_words(models)),
        until=until,
    )


def _texts(value: object, reason: Reason) -> tuple[str, ...]:
    """A text or a list of them. Raises `Bad` for anything else; what is not there is an empty list."""
    found = [] if value is None else value if isinstance(value, list) else [value]
    if not all(isinstance(one, str) for one in found):
        raise Bad(reason)
    return tuple(found)


def _words(texts: Iterable[str]) -> list[str]:
    """A text of several words means each of them, as `scope` does (RFC 6749 section 3.3)."""
    return [word for text in texts for word in text.split()]


def _plain(value: object) -> str | None:
    """A value as a configuration writes it; some issuers write true as a text, too."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | str) else None


def _decoded(part: bytes) -> bytes:
    """Base64url without padding (RFC 7515 section 2), in the one way in which it can be written."""
    try:
        found = urlsafe_b64decode(part + b"=" * (-len(part) % 4))
    except binascii.Error:
        raise Bad("malformed") from None
    if part[-1] not in _LAST[len(part) % 4]:
        raise Bad("malformed")
    return found


_LETTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_LAST = {0: _LETTERS, 2: _LETTERS[::16], 3: _LETTERS[::4], 1: b""}
"""What the last letter may be, by how many there are: those whose unused bits are zero."""


def _json(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data.decode("utf-8"), object_pairs_hook=_once, parse_constant=_constant)
    except (ValueError, RecursionError):
        raise Bad("malformed") from None
    if not isinstance(found, dict):
        raise Bad("malformed")
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object, none of whose names stands twice (RFC 7519 section 4: reject, or be told two things)."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found


def _constant(_: str) -> NoReturn:
    raise ValueError("no JSON")


def unknown(what: str) -> GatewayError:
    """The 403 for a good token whose holder belongs to nobody here. Names the kind of group, never the token's own words."""
    return GatewayError(
        Kind.FORBIDDEN,
        f"Your token names no {what} that is known here. Ask the operators of this gateway to add it, or to map it.",
        code=f"unknown_{what}",
    )


def mismatched() -> GatewayError:
    """The 403 for a good token that names a user, team and organisation of which one does not belong to the next."""
    return GatewayError(
        Kind.FORBIDDEN,
        "Your token's user, team and organisation do not belong together here. Ask the operators of this gateway to mend it.",
        code="mismatched_holders",
    )


def no_keys() -> GatewayError:
    """The 503 while tokens cannot be told from forged ones."""
    return GatewayError(
        Kind.UPSTREAM_UNREACHABLE,
        "The key of your token's issuer is not known here yet, so the token cannot be checked. Try again shortly.",
        status=503,
        retry_after=1.0,
        code="token_keys_unavailable",
    )

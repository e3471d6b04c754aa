"""An issuer of tokens: real keys, a real server that publishes them, and tokens that are good or wrong in one way.

Its keys are served over a scriptable `Upstream`, so that it can be slow, down or odd. What must become of its tokens is for
the tests to say.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from harness.script import Plan, Seen, whole
from harness.upstream import Upstream

AUDIENCE = "trunkline"
_MAKE = {
    "RSA": lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048),
    "P-256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "P-384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "P-521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "Ed25519": ed25519.Ed25519PrivateKey.generate,
}
USUAL = {"RSA": "RS256", "P-256": "ES256", "P-384": "ES384", "P-521": "ES512", "Ed25519": "EdDSA"}
"""The algorithm that goes with each kind of key."""


def private_key(kind: str = "RSA") -> Any:
    """A fresh private key of `RSA`, `P-256`, `P-384`, `P-521` or `Ed25519`."""
    return _MAKE[kind]()


def public_jwk(key: Any, kid: str | None, **more: Any) -> dict[str, Any]:
    """The public half as a JWK."""
    public = key.public_key()
    algorithm = next(one for one in (RSAAlgorithm, ECAlgorithm, OKPAlgorithm) if isinstance(key, _KINDS[one]))
    named = {} if kid is None else {"kid": kid}
    return {**json.loads(algorithm.to_jwk(public)), "use": "sig", **named, **more}


_KINDS: dict[Any, Any] = {
    RSAAlgorithm: rsa.RSAPrivateKey,
    ECAlgorithm: ec.EllipticCurvePrivateKey,
    OKPAlgorithm: ed25519.Ed25519PrivateKey,
}


def public_pem(key: Any) -> bytes:
    """The public half as PEM."""
    found: bytes = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return found


def part(value: object) -> str:
    """One part of a token: JSON (or bytes, as they stand) in base64url."""
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed_by_hand(header: object, claims: object, key: Any, algorithm: str = "RS256") -> str:
    """A token whose header and claims are what they are given as, also where no library would write them so."""
    message = f"{part(header)}.{part(claims)}"
    signature = jwt.get_algorithm_by_name(algorithm).sign(message.encode(), key)
    return f"{message}.{part(signature)}"


class Issuer:
    """An issuer that runs. It publishes `jwks` (a list that a test may change) and an OpenID discovery document."""

    def __init__(self, kind: str = "RSA") -> None:
        self.server = Upstream()
        self.issuer = f"http://127.0.0.1:{self.server.port}/"
        self.jwks_url = f"{self.issuer}keys?v=1"
        self.kind = kind
        self.keys: dict[str, Any] = {}
        self.jwks: list[dict[str, Any]] = []
        self.add("first", kind)
        self.recover()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.server.stop()

    @property
    def fetches(self) -> int:
        """How often its keys were asked for."""
        return sum(1 for seen in list(self.server.requests) if seen.target.startswith("/keys"))

    def add(self, kid: str, kind: str | None = None) -> None:
        """One more key, published."""
        key = self.keys[kid] = private_key(kind or self.kind)
        self.jwks.append(public_jwk(key, kid))

    def remove(self, kid: str) -> None:
        """Publish a key no more; tokens can still be signed with it."""
        self.jwks[:] = [one for one in self.jwks if one.get("kid") != kid]

    def claims(self, **claims: Any) -> dict[str, Any]:
        """Those of a good token; None leaves one out."""
        now = int(time.time())
        good = {"iss": self.issuer, "aud": AUDIENCE, "sub": "ann", "iat": now, "exp": now + 600}
        return {name: value for name, value in {**good, **claims}.items() if value is not None}

    def token(self, kid: str = "first", *, header: Mapping[str, Any] | None = None, **claims: Any) -> str:
        """A token, good unless its claims or its header say otherwise."""
        key = self.keys[kid]
        kind = next(kind for kind, made in _TYPES.items() if isinstance(key, made[0]) and made[1](key))
        return jwt.encode(self.claims(**claims), key, USUAL[kind], headers={"kid": kid, **(header or {})})

    def settings(self, **more: Any) -> dict[str, Any]:
        """The section of a configuration."""
        algorithms = sorted(USUAL.values())
        return {"issuer": self.issuer, "audience": AUDIENCE, "jwks": self.jwks_url, "algorithms": algorithms, **more}

    def recover(self) -> None:
        """Answer as at the start, after a test had it do otherwise."""
        self.server.script(self._answer)

    def _answer(self, seen: Seen) -> Plan:
        found: Any = None
        if seen.target.startswith("/keys"):
            found = {"keys": self.jwks}
        elif seen.target == "/.well-known/openid-configuration":
            found = {"issuer": self.issuer, "jwks_uri": self.jwks_url}
        return [whole(200 if found else 404, json.dumps(found).encode())]


_TYPES: dict[str, Any] = {
    "RSA": (rsa.RSAPrivateKey, lambda _: True),
    "P-256": (ec.EllipticCurvePrivateKey, lambda key: key.key_size == 256),
    "P-384": (ec.EllipticCurvePrivateKey, lambda key: key.key_size == 384),
    "P-521": (ec.EllipticCurvePrivateKey, lambda key: key.key_size == 521),
    "Ed25519": (ed25519.Ed25519PrivateKey, lambda _: True),
}

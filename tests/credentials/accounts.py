"""Credential files and a token server as Google's: real keys, real HTTP on loopback, answers that a test decides."""

from __future__ import annotations

import base64
import functools
import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from harness.script import Plan, Seen, head

EMAIL = "gateway@lab-1.iam.gserviceaccount.com"
PROJECT = "lab-1"


@functools.cache
def key() -> rsa.RSAPrivateKey:
    """One key for all tests: making it takes a tenth of a second."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def pem() -> str:
    """The key as a service account's file holds it."""
    form = serialization.PrivateFormat.PKCS8
    return key().private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


def service_account(folder: Path, token_uri: Any, **changed: Any) -> Path:
    """A service account's file. `changed`: fields that are otherwise; None leaves one out."""
    told = {
        "type": "service_account",
        "project_id": PROJECT,
        "private_key_id": "k1",
        "private_key": pem(),
        "client_email": EMAIL,
        "token_uri": token_uri,
        **changed,
    }
    return written(folder / "account.json", {name: value for name, value in told.items() if value is not None})


def user(folder: Path, token_uri: str, **changed: Any) -> Path:
    """What `gcloud auth application-default login` leaves."""
    told = {
        "type": "authorized_user",
        "client_id": "c1",
        "client_secret": "cs-1",
        "refresh_token": "rt-1",
        "token_uri": token_uri,
        **changed,
    }
    return written(folder / "user.json", told)


def written(file: Path, told: Any) -> Path:
    """A JSON file."""
    file.write_text(json.dumps(told))
    return file


def answered(told: Any, status: int = 200) -> Plan:
    """A token server's answer."""
    body = json.dumps(told).encode()
    return iter([head(status, [("content-type", "application/json"), ("content-length", str(len(body)))]) + body])


def granted(token: str = "ya29.first-token-of-the-lab", expires_in: Any = 3600) -> Plan:
    """A token."""
    return answered({"access_token": token, "expires_in": expires_in, "token_type": "Bearer"})


def form(seen: Seen) -> dict[str, str]:
    """The fields of a token request."""
    return {name: values[0] for name, values in parse_qs(seen.body.decode()).items()}


def claims(assertion: str) -> dict[str, Any]:
    """What a JWT says, after its signature was checked with the public key. Raises `InvalidSignature`."""
    signed, _, signature = assertion.rpartition(".")
    key().public_key().verify(_raw(signature), signed.encode(), padding.PKCS1v15(), hashes.SHA256())
    return dict(json.loads(_raw(signed.partition(".")[2])))


def _raw(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))

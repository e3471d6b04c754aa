"""Google's access tokens, for Vertex AI: from a service account's file, a user's, or the machine's own account.

What google-auth does well (signing, the grants, the metadata server) is left to it; it is imported where it is first needed,
since most starts need none of it. When a token is renewed, and who waits for it, is in `renewed`.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.wire import Proxy
from trunkline.credentials.credential import Spec
from trunkline.credentials.renewed import Renewed, Token

TOKEN_URI = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address
_SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
_METADATA = frozenset({"metadata.google.internal", "metadata", "169.254.169.254"})
_MOST = 64 * 1024
"""Bytes of a file, or of a token server's answer."""
_CONNECT, _READ = 5.0, 8.0
"""Seconds for a connection, and for each wait on the answer."""
_UNTOLD_LIFE = 300.0
"""Seconds a token is used whose server does not tell when it expires."""
_FIELDS = {
    "service_account": ("client_email", "private_key", "token_uri"),
    "authorized_user": ("client_id", "client_secret", "refresh_token"),
}
"""Kinds of credential files, and what each must hold."""
_PROJECT = re.compile(r"[0-9a-z.:-]{1,128}")
_LONG_WORD = re.compile(r"\S{40,}")
"""What may be a token or a key that a server says back."""


class GoogleSpec(Spec, frozen=True):
    """Where a token comes from, and the way there."""

    file: str | None
    """JSON of a service account or a user; None: the metadata server of the machine."""
    proxy: Proxy | None = None
    authorities: str | None = None
    """PEM file of whom to trust instead of the system's. Certificates are always checked."""


def open_google(spec: Spec) -> Renewed:
    """The live credential. Call it inside a running loop: it begins to fetch at once."""
    assert isinstance(spec, GoogleSpec)  # noqa: S101 - the table's key
    return Renewed(lambda: fetch(spec))


def read_file(file: str) -> dict[str, Any]:
    """A credentials file, checked. Raises `ValueError` whose words say what is wrong and hold nothing of it."""
    try:
        with Path(file).open("rb") as opened:
            data = opened.read(_MOST + 1)
    except OSError as error:
        raise ValueError(f"it cannot be read: {error.strerror}") from None
    try:
        told = json.loads(data) if len(data) <= _MOST else None
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        raise ValueError("it is no JSON object")  # noqa: TRY004 - one error for every fault of the file
    needed = _FIELDS.get(str(told.get("type")))
    if needed is None:
        raise ValueError(f"its type must be {' or '.join(_FIELDS)}")
    missing = [name for name in needed if not (isinstance(told.get(name), str) and told[name])]
    if missing:
        raise ValueError(f"it has no {missing[0]}")
    uri = told.setdefault("token_uri", TOKEN_URI)
    if not isinstance(uri, str) or not _may_call(uri):
        raise ValueError("its token_uri must be https, or http on this machine")
    return told


def fetch(spec: GoogleSpec) -> Token:
    """A token, now. Blocks. Raises `GatewayError` that says what to mend."""
    from google.auth import exceptions  # noqa: PLC0415 - a quarter of a second that most starts do without

    credentials, head = _machine() if spec.file is None else _from_file(spec.file)
    try:
        credentials.refresh(_Http(spec))
    except (exceptions.GoogleAuthError, KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise _refused(spec, error) from None
    if not isinstance(credentials.token, str):
        raise GatewayError(Kind.UPSTREAM_PROTOCOL, "The token server's answer is no token.")
    life = _UNTOLD_LIFE if credentials.expiry is None else (credentials.expiry - _now()).total_seconds()
    return Token(credentials.token, life, head)


def _now() -> dt.datetime:
    """As google-auth tells an expiry: in UTC, and naive."""
    return dt.datetime.now(dt.UTC).replace(tzinfo=None)


def _machine() -> tuple[Any, bytes]:
    from google.auth import compute_engine  # noqa: PLC0415

    return compute_engine.Credentials(scopes=_SCOPES), b""  # type: ignore[no-untyped-call]


def _from_file(file: str) -> tuple[Any, bytes]:
    """The credentials, read anew each time so that a file that was replaced counts; and the head lines that go with them."""
    from google.oauth2 import credentials, service_account  # noqa: PLC0415

    try:
        told = read_file(file)
    except ValueError as error:
        raise _broken(file, str(error)) from None
    if told["type"] == "service_account":
        try:
            made = service_account.Credentials.from_service_account_info(told, scopes=_SCOPES)  # type: ignore[no-untyped-call]
        except ValueError:  # whose words may hold a piece of the key
            raise _broken(file, "its private_key cannot be read") from None
        return made, b""
    asked = ("refresh_token", "token_uri", "client_id", "client_secret")
    user = credentials.Credentials(None, **{name: told[name] for name in asked})  # type: ignore[no-untyped-call]
    project = told.get("quota_project_id")
    if not isinstance(project, str) or _PROJECT.fullmatch(project) is None:
        return user, b""
    return user, b"x-goog-user-project: %b\r\n" % project.encode("ascii")


class _Answer(NamedTuple):
    """As google-auth reads answers."""

    status: int
    headers: Mapping[str, str]
    data: bytes


class _Http:
    """google-auth's way out, over urllib3. It raises for what another try within the second would not mend: google-auth
    would try again at once, and so would every request after it.
    """

    def __init__(self, spec: GoogleSpec) -> None:
        self._spec = spec

    def __call__(
        self, url: str, method: str = "GET", body: bytes | None = None, headers: Mapping[str, str] | None = None, **_: object
    ) -> _Answer:
        """One request. Raises `GatewayError`."""
        import urllib3  # noqa: PLC0415

        host = urlsplit(url).hostname or ""
        if not (_may_call(url) or host in _METADATA):
            raise GatewayError(Kind.UPSTREAM_REFUSED, "The token server's address must be https.", status=401)
        timeout = urllib3.Timeout(connect=_CONNECT, read=_READ)
        with self._pool(url) as pool:
            try:
                answer = pool.request(
                    method, url, body=body, headers=headers, timeout=timeout, retries=False, preload_content=False
                )
                data = answer.read(_MOST)
            except urllib3.exceptions.HTTPError as error:
                raise self._unreachable(host, error) from None
        if answer.status == 429 or answer.status >= 500:
            message = f"The token server {host} failed with status {answer.status}. Try again."
            raise GatewayError(Kind.UPSTREAM_FAILED, message, status=502)
        return _Answer(answer.status, answer.headers, data)

    def _pool(self, url: str) -> Any:
        import urllib3  # noqa: PLC0415

        proxy, authorities = self._spec.proxy, self._spec.authorities
        if proxy is None or url.startswith("http://"):
            return urllib3.PoolManager(ca_certs=authorities)
        lines = {"Proxy-Authorization": proxy.authorization.decode("ascii")} if proxy.authorization else {}
        host = f"[{proxy.host}]" if ":" in proxy.host else proxy.host
        return urllib3.ProxyManager(f"http://{host}:{proxy.port}", proxy_headers=lines, ca_certs=authorities)

    def _unreachable(self, host: str, error: Exception) -> GatewayError:
        from urllib3 import exceptions  # noqa: PLC0415

        if self._spec.file is None:
            return _no_credentials()
        if isinstance(error, exceptions.SSLError):
            return GatewayError(Kind.UPSTREAM_TLS, f"The certificate of the token server {host} is not trusted.")
        if isinstance(error, exceptions.TimeoutError) and not isinstance(error, exceptions.NewConnectionError):
            return GatewayError(Kind.UPSTREAM_TIMEOUT, f"The token server {host} did not answer in time. Try again.")
        message = f"The token server {host} cannot be reached. Operators: check the network, and the provider's proxy."
        return GatewayError(Kind.UPSTREAM_UNREACHABLE, message)


def _may_call(url: str) -> bool:
    """Over TLS, or on this machine."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(host)))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _refused(spec: GoogleSpec, error: Exception) -> GatewayError:
    """The token server's no, in its own words as far as they are fit to show."""
    if spec.file is None:
        return _no_credentials()
    told = next((part for part in error.args if isinstance(part, dict)), {})
    words = [told[name] for name in ("error", "error_description") if isinstance(told.get(name), str)]
    said = "".join(char if char.isprintable() else " " for char in ": ".join(words)[:300])
    why = _LONG_WORD.sub("***", said) or "its answer is no token"
    message = f"The token server refused the credentials file {Path(spec.file).name!r} ({why}). Operators: replace the file."
    return GatewayError(Kind.UPSTREAM_REFUSED, message, status=401, code="invalid_credentials")


def _broken(file: str, why: str) -> GatewayError:
    message = f"The credentials file {Path(file).name!r} cannot be used: {why}. Operators: replace the file."
    return GatewayError(Kind.UPSTREAM_REFUSED, message, status=401, code="invalid_credentials")


def _no_credentials() -> GatewayError:
    message = (
        "This machine has no account of Google's (no metadata server answered). Operators: give the provider a"
        " credentials_file, or set GOOGLE_APPLICATION_CREDENTIALS, or run: gcloud auth application-default login."
    )
    return GatewayError(Kind.UPSTREAM_REFUSED, message, status=401, code="no_credentials")

"""Google's tokens, by google-auth itself, from a token server on loopback."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.auth.compute_engine import _metadata

from credentials.accounts import EMAIL, answered, claims, form, granted, pem, service_account, user, written
from harness.certs import Authority
from harness.proxy import ConnectProxy
from harness.script import Close, Pause, head
from harness.upstream import Upstream
from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.wire import Deadlines, Origin, Proxy, WireRequest
from trunkline.credentials import google
from trunkline.credentials.credential import Spec
from trunkline.credentials.google import GoogleSpec, fetch, open_google, read_file

REQUEST = WireRequest(Origin("https", "h", 443), "/", b"", b"", Deadlines(), 1)
TOKEN = "ya29.first-token-of-the-lab"


@pytest.fixture
def server() -> Iterator[Upstream]:
    """A token server that says what the test queued."""
    with Upstream() as running:
        yield running


def at(server: Upstream) -> str:
    """Its address."""
    return f"http://{server.host}:{server.port}/token"


def refused(spec: GoogleSpec) -> GatewayError:
    """How a fetch fails."""
    with pytest.raises(GatewayError) as caught:
        fetch(spec)
    return caught.value


def test_a_service_account_signs_for_its_token(server: Upstream, tmp_path: Path) -> None:
    """Google would not know who asks."""
    server.then(granted())
    token = fetch(GoogleSpec(str(service_account(tmp_path, at(server)))))
    assert (token.value, token.head) == (TOKEN, b"")
    assert 3590 < token.life <= 3600
    assert len(server.requests) == 1
    told = form(server.requests[0])
    assert told["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
    said = claims(told["assertion"])
    assert (said["iss"], said["aud"], said["scope"]) == (
        EMAIL,
        google.TOKEN_URI,
        "https://www.googleapis.com/auth/cloud-platform",
    )
    assert abs(said["iat"] - time.time()) < 60


def test_a_user_hands_in_the_refresh_token(server: Upstream, tmp_path: Path) -> None:
    """`gcloud auth application-default login` would be of no use; a user's calls are paid by a project that is named."""
    server.then(granted(), granted())
    token = fetch(GoogleSpec(str(user(tmp_path, at(server)))))
    assert (token.value, token.head) == (TOKEN, b"")
    told = form(server.requests[0])
    assert (told["grant_type"], told["refresh_token"], told["client_id"]) == ("refresh_token", "rt-1", "c1")
    token = fetch(GoogleSpec(str(user(tmp_path, at(server), quota_project_id="lab-1"))))
    assert token.head == b"x-goog-user-project: lab-1\r\n"


@pytest.mark.parametrize("project", ["a\r\nx: y", 5, "", "A B"])
def test_a_project_that_is_none_is_not_sent(server: Upstream, tmp_path: Path, project: Any) -> None:
    """A file could smuggle a header."""
    server.then(granted())
    assert fetch(GoogleSpec(str(user(tmp_path, at(server), quota_project_id=project)))).head == b""


def test_a_machine_has_an_account_of_its_own(server: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    """On Google's own machines a key file would be asked for."""
    monkeypatch.setattr(_metadata, "_GCE_METADATA_HOST", f"{server.host}:{server.port}")
    about = json.dumps({"email": "m@x", "scopes": ["s"], "aliases": ["default"]}).encode()
    flavour = [("metadata-flavor", "Google"), ("content-type", "application/json")]
    server.script(
        lambda seen: (
            granted() if "/token" in seen.target else iter([head(200, [*flavour, ("content-length", str(len(about)))]) + about])
        )
    )
    assert fetch(GoogleSpec(None)).value == TOKEN
    assert all(seen.header("metadata-flavor") == "Google" for seen in server.requests)


@pytest.mark.parametrize(
    "answer", [answered({}, 404), answered({}, 500), iter([Close()]), answered("text"), answered({"access_token": 5})]
)
def test_a_machine_without_an_account_says_what_to_do(answer: Any, server: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    """Away from Google's machines nobody would know why nothing works."""
    monkeypatch.setattr(_metadata, "_GCE_METADATA_HOST", f"{server.host}:{server.port}")
    server.then(answer)
    error = refused(GoogleSpec(None))
    assert (error.kind, error.status) in {(Kind.UPSTREAM_REFUSED, 401), (Kind.UPSTREAM_FAILED, 502)}
    assert error.kind is Kind.UPSTREAM_FAILED or "credentials_file" in error.message
    assert len(server.requests) == 1


def test_a_metadata_server_elsewhere_is_not_called(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable could lead the token's way over any network in the clear."""
    monkeypatch.setattr(_metadata, "_GCE_METADATA_HOST", "metadata.example.com")
    assert "must be https" in refused(GoogleSpec(None)).message


def test_a_refused_file_is_named(server: Upstream, tmp_path: Path) -> None:
    """The operator must read which file and why, and whoever calls must not read the key or the path."""
    said = {"error": "invalid_grant", "error_description": "Invalid JWT Signature.\n" + "x" * 60}
    server.then(answered(said, 400))
    error = refused(GoogleSpec(str(service_account(tmp_path, at(server)))))
    assert (error.kind, error.status, error.code, error.retryable) == (
        Kind.UPSTREAM_REFUSED,
        401,
        "invalid_credentials",
        False,
    )
    assert error.message == (
        "The token server refused the credentials file 'account.json' (invalid_grant: Invalid JWT Signature. ***)."
        " Operators: replace the file."
    )
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "answer",
    [
        answered("no object"),
        answered({}),
        answered({"access_token": None, "expires_in": 5}),
        answered({"access_token": "t", "expires_in": "soon"}),
        answered({"access_token": "t", "expires_in": 10**30}),
        answered({}, 302),
        iter([b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n\xff\xfe\xfd"]),
        iter([b"HTTP/1.1 200 OK\r\ncontent-length: 90000\r\n\r\n" + b"[" * 90000]),
    ],
)
def test_an_answer_that_is_none_is_a_failure(answer: Any, server: Upstream, tmp_path: Path) -> None:
    """A page of a captive portal would be sent as a token."""
    server.then(answer)
    error = refused(GoogleSpec(str(service_account(tmp_path, at(server)))))
    assert error.status in {401, 502}
    assert "private" not in error.message


@pytest.mark.parametrize("expires_in", [None, "3600"])
def test_a_life_that_is_not_told_or_told_as_text(server: Upstream, tmp_path: Path, expires_in: str | None) -> None:
    """A server that follows the RFC less closely would be of no use."""
    server.then(granted(expires_in=expires_in))
    assert 299 < fetch(GoogleSpec(str(service_account(tmp_path, at(server))))).life <= 3600


@pytest.mark.parametrize(
    ("status", "kind"), [(500, Kind.UPSTREAM_FAILED), (503, Kind.UPSTREAM_FAILED), (429, Kind.UPSTREAM_FAILED)]
)
def test_a_server_that_fails_is_asked_once(status: int, kind: Kind, server: Upstream, tmp_path: Path) -> None:
    """google-auth would ask three times within seconds, for every one of us."""
    server.then(answered({"error": "internal_failure"}, status))
    error = refused(GoogleSpec(str(service_account(tmp_path, at(server)))))
    assert (error.kind, error.status, error.retryable) == (kind, 502, True)
    assert len(server.requests) == 1


def test_a_dead_server(tmp_path: Path) -> None:
    """Nobody would know that it is the token server, not the model."""
    with Upstream() as server:
        address = at(server)
    error = refused(GoogleSpec(str(service_account(tmp_path, address))))
    assert error.kind is Kind.UPSTREAM_UNREACHABLE
    assert error.message.startswith("The token server 127.0.0.1 cannot be reached.")


def test_a_slow_server(server: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread would wait for ever."""
    monkeypatch.setattr(google, "_READ", 0.05)
    server.then(iter([Pause(5), *granted()]))
    assert refused(GoogleSpec(str(service_account(tmp_path, at(server))))).kind is Kind.UPSTREAM_TIMEOUT


def test_tls_by_an_authority_of_ones_own(tmp_path: Path) -> None:
    """Behind a firewall that opens TLS there would be no token; or any certificate would do."""
    authority = Authority(tmp_path)
    with Upstream(tls=authority.good()) as server:
        account = str(service_account(tmp_path, f"https://127.0.0.1:{server.port}/token"))
        server.then(granted())
        assert fetch(GoogleSpec(account, authorities=str(authority.ca_file))).value == TOKEN
        assert refused(GoogleSpec(account)).kind is Kind.UPSTREAM_TLS


def test_through_the_proxy(tmp_path: Path) -> None:
    """Where only a proxy leads out, there would be no token."""
    authority = Authority(tmp_path)
    with Upstream(tls=authority.good()) as server, ConnectProxy() as proxy:
        account = str(service_account(tmp_path, f"https://127.0.0.1:{server.port}/token"))
        server.then(granted())
        way = Proxy("127.0.0.1", proxy.port, b"Basic dTpw")
        assert fetch(GoogleSpec(account, way, str(authority.ca_file))).value == TOKEN
        assert b"CONNECT 127.0.0.1:" in proxy.asked[0]
        assert b"Basic dTpw" in proxy.asked[0]


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"type": "external_account"}, "its type must be service_account or authorized_user"),
        ({"type": None}, "its type must be service_account or authorized_user"),
        ({"client_email": None}, "it has no client_email"),
        ({"private_key": ""}, "it has no private_key"),
        ({"private_key": 5}, "it has no private_key"),
        (
            {"private_key": "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n"},
            "its private_key cannot be read",
        ),
        ({"token_uri": "http://tokens.example.com/"}, "its token_uri must be https, or http on this machine"),
        ({"token_uri": "file:///etc/passwd"}, "its token_uri must be https, or http on this machine"),
        ({"token_uri": "https://[oops/"}, "its token_uri must be https, or http on this machine"),
        ({"token_uri": "https:///token"}, "its token_uri must be https, or http on this machine"),
        ({"token_uri": 5}, "it has no token_uri"),
    ],
)
def test_a_file_that_is_wrong_is_named_and_not_shown(changed: dict[str, Any], why: str, tmp_path: Path) -> None:
    """An operator would search for hours; a key would stand in a log."""
    file = service_account(tmp_path, **{"token_uri": "https://127.0.0.1:1/", **changed})
    error = refused(GoogleSpec(str(file)))
    assert (error.kind, error.status, error.code) == (Kind.UPSTREAM_REFUSED, 401, "invalid_credentials")
    assert error.message == f"The credentials file 'account.json' cannot be used: {why}. Operators: replace the file."
    assert error.__cause__ is None


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (None, "it cannot be read: No such file or directory"),
        (b"{", "it is no JSON object"),
        (b"[]", "it is no JSON object"),
        (b"[" * 60_000, "it is no JSON object"),
        (b'"\xff"', "it is no JSON object"),
        (b" " * 70_000 + b"{}", "it is no JSON object"),
    ],
)
def test_what_is_no_file_of_that_kind(data: bytes | None, why: str, tmp_path: Path) -> None:
    """The check of a configuration would fall over it."""
    file = tmp_path / "x.json"
    if data is not None:
        file.write_bytes(data)
    with pytest.raises(ValueError, match=why):
        read_file(str(file))


def test_an_address_of_its_own_counts_and_googles_is_the_usual_one(tmp_path: Path) -> None:
    """A token would be asked for at Google's by who has a server of their own."""
    told = json.loads(user(tmp_path, "https://tokens.example.com/x").read_text())
    assert read_file(str(tmp_path / "user.json"))["token_uri"] == "https://tokens.example.com/x"
    del told["token_uri"]
    assert read_file(str(written(tmp_path / "user.json", told)))["token_uri"] == google.TOKEN_URI


@pytest.mark.parametrize("url", ["http://localhost/x", "http://[::1]:8/x", "http://127.0.0.2/", "https://a.b/"])
def test_who_may_be_called(url: str) -> None:
    """A token server on this machine could not be used."""
    assert google._may_call(url)


def test_a_file_that_was_replaced_counts(server: Upstream, tmp_path: Path) -> None:
    """A key that is rotated would need a restart."""
    spec = GoogleSpec(str(tmp_path / "account.json"))
    assert "cannot be read" in refused(spec).message
    service_account(tmp_path, at(server))
    server.then(granted())
    assert fetch(spec).value == TOKEN


def test_200_requests_make_one_call(server: Upstream, tmp_path: Path) -> None:
    """A burst at a start would be a burst at Google's token server."""
    server.then(granted())
    spec = GoogleSpec(str(service_account(tmp_path, at(server))))

    async def inside() -> None:
        credential = open_google(spec)
        lines = await asyncio.gather(*(credential.lines(REQUEST) for _ in range(200)))
        assert set(lines) == {f"Authorization: Bearer {TOKEN}\r\n".encode()}
        assert credential.secrets == (TOKEN.encode(),)
        credential.close()

    asyncio.run(inside())
    assert len(server.requests) == 1


def test_nothing_shows_a_secret(tmp_path: Path) -> None:
    """A debug log would hold the key of the account."""
    spec: Spec = GoogleSpec(str(service_account(tmp_path, "https://127.0.0.1:1/")))
    assert pem().splitlines()[1] not in repr(spec)
    error = refused(GoogleSpec(spec.file))  # type: ignore[attr-defined]
    assert str(tmp_path) not in error.message


def test_a_start_without_google_does_not_load_it() -> None:
    """Every start would be a quarter of a second longer."""
    code = (
        "import sys, trunkline.credentials.table, trunkline.config.load;"
        "sys.exit(any(name.split('.')[0] in {'google', 'urllib3', 'cryptography'} for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0

"""AWS's signature: the published vectors, what boto3 signs, and where keys come from."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from typing_extensions import override

from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.wire import Deadlines, Origin, WireRequest
from trunkline.credentials.aws import AwsCredential, AwsSpec, Keys, find, open_aws

NOW = datetime(2015, 8, 30, 12, 36, 0, tzinfo=UTC)
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
EXAMPLE = Keys("AKIDEXAMPLE", float("inf"), secret=SECRET)
SESSION = (
    "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7mSEI"
    "/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38"
    "xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA=="
)
VANILLA = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
UNRESERVED = "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
FORM = b"application/x-www-form-urlencoded"
#: aws-sig-v4-test-suite: name -> path, the signature of a GET
GETS = {
    "get-vanilla": ("/", VANILLA),
    "get-vanilla-query": ("/", VANILLA),
    "get-vanilla-query-order-key": (
        "/?Param1=value2&Param1=Value1",
        "eedbc4e291e521cf13422ffca22be7d2eb8146eecf653089df300a15b2382bd1",
    ),
    "get-vanilla-query-order-key-case": (
        "/?Param2=value2&Param1=value1",
        "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
    ),
    "get-vanilla-query-order-value": (
        "/?Param1=value2&Param1=value1",
        "5772eed61e12b33fae39ee5e7012498b51d56abc0abb7c60486157bd471c4694",
    ),
    "get-vanilla-query-unreserved": (
        f"/?{UNRESERVED}={UNRESERVED}",
        "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197",
    ),
    "get-vanilla-utf8-query": ("/?%E1%88%B4=bar", "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"),
    "get-utf8": ("/\u1234", "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"),
    "get-unreserved": (f"/{UNRESERVED}", "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"),
    "get-space": ("/example space/", "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741"),
    "get-slash": ("//", VANILLA),
    "get-slashes": ("//example//", "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84"),
    "get-slash-dot-slash": ("/./", VANILLA),
    "get-slash-pointless-dot": ("/./example", "ef75d96142cf21edca26f06005da7988e4f8dc83a165a80865db7089db637ec5"),
    "get-relative": ("/example/..", VANILLA),
    "get-relative-relative": ("/example1/example2/../..", VANILLA),
}
#: The same for headers: method, lines, signed names, signature
HEADERS = {
    "get-header-key-duplicate": (
        "GET",
        b"My-Header1:value2\r\nMy-Header1:value2\r\nMy-Header1:value1\r\n",
        "host;my-header1;x-amz-date",
        "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea",
    ),
    "get-header-value-order": (
        "GET",
        b"My-Header1:value4\r\nMy-Header1:value1\r\nMy-Header1:value3\r\nMy-Header1:value2\r\n",
        "host;my-header1;x-amz-date",
        "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01",
    ),
    "get-header-value-trim": (
        "GET",
        b'My-Header1: value1\r\nMy-Header2: "a   b   c"\r\n',
        "host;my-header1;my-header2;x-amz-date",
        "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
    ),
    "post-header-key-sort": (
        "POST",
        b"My-Header1:value1\r\n",
        "host;my-header1;x-amz-date",
        "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c",
    ),
    "post-header-value-case": (
        "POST",
        b"My-Header1:VALUE1\r\n",
        "host;my-header1;x-amz-date",
        "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d",
    ),
}
#: The same for bodies: path, content type, body, signature
POSTS = {
    "post-vanilla": ("/", b"", b"", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
    "post-vanilla-query": (
        "/?Param1=value1",
        b"",
        b"",
        "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11",
    ),
    "post-x-www-form-urlencoded": (
        "/",
        FORM,
        b"Param1=value1",
        "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
    ),
    "post-x-www-form-urlencoded-parameters": (
        "/",
        FORM + b"; charset=utf8",
        b"Param1=value1",
        "1a72ec8f64bd914b0e42e42607c7fbce7fb2c7465f63e3092b3b0d39fa77a6fe",
    ),
}


def asked(method: Any, path: str, lines: bytes = b"", body: Any = b"", content_type: bytes = b"") -> WireRequest:
    """A request for AWS's example host."""
    head = b"Host:example.amazonaws.com\r\n" + lines
    origin = Origin("https", "example.amazonaws.com", 443)
    return WireRequest(origin, path, head, body, Deadlines(), 1024, method=method, content_type=content_type)


def signed(request: WireRequest, keys: Keys = EXAMPLE, now: datetime = NOW, service: str = "service") -> dict[str, str]:
    """The header lines of a credential with these keys."""
    credential = AwsCredential(AwsSpec("us-east-1", keys, service=service), lambda: now)
    lines = asyncio.run(credential.lines(request))
    assert lines.endswith(b"\r\n")
    return dict(line.split(": ", 1) for line in lines.decode("ascii").splitlines())


def authorization(names: str, signature: str) -> str:
    """The header that AWS publishes for a vector."""
    scope = "AKIDEXAMPLE/20150830/us-east-1/service/aws4_request"
    return f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders={names}, Signature={signature}"


@pytest.mark.parametrize("name", GETS)
def test_published_paths_and_queries(name: str) -> None:
    """AWS would refuse every request whose path or query is not brought into its form before it is signed."""
    path, signature = GETS[name]
    told = signed(asked("GET", path))
    assert told == {"X-Amz-Date": "20150830T123600Z", "Authorization": authorization("host;x-amz-date", signature)}


@pytest.mark.parametrize("name", HEADERS)
def test_published_headers(name: str) -> None:
    """An operator's own headers are signed as AWS reads them: trimmed, in order, repeated ones together."""
    method, lines, names, signature = HEADERS[name]
    assert signed(asked(method, "/", lines))["Authorization"] == authorization(names, signature)


@pytest.mark.parametrize("name", POSTS)
def test_published_bodies(name: str) -> None:
    """The body's digest and its content type are part of what is signed."""
    path, content_type, body, signature = POSTS[name]
    names = "content-type;host;x-amz-date" if content_type else "host;x-amz-date"
    told = signed(asked("POST", path, body=body, content_type=content_type))
    assert told["Authorization"] == authorization(names, signature)


def test_a_session_token_is_sent_and_signed() -> None:
    """post-sts-header-before: keys that are lent for a time are nothing without their token."""
    told = signed(asked("POST", "/"), Keys("AKIDEXAMPLE", 9.0, secret=SECRET, session=SESSION))
    assert told["X-Amz-Security-Token"] == SESSION
    signature = "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead"
    assert told["Authorization"] == authorization("host;x-amz-date;x-amz-security-token", signature)


def test_what_a_proxy_may_change_is_not_signed() -> None:
    """A proxy that rewrites `connection` or `accept-encoding` would make every signature wrong."""
    lines = b"User-Agent: x\r\nAccept-Encoding: identity\r\nConnection: keep-alive\r\n"
    assert signed(asked("GET", "/", lines))["Authorization"] == authorization("host;x-amz-date", VANILLA)


class Flowing:
    """A body that is passed on while it arrives."""

    length = None

    async def pump(self, sink: Any) -> None:
        """Nothing comes."""

    def pause(self) -> None:
        """Never."""

    def resume(self) -> None:
        """Never."""


def test_a_body_that_is_not_there_yet_is_told_as_unsigned() -> None:
    """What is passed on while it arrives has no digest when its head is sent."""
    told = signed(asked("POST", "/", body=Flowing()))
    assert told["X-Amz-Content-SHA256"] == "UNSIGNED-PAYLOAD"
    assert "SignedHeaders=host;x-amz-content-sha256;x-amz-date," in told["Authorization"]


def test_no_secret_shows_itself() -> None:
    """A spec in a log or a trace must not give the keys away."""
    keys = Keys("AKIDEXAMPLE", 9.0, secret=SECRET, session=SESSION)
    spec = AwsSpec("us-east-1", keys)
    for told in (repr(keys), repr(spec), repr(AwsCredential(spec))):
        assert SECRET not in told
        assert SESSION not in told
        assert "AKIDEXAMPLE" not in told
    assert AwsCredential(spec).secrets == (SECRET.encode(), SESSION.encode())
    plain = AwsCredential(AwsSpec("us-east-1", EXAMPLE))
    assert plain.secrets == (SECRET.encode(),)
    plain.close()
    assert signed(asked("GET", "/"))  # there is nothing to give up: given keys hold for ever


# --- Beside boto3 ------------------------------------------------------------------------------------------------------


class Server:
    """A loopback server that keeps what it was asked, and answers what it is told."""

    def __init__(self, answer: bytes) -> None:
        self.seen: list[tuple[str, list[tuple[str, str]], bytes]] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                server.seen.append((self.path, list(self.headers.items()), body))
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            do_GET = do_POST = _answer  # noqa: N815 - the base class's names

            @override
            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def converse() -> Iterator[Server]:
    """Bedrock, as far as boto3 can tell."""
    message = {"role": "assistant", "content": [{"text": "Hi"}]}
    usage = {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2}
    told = {"output": {"message": message}, "stopReason": "end_turn", "usage": usage, "metrics": {"latencyMs": 1}}
    server = Server(json.dumps(told).encode())
    yield server
    server.close()


@pytest.mark.parametrize(
    "model",
    [
        "anthropic.claude-3-haiku-20240307-v1:0",
        "us.anthropic.claude-sonnet-5",
        "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-sonnet-4-20250514-v1:0",
    ],
)
@pytest.mark.parametrize("session", ["", SESSION])
def test_boto3_signs_the_same(converse: Server, model: str, session: str) -> None:
    """A colon in a model's name is signed as %253A: who gets that wrong is refused by Bedrock for every such model."""
    client = boto3.client(
        "bedrock-runtime",
        region_name="us-east-1",
        endpoint_url=f"http://127.0.0.1:{converse.port}",
        aws_access_key_id="AKIDEXAMPLE",
        aws_secret_access_key=SECRET,
        aws_session_token=session or None,
        config=Config(retries={"max_attempts": 0}, proxies={}),
    )
    client.converse(modelId=model, messages=[{"role": "user", "content": [{"text": "Hällo"}]}])
    ((path, headers, body),) = converse.seen
    theirs = {name.lower(): value for name, value in headers}
    left = {"authorization", "content-length", "content-type", "x-amz-date", "x-amz-security-token"}
    left |= {"amz-sdk-invocation-id", "amz-sdk-request"}  # which boto3 does not sign
    head = "".join(f"{name}: {value}\r\n" for name, value in headers if name.lower() not in left)
    origin = Origin("http", "127.0.0.1", converse.port)
    request = WireRequest(origin, path, head.encode(), body, Deadlines(), 1024, content_type=theirs["content-type"].encode())
    now = datetime.strptime(theirs["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    told = signed(request, Keys("AKIDEXAMPLE", 9.0, secret=SECRET, session=session), now, "bedrock")
    assert told["Authorization"] == theirs["authorization"]
    assert told.get("X-Amz-Security-Token") == theirs.get("x-amz-security-token")


# --- Where keys come from ----------------------------------------------------------------------------------------------


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine without AWS credentials; a folder for files that have some."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_ROLE_ARN"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_LOGIN_CACHE_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return tmp_path


def test_keys_of_the_environment(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What AWS's own tools read is enough; such keys tell no end, and are looked up again after an hour."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDENV")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "env-secret")
    assert find("") == Keys("AKIDENV", 3600.0, secret="env-secret", session="")


def test_keys_of_a_profile(bare: Path) -> None:
    """A profile is chosen by its name; one that is not there is said to be missing, without its file's content."""
    (bare / "credentials").write_text("[work]\naws_access_key_id = AKIDWORK\naws_secret_access_key = work-secret\n")
    assert find("work") == Keys("AKIDWORK", 3600.0, secret="work-secret", session="")
    with pytest.raises(GatewayError, match="ProfileNotFound") as caught:
        find("home")
    assert (caught.value.kind, caught.value.status) == (Kind.UPSTREAM_REFUSED, 401)


def test_no_keys_anywhere(bare: Path) -> None:
    """The operator is told where they may be put."""
    with pytest.raises(GatewayError, match=r"no AWS credentials \(none are named\).*access_key_id"):
        find("")


@pytest.fixture
def container(bare: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A container's credential service, whose keys end in six hours."""
    ends = (datetime.now(UTC) + timedelta(hours=6)).strftime("%Y-%m-%dT%H:%M:%SZ")
    lent = {"AccessKeyId": "AKIDLENT", "SecretAccessKey": "lent-secret", "Token": "lent-token", "Expiration": ends}
    server = Server(json.dumps(lent).encode())
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"http://127.0.0.1:{server.port}/keys")
    yield server
    server.close()


def test_keys_that_are_lent_tell_when_they_end(container: Server) -> None:
    """Else they would be used until AWS refuses them."""
    assert 6 * 3600 - 60 < find("").life <= 6 * 3600


def test_keys_are_looked_up_once_for_all(container: Server) -> None:
    """A burst of requests after the start must not be a burst on the metadata service."""

    async def burst() -> tuple[set[bytes], tuple[bytes, ...]]:
        credential = open_aws(AwsSpec("us-east-1"))
        assert credential.secrets == ()
        told = await asyncio.gather(*(credential.lines(asked("GET", "/")) for _ in range(20)))
        credential.close()
        return {line for lines in told for line in lines.splitlines() if b"Security" in line}, credential.secrets

    lines, secrets = asyncio.run(burst())
    assert lines == {b"X-Amz-Security-Token: lent-token"}
    assert secrets == (b"lent-secret", b"lent-token")
    assert len(container.seen) == 1


def test_who_has_no_keys_is_refused(bare: Path) -> None:
    """A request without a signature would only be a slower no."""

    async def once() -> None:
        credential = open_aws(AwsSpec("us-east-1"))
        with pytest.raises(GatewayError, match="no AWS credentials"):
            await credential.lines(asked("GET", "/"))
        credential.close()

    asyncio.run(once())


def test_a_start_without_bedrock_does_not_load_botocore() -> None:
    """Most starts do not sign; they should stay as quick as they are."""
    code = "import sys, trunkline.assemble; print([name for name in sys.modules if name.partition('.')[0] == 'botocore'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"

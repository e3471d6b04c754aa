"""Pictures by URL, behind the guard: a canary on loopback must never hear of it, and honest servers are read whole."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Any

import pytest
import trustme

from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.wire import TlsSettings
from trunkline.edge.client import Client
from trunkline.edge.fetch import Fetched, Fetcher, Limits
from trunkline.edge.fetch_guard import Address, is_public

PNG = b"\x89PNG\r\n\x1a\n" + b"pixels" * 100
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
LATE = 5.0


def answer(body: bytes = PNG, head: bytes = b"content-type: image/png\r\n", status: bytes = b"200 OK") -> bytes:
    """A whole answer."""
    return b"HTTP/1.1 %b\r\n%bcontent-length: %d\r\n\r\n%b" % (status, head, len(body), body)


def says(*answers: bytes, heard: list[bytes] | None = None) -> Callable[..., Any]:
    """A server whose n-th connection gets the n-th answer, the last for all that follow."""
    left = list(answers)

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await reader.readuntil(b"\r\n\r\n")
        if heard is not None:
            heard.append(asked)
        writer.write(left.pop(0) if len(left) > 1 else left[0])

    return script


class Names:
    """A resolver by table; a host with several answers gives them one after the other. Counts."""

    def __init__(self, **table: list[list[str]]) -> None:
        self.table = table
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> list[str]:  # noqa: ARG002 - the resolver's interface
        """The next answer."""
        self.asked.append(host)
        answers = self.table[host.partition(".")[0]]
        return answers.pop(0) if len(answers) > 1 else answers[0]


def anywhere(address: Address) -> bool:
    """A policy for tests that need a server: every address is public."""
    return True


class Only:
    """A policy that takes the first address it sees for public, and judges the others as always."""

    def __init__(self) -> None:
        self.seen = 0

    def __call__(self, address: Address) -> bool:
        """Whether it may be connected to."""
        self.seen += 1
        return self.seen == 1 or is_public(address)


def fetcher(rig: Any, *ports: int, **options: Any) -> Fetcher:
    """A fetcher that may go to these ports over plain HTTP."""
    bounds = {name: options.pop(name) for name in ("max_bytes", "seconds", "redirects") if name in options}
    bounds.setdefault("seconds", LATE)
    limits = Limits(ports=frozenset(ports) or frozenset({80}), allow_http=True, **bounds)
    return Fetcher(rig.client, limits, **options)


async def refused_by(fetch: Fetcher, url: str) -> GatewayError:
    """The error a fetch ends in: always the client's fault, and without a word on our network."""
    with pytest.raises(GatewayError) as refused:
        await fetch.fetch(url)
    error = refused.value
    assert (error.kind, error.status) == (Kind.BAD_REQUEST, 400)
    for secret in ("127.0", "::1", "10.0", "169.254", "localhost"):
        assert secret not in error.message
    return error


async def test_what_goes_out_and_what_comes_back(rig: Any) -> None:
    """A plain GET with nothing of ours in it: no credential, no cookie, no referer."""
    heard: list[bytes] = []
    origin = await rig.provider(says(answer(), heard=heard))
    names = Names(pictures=[["127.0.0.1"]])
    found = await fetcher(rig, origin.port, policy=anywhere, resolve=names).fetch(
        f"http://pictures.test:{origin.port}/a%20b?c=d#e"
    )
    assert found == Fetched("image/png", PNG)
    assert heard == [
        b"GET /a%%20b?c=d HTTP/1.1\r\nhost: pictures.test:%d\r\nuser-agent: trunkline\r\n"
        b"accept: image/png, image/jpeg, image/gif, image/webp, application/pdf\r\n"
        b"accept-encoding: identity\r\nconnection: close\r\n\r\n" % origin.port
    ]
    assert names.asked == ["pictures.test"]


CANARY_URLS = [
    "http://127.0.0.1:{}/",
    "http://127.1:{}/",
    "http://0x7f000001:{}/",
    "http://2130706433:{}/",
    "http://017700000001:{}/",
    "http://0:{}/",
    "http://0.0.0.0:{}/",
    "http://127.0.0.1.:{}/",
    "http://localhost:{}/",
    "http://localhost.:{}/",
    "http://LOCALHOST:{}/",
    "http://[::1]:{}/",
    "http://[::]:{}/",
    "http://[::ffff:127.0.0.1]:{}/",
    "http://[::ffff:7f00:1]:{}/",
    "http://[::127.0.0.1]:{}/",
    "http://[64:ff9b::127.0.0.1]:{}/",
    "http://[2002:7f00:1::]:{}/",
    "http://127\u30020\u30020\u30021:{}/",
    "http://\uff11\uff12\uff17.0.0.1:{}/",
    "http://\u2460\u2461\u2466.0.0.1:{}/",
    "http://user@127.0.0.1:{}/",
    "http://127.0.0.1:{}#@example.com/",
    "http://127.0.0.1:{}\\@example.com/",
    "http://example.com@127.0.0.1:{}/",
    "http:127.0.0.1:{}/",
    "//127.0.0.1:{}/",
    "https://127.0.0.1:{}/",
    "https://localhost:{}/",
    "file://127.0.0.1:{}/etc/passwd",
    "gopher://127.0.0.1:{}/_GET",
    "ftp://127.0.0.1:{}/",
    "data:image/png;base64,127001{}",
    " http://127.0.0.1:{}/",
    "http://127.0.0.1:{}/\r\n",
]


@pytest.mark.parametrize("url", CANARY_URLS)
async def test_no_spelling_of_this_machine_reaches_it(rig: Any, url: str) -> None:
    """docs/faults.md S3: the gateway must not be a way into its operator's network. The system's own resolver answers."""
    canary = await rig.provider(says(answer()))
    error = await refused_by(fetcher(rig, canary.port), url.format(canary.port))
    assert error.code == "url_refused"
    assert rig.accepted == 0


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["8.8.8.8", "127.0.0.1"],
        ["10.0.0.1", "8.8.8.8"],
        ["169.254.169.254"],
        ["::1"],
        ["fe80::1%eth0"],
        ["::ffff:127.0.0.1"],
        ["no address"],
        [],
        ["8.8.8.8"] * 40,
    ],
)
async def test_a_name_with_one_bad_address_is_refused(rig: Any, addresses: list[str]) -> None:
    """Every address counts: the system picks one, and the attacker hopes which. Told like a name that is unknown."""
    canary = await rig.provider(says(answer()))
    names = Names(rebind=[addresses])
    error = await refused_by(fetcher(rig, canary.port, resolve=names), f"http://rebind.test:{canary.port}/")
    assert "unknown or not on the public internet" in error.message
    assert rig.accepted == 0


async def test_a_name_nobody_knows(rig: Any) -> None:
    """In the same words as a forbidden one: which internal names exist is nobody's business."""
    known = await refused_by(fetcher(rig, resolve=Names(a=[["10.0.0.1"]])), "http://a.test/")

    async def unknown(host: str, port: int) -> list[str]:
        raise OSError("no such name")

    assert (await refused_by(fetcher(rig, resolve=unknown), "http://a.test/")).message == known.message


async def test_rebinding_between_check_and_use(rig: Any) -> None:
    """The name is looked up once, and the connection goes to what was checked: a second answer is never asked for.

    The name leads nowhere but by the test's resolver, so a second look-up anywhere would fail.
    """
    server = await rig.provider(says(answer()))
    names = Names(rebind=[["127.0.0.1"], ["10.0.0.1"]])
    fetch = fetcher(rig, server.port, policy=Only(), resolve=names)
    assert (await fetch.fetch(f"http://rebind.test:{server.port}/")).data == PNG
    assert names.asked == ["rebind.test"]


async def test_rebinding_between_redirects(rig: Any) -> None:
    """Each hop is looked up and checked anew, also of a name that was good a moment ago."""
    server = await rig.provider(says(answer(b"", b"location: /again\r\n", b"302 Found"), answer()))
    names = Names(rebind=[["127.0.0.1"], ["127.0.0.2"]])
    await refused_by(fetcher(rig, server.port, policy=Only(), resolve=names), f"http://rebind.test:{server.port}/")
    assert names.asked == ["rebind.test", "rebind.test"]
    assert rig.accepted == 1


@pytest.mark.parametrize("status", [b"301 X", b"302 X", b"303 X", b"307 X", b"308 X"])
@pytest.mark.parametrize(
    "location", ["http://127.0.0.1:{}/", "http://localhost:{}/", "http://2130706433:{}/", "//127.1:{}/", "file:///{}"]
)
async def test_a_redirect_to_this_machine(rig: Any, status: bytes, location: str) -> None:
    """The usual way around a check of the first URL only."""
    canary = await rig.provider(says(answer()))
    head = b"location: %b\r\n" % location.format(canary.port).encode()
    server = await rig.provider(says(answer(b"", head, status)))
    fetch = fetcher(rig, server.port, canary.port, policy=Only())
    error = await refused_by(fetch, f"http://127.0.0.1:{server.port}/")
    assert error.code == "url_refused"
    assert rig.accepted == 1


async def test_redirects_are_followed_so_far_and_carry_nothing_on(rig: Any) -> None:
    """Object stores redirect once or twice. A cookie set on the way is not sent back."""
    heard: list[bytes] = []
    hop = answer(b"", b"location: /next\r\nset-cookie: id=1\r\n", b"302 Found")
    server = await rig.provider(says(hop, hop, hop, answer(), heard=heard))
    fetch = fetcher(rig, server.port, policy=anywhere)
    url = f"http://127.0.0.1:{server.port}/first"
    assert (await fetch.fetch(url)).data == PNG
    assert [line.partition(b" HTTP")[0] for line in heard] == [b"GET /first", b"GET /next", b"GET /next", b"GET /next"]
    assert b"cookie" not in b"".join(heard).lower()
    endless = await rig.provider(says(hop))
    error = await refused_by(fetcher(rig, endless.port, policy=anywhere), f"http://127.0.0.1:{endless.port}/")
    assert "redirects more than 3 times" in error.message
    assert rig.accepted == 4 + 4


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (answer(b"", b"", b"302 Found"), "redirects to nowhere"),
        (answer(b"gone", status=b"404 Not Found"), "answered 404"),
        (answer(b"", status=b"500 X"), "answered 500"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", "answered 204"),
        (b"not HTTP at all\r\n\r\n", "not sound HTTP"),
        (b"", "broke off"),
        (answer()[:-5], "broke off"),
        (CHUNKED + b"8\r\n\x89PNG\r\n\x1a\n\r\n", "broke off"),
        (answer(PNG, b"content-type: image/png\r\ncontent-encoding: gzip\r\n"), "compressed"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 99999\r\n\r\n", "larger than 1000 bytes"),
        (answer(PNG + b"x" * 1000), "larger than 1000 bytes"),
        (CHUNKED + b"3e8\r\n%b\r\n" % (b"x" * 1000) * 3, "larger than 1000 bytes"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + PNG + b"x" * 5000, "larger than 1000 bytes"),
    ],
)  # fmt: skip
async def test_answers_that_hold_no_picture(rig: Any, said: bytes, words: str) -> None:
    """Truncated, too large, not there: the client is told which, and no half picture reaches a model."""
    server = await rig.provider(says(said))
    fetch = fetcher(rig, server.port, policy=anywhere, max_bytes=1000)
    error = await refused_by(fetch, f"http://127.0.0.1:{server.port}/")
    assert error.code == "url_not_fetched"
    assert words in error.message
    await rig.until(lambda: all(pool.open == 0 for pool in rig.client.pools.values()))


@pytest.mark.parametrize(
    ("body", "head", "media_type"),
    [
        (PNG, b"content-type: image/png\r\n", "image/png"),
        (PNG, b"", "image/png"),
        (PNG, b"content-type: application/octet-stream\r\n", "image/png"),
        (b"\xff\xd8\xff\xe0JFIF", b"content-type: image/png\r\n", "image/jpeg"),
        (b"GIF87a...", b"content-type: image/gif\r\n", "image/gif"),
        (b"GIF89a...", b"Content-Type: IMAGE/GIF; charset=x\r\n", "image/gif"),
        (b"RIFF\x10\0\0\0WEBPVP8 ", b"content-type: image/webp\r\n", "image/webp"),
        (b"%PDF-1.7\n", b"content-type: application/pdf\r\n", "application/pdf"),
        (b"%PDF-1.7\n", b"content-type: binary/octet-stream\r\n", "application/pdf"),
    ],
)
async def test_what_the_first_bytes_say(rig: Any, body: bytes, head: bytes, media_type: str) -> None:
    """Providers refuse a JPEG that is called a PNG; the bytes know better than the server."""
    server = await rig.provider(says(answer(body, head)))
    assert await fetcher(rig, server.port, policy=anywhere).fetch(f"http://127.0.0.1:{server.port}/") == Fetched(
        media_type, body
    )


@pytest.mark.parametrize(
    ("body", "head"),
    [
        (b"<html>", b"content-type: text/html\r\n"),
        (b"<html>", b"content-type: image/png\r\n"),
        (b"<svg onload='x'>", b"content-type: image/svg+xml\r\n"),
        (PNG, b"content-type: text/html\r\n"),
        (PNG, b"content-type: image/svg+xml\r\n"),
        (PNG, b"content-type: application/pdf\r\n"),
        (b"%PDF-1.7", b"content-type: image/png\r\n"),
        (b"RIFF\x10\0\0\0WAVEfmt ", b"content-type: image/webp\r\n"),
        (b"BM bitmap", b"content-type: image/bmp\r\n"),
        (b"", b"content-type: image/png\r\n"),
        (b"root:x:0:0:root", b""),
    ],
)
async def test_what_is_no_picture(rig: Any, body: bytes, head: bytes) -> None:
    """Else any text on the web could be read through a model that describes it."""
    server = await rig.provider(says(answer(body, head)))
    error = await refused_by(fetcher(rig, server.port, policy=anywhere), f"http://127.0.0.1:{server.port}/")
    assert error.code == "wrong_media_type"


async def test_a_body_that_ends_with_the_connection(rig: Any) -> None:
    """HTTP/1.0 servers tell no length."""
    server = await rig.provider(says(b"HTTP/1.0 200 OK\r\ncontent-type: image/png\r\n\r\n" + PNG))
    assert (await fetcher(rig, server.port, policy=anywhere).fetch(f"http://127.0.0.1:{server.port}/")).data == PNG


async def _silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def _trickling(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
    while not writer.is_closing():
        writer.write(b"x")
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("script", [_silent, _trickling])
async def test_a_slow_server(rig: Any, script: Any) -> None:
    """One deadline for all of it: a byte now and then does not keep a request for ever. Its connection is closed."""
    server = await rig.provider(script)
    error = await refused_by(fetcher(rig, server.port, policy=anywhere, seconds=0.15), f"http://127.0.0.1:{server.port}/")
    assert "took longer than 0.15 seconds" in error.message
    await rig.until(lambda: all(pool.open == 0 for pool in rig.client.pools.values()))


async def test_a_slow_name_server(rig: Any) -> None:
    """The look-up counts too."""

    async def never(host: str, port: int) -> list[str]:
        await asyncio.Event().wait()
        return []

    error = await refused_by(fetcher(rig, resolve=never, seconds=0.05), "http://slow.test/")
    assert "took longer" in error.message


async def test_so_many_at_once(rig: Any) -> None:
    """Each may hold its bytes in memory; the others wait for their turn within their own time."""
    inside = most = 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(0.02)
        inside -= 1
        writer.write(answer())

    server = await rig.provider(script)
    fetch = fetcher(rig, server.port, policy=anywhere, at_once=2)
    found = await asyncio.gather(*(fetch.fetch(f"http://127.0.0.1:{server.port}/{n}") for n in range(6)))
    assert [one.data for one in found] == [PNG] * 6
    assert most == 2


async def test_the_next_address_where_one_is_down(rig: Any) -> None:
    """A host with an IPv6 address on a network without IPv6."""
    server = await rig.provider(says(answer()))
    names = Names(pictures=[["::1", "127.0.0.1"]])
    fetch = fetcher(rig, server.port, policy=anywhere, resolve=names)
    assert (await fetch.fetch(f"http://pictures.test:{server.port}/")).data == PNG


async def test_nobody_listens(rig: Any) -> None:
    """And the words name neither address nor port."""
    server = await rig.provider(says(answer()))
    error = await refused_by(fetcher(rig, 1, policy=anywhere), "http://127.0.0.1:1/")
    assert "could not be reached" in error.message
    assert server.port


async def test_too_many_connections_are_our_own_fault(rig: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error that is not about the URL keeps its kind: nobody should send another file for it."""
    raised = GatewayError(Kind.OVERLOADED, "busy")

    async def send(client: Any, request: Any) -> Any:
        raise raised

    monkeypatch.setattr(Client, "send", send)
    with pytest.raises(GatewayError) as refused:
        await fetcher(rig, policy=anywhere).fetch("http://8.8.8.8/")
    assert refused.value is raised


async def test_the_environments_proxy_is_not_used(rig: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy would connect to whatever it resolves: our check would be worth nothing."""
    canary = await rig.provider(says(answer()))
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{canary.port}")
    server = await rig.provider(says(answer()))
    assert (await fetcher(rig, server.port, policy=anywhere).fetch(f"http://127.0.0.1:{server.port}/")).data == PNG
    assert rig.accepted == 1


class Secure:
    """A server with a certificate of a CA of its own, and what name it was asked for."""

    def __init__(self, *names: str) -> None:
        self.ca = trustme.CA()
        self.asked: list[str | None] = []
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.ca.issue_cert(*names).configure_cert(self.context)
        self.context.sni_callback = lambda _socket, name, _context: self.asked.append(name)

    def trusted(self, folder: Any) -> TlsSettings:
        """Settings that trust the CA."""
        self.ca.cert_pem.write_to_path(str(folder / "ca.pem"))
        return TlsSettings(ca_file=str(folder / "ca.pem"))


async def test_tls_is_for_the_name_and_goes_to_the_address(rig: Any, tmp_path: Any) -> None:
    """The certificate is verified for the name in the URL, though the connection is made to an address."""
    secure = Secure("pictures.test")
    server = await rig.provider(says(answer()), secure.context)
    names = Names(pictures=[["127.0.0.1"]])
    fetch = fetcher(rig, server.port, policy=anywhere, resolve=names, tls=secure.trusted(tmp_path))
    assert (await fetch.fetch(f"https://pictures.test:{server.port}/")).data == PNG
    assert secure.asked == ["pictures.test"]


@pytest.mark.parametrize("trusted", [True, False])
async def test_a_certificate_that_does_not_fit(rig: Any, tmp_path: Any, trusted: bool) -> None:
    """Of another name, or of nobody we trust: not fetched."""
    secure = Secure("other.test" if trusted else "pictures.test")
    server = await rig.provider(says(answer()), secure.context)
    tls = secure.trusted(tmp_path) if trusted else TlsSettings()
    fetch = fetcher(rig, server.port, policy=anywhere, resolve=Names(pictures=[["127.0.0.1"]]), tls=tls)
    error = await refused_by(fetch, f"https://pictures.test:{server.port}/")
    assert "certificate" in error.message


async def test_what_holds_where_nothing_is_said(rig: Any) -> None:
    """Defaults: https alone, its own port and 80, public addresses, the system's resolver."""
    fetch = Fetcher(rig.client, Limits())
    for url in ("http://example.com/", "https://example.com:8443/", "https://localhost/", "https://169.254.169.254/latest/"):
        assert (await refused_by(fetch, url)).code == "url_refused"


async def test_leaving_closes_the_connection(rig: Any) -> None:
    """The client that asked is gone: nothing more is fetched for it."""
    server = await rig.provider(_silent)
    fetch = fetcher(rig, server.port, policy=anywhere)
    task = asyncio.ensure_future(fetch.fetch(f"http://127.0.0.1:{server.port}/"))
    await rig.until(lambda: rig.accepted)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await rig.until(lambda: all(pool.open == 0 for pool in rig.client.pools.values()))

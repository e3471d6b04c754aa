"""Files on their way: cut, refused, slow, in both directions. None may look whole that is not, and none may fill our memory."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from harness.client import Wire, request
from harness.gateway import KEY, Make, settings
from harness.invariants import Case, eventually
from harness.script import END, STREAM_HEADERS, Close, Pause, Plan, Reset, Seen, chunk, event, head, whole
from harness.upstream import Upstream

MIB = 1024 * 1024
FORM = [("authorization", f"Bearer {KEY}"), ("content-type", "multipart/form-data; boundary=XX")]
MODEL = b'--XX\r\nContent-Disposition: form-data; name="model"\r\n\r\npatient\r\n'
FILE = b'--XX\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
TRANSCRIBE = "/v1/audio/transcriptions"
CONTENT = request("GET", "/v1/files/file-1/content", [("authorization", f"Bearer {KEY}")])


def begin(wire: Wire, size: int, path: str = TRANSCRIBE) -> None:
    """The head of an upload of `size` bytes, and the form up to the file."""
    wire.send(request("POST", path, [*FORM, ("content-length", str(size))]) + MODEL + FILE)


@contextmanager
def provider(serve: Callable[[socket.socket], None]) -> Iterator[str]:
    """A provider that does with its first connections what `serve` says; its base URL."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(20)

        def accept() -> None:
            while True:
                try:
                    sock, _ = listening.accept()
                except OSError:
                    return
                with sock:
                    sock.settimeout(20)
                    serve(sock)

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        listening.shutdown(socket.SHUT_RDWR)
    thread.join(5)


def test_a12_a_client_that_leaves_in_its_upload(case: Case) -> None:
    """The provider never sees the end of the form, and its connection is closed at once."""
    case.rows, case.outcomes = 1, ["client_cancelled"]
    before = case.upstream.bytes_read
    with case.gateway.connect() as wire:
        begin(wire, 4 * MIB)
        wire.send(b"s" * MIB)
        eventually(lambda: case.upstream.bytes_read > before + MIB // 2, "half of it")
        opened = case.upstream.open
    case.upstream.wait(lambda: case.upstream.open < opened, 1.0, "the provider's connection closed")
    assert case.upstream.requests == []


def test_a12_a_form_that_turns_out_to_be_wrong(case: Case) -> None:
    """A second model behind the file is refused, and what was sent so far comes to nothing."""
    case.rows, case.outcomes = 1, ["refused"]
    body = MODEL + FILE + b"s" * MIB + b"\r\n" + MODEL.replace(b"patient", b"costly") + b"--XX--\r\n"
    with case.gateway.connect() as wire:
        wire.send(request("POST", TRANSCRIBE, FORM, body))
        told = wire.read_reply()
    assert told is not None
    assert (told.status, told.error["param"]) == (400, "model")
    assert case.upstream.requests == []


def test_b16_a_provider_that_refuses_in_mid_upload(make_gateway: Make) -> None:
    """Its words reach the client, who need not send the rest in vain."""
    body = json.dumps(
        {"error": {"message": "too long for me", "type": "invalid_request_error", "param": None, "code": "x"}}
    ).encode()

    def serve(sock: socket.socket) -> None:
        sock.recv(65536)
        sock.sendall(whole(413, body))
        while sock.recv(65536):
            pass

    with provider(serve) as url, make_gateway(settings(url)).connect() as wire:
        begin(wire, 512 * MIB)
        told = wire.read_reply()
        assert told is not None
        assert (told.status, told.error["message"], told.complete) == (413, "too long for me", True)
        assert told.header("connection") == "close"


def test_b16_a_provider_that_dies_in_mid_upload(make_gateway: Make) -> None:
    """An error, never a wait for ever."""

    def serve(sock: socket.socket) -> None:
        sock.recv(65536)

    with provider(serve) as url, make_gateway(settings(url)).connect() as wire:
        begin(wire, 8 * MIB)
        with contextlib.suppress(OSError):
            for _ in range(8):
                wire.send(b"s" * (MIB // 2))
        told = wire.read_reply()
    assert told is None or told.status == 502


def test_b16_a_provider_that_takes_nothing(make_gateway: Make) -> None:
    """What it does not take stays with the client, not with us."""
    released = threading.Event()

    def serve(sock: socket.socket) -> None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        released.wait(20)

    with provider(serve) as url:
        gateway = make_gateway(settings(url))
        before = gateway.rss()
        with gateway.connect(timeout=1.0) as wire:
            begin(wire, 512 * MIB)
            with pytest.raises(TimeoutError):
                wire.send(b"s" * (256 * MIB))
            assert gateway.rss() - before < 8 * MIB
            released.set()
        eventually(lambda: gateway.in_flight() == 0, "the request settled")


def _download(*steps: object, length: int | None = None) -> Callable[[Seen], Plan]:
    framing = ("transfer-encoding", "chunked") if length is None else ("content-length", str(length))
    return lambda _: [head(200, [("content-type", "application/octet-stream"), framing]), *steps]  # type: ignore[list-item]


@pytest.mark.parametrize(
    "answer",
    [
        _download(chunk(b"a" * MIB), Pause(0.1), Close()),
        _download(chunk(b"a" * MIB), Pause(0.1), Reset()),
        _download(b"a" * MIB, Pause(0.1), Close(), length=2 * MIB),
        _download(chunk(b"a" * MIB), Pause(3.0), chunk(b"b"), END),
    ],
    ids=["chunks without an end", "a reset", "shorter than said", "silence"],
)
def test_b3_a_download_that_breaks_never_looks_whole(case: Case, answer: Callable[[Seen], Plan]) -> None:
    """Half a file with a clean end would be taken for the file."""
    case.outcomes = ["upstream_broken"]
    case.upstream.script(answer)
    told = case.gateway.ask("/v1/audio/speech", {"model": "m", "input": "hi", "voice": "a"})
    assert (told.status, told.complete) == (200, False)


def test_b3_a_broken_stream_of_events_ends_with_an_error(case: Case) -> None:
    """Where words can be put in, they are: an SDK then raises."""
    case.outcomes = ["upstream_broken"]
    first = event({"type": "speech.audio.delta", "audio": "AAAA"})
    case.upstream.script(lambda _: [head(200, STREAM_HEADERS), chunk(first), Pause(0.1), Close()])
    told = case.gateway.ask("/v1/audio/speech", {"model": "m", "input": "hi", "voice": "a", "stream_format": "sse"})
    assert told.body.startswith(first)
    assert b'"error"' in told.body[len(first) :]


def test_b3_a_broken_answer_is_an_error(case: Case) -> None:
    """A transcription that is cut is no transcription."""
    case.outcomes = ["upstream_broken"]
    framing = [("content-type", "application/json"), ("content-length", "100")]
    case.upstream.script(lambda _: [head(200, framing) + b'{"text":', Close()])
    told = case.gateway.ask("/v1/rerank", {"model": "m", "query": "q", "documents": []})
    assert told.status == 502


def test_a1_a_client_that_leaves_in_its_download(case: Case) -> None:
    """The provider's connection is closed at once."""
    case.outcomes = ["client_cancelled"]
    case.upstream.script(_download(*[chunk(b"a" * 65536)] * 4096, END))
    with case.gateway.connect() as wire:
        wire.send(CONTENT)
        assert wire.read_head() is not None
        assert wire.exactly(MIB) is not None
    seen = case.upstream.wait_requests(1)[0]
    assert case.upstream.wait_ended(seen, 1.0) in {"eof", "rst"}


def test_a4_a_client_that_reads_slowly(case: Case) -> None:
    """A file of 256 MiB waits with the provider, not with us."""
    case.outcomes = ["client_cancelled"]
    case.upstream.script(_download(*[chunk(b"a" * 65536)] * 4096, END))
    before = case.gateway.rss()
    with case.gateway.connect(receive_buffer=4096) as wire:
        wire.send(CONTENT)
        assert wire.read_head() is not None
        seen = case.upstream.wait_requests(1)[0]
        eventually(lambda: _rests(seen), "the provider held up")
        assert case.gateway.rss() - before < 4 * MIB
        assert seen.sent < 32 * MIB


def _rests(seen: Seen) -> bool:
    sent = seen.sent
    time.sleep(0.2)
    return seen.sent == sent > 0


def test_a_hundred_megabytes_both_ways(case: Case) -> None:
    """Memory stays flat whatever the size, and every byte arrives."""
    size = 100 * MIB
    piece = bytes(range(256)) * 256
    case.upstream.script(_download(*[chunk(piece)] * (size // len(piece)), END))
    before = case.gateway.rss()
    with case.gateway.connect() as wire:
        wire.send(CONTENT)
        reply = wire.read_head()
        assert reply is not None
        got = 0
        while data := wire.chunk():
            got += len(data)
        assert (data, got) == (b"", size)
    assert case.gateway.rss() - before < 8 * MIB


def test_an_upload_is_flat(make_gateway: Make) -> None:
    """A hundred megabytes pass through a gateway that holds a few of them at a time."""
    taken = [0]
    answer = whole(200, b'{"text":"hello"}')

    def serve(sock: socket.socket) -> None:
        tail = b""
        while not tail.endswith(b"--XX--\r\n"):
            data = sock.recv(MIB)
            taken[0] += len(data)
            tail = (tail + data)[-16:]
        sock.sendall(answer)

    with provider(serve) as url:
        gateway = make_gateway(settings(url))
        before = gateway.rss()
        end = b"\r\n--XX--\r\n"
        with gateway.connect(timeout=60) as wire:
            begin(wire, len(MODEL) + len(FILE) + 100 * MIB + len(end))
            peak = 0
            for _ in range(100):
                wire.send(b"s" * MIB)
                peak = max(peak, gateway.rss())
            wire.send(end)
            told = wire.read_reply()
        assert told is not None
        assert (told.status, told.json["text"]) == (200, "hello")
        assert taken[0] >= 100 * MIB
        assert peak - before < 8 * MIB


def test_a6_the_upload_s_own_limit(case: Case, upstream: Upstream) -> None:
    """A length that exceeds it is refused before anything is sent; a hundred bytes more than said are another request."""
    case.rows = 0
    with case.gateway.connect() as wire:
        begin(wire, 3 * 1024 * MIB)
        told = wire.read_reply()
    assert told is not None
    assert (told.status, told.error["code"]) == (413, "too_large")
    assert upstream.requests == []

"""The measurements of what only passes: a gigabyte each way, and a realtime session. See docs/benchmarks.md."""

from __future__ import annotations

import contextlib
import json
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import uvloop
from websockets.asyncio.client import connect

from big import PIECE
from processes import CLIENT_KEY, BenchError, Cores, Gateway, Process, free_ports
from report import Row
from rows import Bench, Tally

_MB = 1024 * 1024
_FRAMES = 10_000
_FRAME = "f" * 1024
_LOOK = 0.02
"""Seconds between two looks at the memory."""
_ASKED, _TARGET = b"big/whisper", b"whisper"
_FORM = (
    b'--XX\r\nContent-Disposition: form-data; name="model"\r\n\r\n' + _ASKED + b"\r\n"
    b'--XX\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
)
_END = b"\r\n--XX--\r\n"


class _Passing(Gateway):
    """A gateway before the provider of big things."""

    def _config(self, upstream_port: int, keys: int) -> str:  # noqa: ARG002 - as its base has it
        lab = "kind: openai, api_key: sk-bench-0123456789, base_url: 'http://127.0.0.1:"
        return (
            f"server: {{listen: '127.0.0.1:{self.port}', admin: '127.0.0.1:{self._admin}'}}\n"
            f"providers:\n  big: {{{lab}{upstream_port}/v1'}}\n  frames: {{{lab}{upstream_port + 1}/v1'}}\n"
            f"keys:\n  - {{name: client, secret: {CLIENT_KEY}}}\n"
        )


@contextlib.contextmanager
def _gateway(cores: Cores, folder: Path) -> Iterator[_Passing]:
    (port,) = free_ports(1)
    command = [sys.executable, str(Path(__file__).with_name("big.py")), str(port)]
    with Process(command, cores.rest, folder, "big.log") as provider, _Passing(cores, folder, port) as gateway:
        provider.wait_for(port + 1)
        gateway.wait_for(gateway.port)
        yield gateway


class _Peak:
    """The most memory that a process has while the block runs, looked at all the time."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self.most = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(_LOOK):
            self.most = max(self.most, self._process.memory()[0])


def _check_books(gateway: Gateway, expected: int) -> None:
    """Stop the gateway; its ledger must have one row for each transfer or session, and call it good. Raises BenchError."""
    gateway.stop()
    outcomes = [json.loads(line)["outcome"] for line in gateway.ledger()]
    if outcomes != ["ok"] * expected:
        raise BenchError(f"{expected} carried, but the ledger has {outcomes}")


def _head(line: str, port: int, more: str = "") -> bytes:
    return f"{line} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {CLIENT_KEY}\r\n{more}\r\n".encode()


def _upload(port: int, size: int) -> int:
    """Send a form with a file of `size` bytes; how many bytes the provider got of it."""
    more = f"Content-Type: multipart/form-data; boundary=XX\r\nContent-Length: {len(_FORM) + size + len(_END)}\r\n"
    with socket.create_connection(("127.0.0.1", port), 60) as sock:
        sock.sendall(_head("POST /v1/audio/transcriptions", port, f"{more}Connection: close\r\n") + _FORM)
        for _ in range(size // len(PIECE)):
            sock.sendall(PIECE)
        sock.sendall(_END)
        answer = b"".join(iter(lambda: sock.recv(4096), b""))
    told = json.loads(answer.partition(b"\r\n\r\n")[2])
    return int(told.get("text", 0)) - len(_FORM.replace(_ASKED, _TARGET)) - len(_END)


def _download(port: int, size: int) -> int:
    """Read a file of `size` bytes; how many bytes came."""
    got = 0
    with socket.create_connection(("127.0.0.1", port), 60) as sock, sock.makefile("rb", buffering=_MB) as answer:
        sock.sendall(_head(f"GET /v1/files/{size}/content", port, "x-trunkline-provider: big\r\n"))
        while answer.readline() not in {b"\r\n", b""}:
            pass
        while piece := int(answer.readline(), 16):
            got += len(answer.read(piece))
            answer.readline()
    return got


def passthrough(bench: Bench) -> list[Row]:
    """A gigabyte up, and one down."""
    size = (256 if bench.quick else 1024) * _MB
    rows = []
    ways: tuple[tuple[str, Callable[[int, int], int]], ...] = (("uploaded", _upload), ("downloaded", _download))
    for what, carry in ways:
        with _gateway(bench.cores, bench.place()) as gateway:
            if carry(gateway.port, len(PIECE)) != len(PIECE):  # warm: what is loaded once
                raise BenchError(f"64 KiB were not {what} whole")
            before, cpu, begun = gateway.memory()[0], gateway.settled_cpu(), time.perf_counter()
            with _Peak(gateway) as peak:
                got = carry(gateway.port, size)
            seconds = time.perf_counter() - begun
            if got != size:
                raise BenchError(f"{got:,} bytes {what} of {size:,}")
            used = gateway.settled_cpu() - cpu
            _check_books(gateway, 2)
        label = f"{size // _MB:,} MiB {what}"
        rows += [
            Row("passthrough", f"{label}, memory grown at its peak", "MB", [(peak.most - before) / _MB], target=16.0),
            Row("passthrough", f"{label}, CPU", "s/GiB", [used / size * 1024 * _MB], note=f"{size / _MB / seconds:,.0f} MiB/s"),
        ]
    return rows


def realtime(bench: Bench) -> list[Row]:
    """A session of small frames, one after the other: each is read and written by itself."""

    async def talk(port: int, frames: int) -> None:
        url = f"ws://127.0.0.1:{port}/v1/realtime?model=frames/realtime"
        async with connect(url, additional_headers={"authorization": f"Bearer {CLIENT_KEY}"}, compression=None) as line:
            for _ in range(frames):
                await line.send(_FRAME)
                if await line.recv() != _FRAME:
                    raise BenchError("a frame came back changed")

    with _gateway(bench.cores, bench.place()) as gateway:
        uvloop.run(talk(gateway.port, 100))
        tally, before = Tally(gateway), gateway.memory()[0]

        def work() -> tuple[int, int]:
            uvloop.run(talk(gateway.port, _FRAMES))
            return 2 * _FRAMES, 1

        found = [tally.cost(work) for _ in range(1 if bench.quick else 3)]
        grown = (gateway.memory()[0] - before) / _MB
        _check_books(gateway, 1 + len(found))
    return [
        Row("realtime", f"{_FRAMES:,} frames of 1 KiB each way", "us/frame", found),
        Row("realtime", "memory grown", "MB", [grown], target=4.0),
    ]


PASSING: dict[str, tuple[str, str, Callable[[Bench], list[Row]]]] = {
    "passthrough": ("Files that pass", "", passthrough),
    "realtime": ("Realtime sessions", "", realtime),
}
"""As `rows.SECTIONS`."""

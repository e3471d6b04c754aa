"""A real Redis server of the tests' own: on a free loopback port, in a temporary directory, ended by its pid."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

from harness.loop import LoopThread

_START_SECONDS = 10.0
_running: set[subprocess.Popen[bytes]] = set()


@atexit.register
def _end_all() -> None:
    for process in list(_running):
        if process.poll() is None:
            process.kill()
            process.wait()


def program() -> str | None:
    """The server's program; None where there is none."""
    return shutil.which("redis-server")


class Impostor:
    """Something that answers every command with the same bytes; None: with nothing. `answer` may be changed at any time."""

    def __init__(self, answer: bytes | None) -> None:
        self.answer = answer
        self.commands: list[list[bytes]] = []
        self._thread = LoopThread("impostor")
        self._server = self._thread.run(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port: int = self._server.sockets[0].getsockname()[1]
        self._writers: set[asyncio.StreamWriter] = set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        import hiredis  # noqa: PLC0415 - as above

        self._writers.add(writer)
        with contextlib.suppress(OSError):
            commands = hiredis.Reader()
            while data := await reader.read(65536):
                commands.feed(data)
                while (command := commands.gets()) is not False:
                    self.commands.append(command)
                    if self.answer is not None:
                        writer.write(self.answer)
        writer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._thread.call(self._server.close)
        self.hang_up()
        self._thread.run(asyncio.sleep(0.02))
        self._thread.stop()

    def hang_up(self) -> None:
        """End every connection."""
        self._thread.call(lambda: [one.transport.abort() for one in self._writers])


class Redis:
    """One server, empty at its start. It may be stopped and started again, at the same port."""

    def __init__(self, *settings: str) -> None:
        """`settings`: more words of its command line, such as `--requirepass`, `secret`."""
        self.port = 0
        self.process: subprocess.Popen[bytes] | None = None
        self._settings = settings
        self._folder = tempfile.TemporaryDirectory(prefix="redis-")
        self._password: str | None = None
        if "--requirepass" in settings:
            self._password = settings[settings.index("--requirepass") + 1]

    @property
    def url(self) -> str:
        """As the configuration wants it."""
        return f"redis://127.0.0.1:{self.port}/0"

    def __enter__(self) -> Self:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()
        self._folder.cleanup()

    def start(self) -> Self:
        """Start it, empty, and wait until it answers."""
        command = [
            program() or "redis-server",
            "--port",
            str(self.port),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
        ]
        command += ["--dir", self._folder.name, "--enable-debug-command", "yes", *self._settings]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _running.add(self.process)
        end = time.monotonic() + _START_SECONDS
        while not self._answers():
            assert self.process.poll() is None, "redis-server ended"
            assert time.monotonic() < end, "redis-server does not answer"
            time.sleep(0.02)
        return self

    def stop(self) -> None:
        """Kill it: what it knew is lost. Harmless when it has ended."""
        process, self.process = self.process, None
        if process is not None:
            process.kill()
            process.wait(10)
            _running.discard(process)

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """It stands still: connections are taken by the kernel, and nothing answers."""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.process.pid, signal.SIGCONT)

    def run(self, *words: str | int) -> Any:
        """One command, past the code under test; what it answers. Raises `hiredis.ReplyError`."""
        import hiredis  # noqa: PLC0415 - only where there is a server

        reader = hiredis.Reader(encoding="utf-8")
        with socket.create_connection(("127.0.0.1", self.port), 5) as wire:
            commands = [words] if self._password is None else [("AUTH", self._password), words]
            replies = []
            for one in commands:
                wire.sendall(hiredis.pack_command(one))
                while (reply := reader.gets()) is False:
                    data = wire.recv(65536)
                    assert data, "Redis hung up"
                    reader.feed(data)
                replies.append(reply)
        if isinstance(replies[-1], hiredis.ReplyError):
            raise replies[-1]
        return replies[-1]

    def keys(self) -> dict[str, Any]:
        """Everything it holds."""
        found = {}
        for key in self.run("KEYS", "*"):
            kind = self.run("TYPE", key)
            if kind == "none":
                continue  # it went meanwhile
            read = {"string": ("GET", key), "hash": ("HGETALL", key), "zset": ("ZRANGE", key, 0, -1)}[kind]
            value = self.run(*read)
            found[key] = dict(zip(value[::2], value[1::2], strict=True)) if kind == "hash" else value
        return found

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1) as wire:
            wire.sendall(b"PING\r\n")
            return wire.recv(16).startswith((b"+PONG", b"-NOAUTH"))
        return False

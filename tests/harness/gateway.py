"""The real gateway process: started, driven, watched and ended from outside.

Only public doors are used: the command line, the two listeners, signals, and what the kernel tells of a process. Every
process started here is ended here, by its own pid.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import yaml

from harness.client import Reply, Stream, Wire, request

KEY = "tl-canary-client-key-0123456789abcdefghijklmnopqr"
"""The key of the harness's own client: must never be seen outside a request."""
NARROW_KEY = "tl-canary-narrow-key-0123456789abcdefghijklmnopqr"
"""A key that may use the model `m` only."""
PROVIDER_KEY = "sk-canary-provider-key-0123456789"
"""What the gateway shows the mock provider: must never reach a client, a log or a metric."""
START_TIMEOUT = 20.0

_running: set[subprocess.Popen[bytes]] = set()


@atexit.register
def _end_all() -> None:
    for process in list(_running):
        if process.poll() is None:
            process.kill()
            process.wait()


class GatewayDied(AssertionError):  # noqa: N818 - it is an event, not an error of ours
    """The process ended where it should have run. Carries its output."""


def python_path() -> str:
    """Where this process finds its modules, for another in another folder."""
    given = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return os.pathsep.join(str(Path(place).absolute()) for place in given if place)


def settings(
    upstream_url: str,
    *,
    server: Mapping[str, Any] | None = None,
    provider: Mapping[str, Any] | None = None,
    timeouts: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """One provider `lab` at `upstream_url`; three models on it; two keys. The arguments add to or replace settings.

    `m` has short timeouts, `patient` has long ones, `costly` is what the second key may not use.
    """
    quick = {"connect": "1s", "first_byte": "500ms", "idle": "500ms", "total": "60s", **(timeouts or {})}
    slow = {"connect": "1s", "first_byte": "60s", "idle": "60s", "total": "120s"}
    return {
        "server": {"listen": "127.0.0.1:0", "admin": "127.0.0.1:0", **(server or {})},
        "providers": {"lab": {"kind": "openai", "base_url": upstream_url, "api_key": PROVIDER_KEY, **(provider or {})}},
        "models": {
            "m": {"targets": ["lab/tiny"], "timeouts": quick},
            "patient": {"targets": ["lab/tiny"], "timeouts": slow},
            "costly": {"targets": ["lab/expensive"], "timeouts": quick},
        },
        "keys": [{"name": "tester", "secret": KEY}, {"name": "narrow", "secret": NARROW_KEY, "models": ["m"]}],
    }


class Gateway:
    """One gateway, possibly restarted several times on the same data."""

    model = "m"
    """What chat requests ask for that say nothing else."""

    def __init__(
        self,
        config: Mapping[str, Any] | str,
        folder: Path,
        *,
        env: Mapping[str, str] | None = None,
        wrap: Sequence[str] = (),
    ) -> None:
        """`config`: a mapping, or YAML text; `folder`: an empty one of its own; `wrap`: words before the command."""
        self.folder = folder
        self.data = folder / "data"
        self.config_file = folder / "trunkline.yaml"
        self.config_file.write_text(config if isinstance(config, str) else yaml.safe_dump(dict(config)))
        self.config_file.chmod(0o600)
        self.env = {
            "PATH": os.environ.get("PATH", ""),
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            "PYTHONPATH": python_path(),
            "PYTHONDONTWRITEBYTECODE": "1",
            "TRUNKLINE_LOG__FORMAT": "json",
            **(env or {}),
        }
        self._wrap = list(wrap)
        self.process: subprocess.Popen[bytes] | None = None
        self.listen = ("", 0)
        self.admin = ("", 0)
        self.stdout: list[bytes] = []
        self.stderr: list[bytes] = []
        self.hear = threading.Event()
        """Cleared: standard output is not read, as by a stuck log collector."""
        self.hear.set()
        self.deaf = False
        """Set: standard output is closed at its next line, as by a log collector that died."""
        self.booked: set[str] | None = None
        """Ids of the ledger's rows when last looked at; kept by `invariants`."""
        self.idle_fds = 0
        """Descriptors open before the first case; kept by `invariants`."""
        self._changed = threading.Condition()
        self._readers: list[threading.Thread] = []

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.kill()

    # life -----------------------------------------------------------------------------------------------------------

    def command(self, *words: str) -> list[str]:
        """A `trunkline` command line."""
        return [sys.executable, "-m", "trunkline", *words]

    def serve_words(self) -> list[str]:
        """The words that start it."""
        return ["serve", "--config", str(self.config_file), "--data", str(self.data)]

    def start(self, timeout: float = START_TIMEOUT) -> Self:
        """Start and wait until it says it is ready. Raises GatewayDied with its output otherwise."""
        self.launch()
        ready = self.wait_log(lambda line: line.get("event") == "ready", timeout)
        self.listen, self.admin = _address(ready["listen"]), _address(ready["admin"])
        return self

    def launch(self) -> subprocess.Popen[bytes]:
        """Start without waiting."""
        self.data.mkdir(mode=0o700, exist_ok=True)
        self.stdout, self.stderr, self.deaf = [], [], False
        command = [*self._wrap, *self.command(*self.serve_words())]
        self.process = subprocess.Popen(
            command, env=self.env, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        _running.add(self.process)
        pairs = ((self.process.stdout, self.stdout), (self.process.stderr, self.stderr))
        self._readers = [threading.Thread(target=self._read, args=pair, daemon=True) for pair in pairs]
        for reader in self._readers:
            reader.start()
        return self.process

    def _read(self, pipe: IO[bytes], lines: list[bytes]) -> None:
        with pipe:
            for line in pipe:
                lines.append(line)
                with self._changed:
                    self._changed.notify_all()
                if lines is self.stdout:
                    self.hear.wait()
                    if self.deaf:
                        break
        with self._changed:
            self._changed.notify_all()

    def stop(self, timeout: float = 15.0) -> int:
        """SIGTERM, wait; the exit code."""
        self.terminate()
        return self.wait(timeout)

    def terminate(self) -> None:
        """SIGTERM, without waiting."""
        self._live().send_signal(signal.SIGTERM)

    def wait(self, timeout: float = 15.0) -> int:
        """Wait for the end; the exit code."""
        process = self.process
        assert process is not None
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the gateway did not end in {timeout} s\n{self.output()}") from None
        self._forget()
        return code

    def kill(self) -> None:
        """SIGKILL, wait; harmless when it has ended."""
        if self.process is not None:
            if self.process.poll() is None:
                self.process.kill()
            self.process.wait(10)
            self._forget()

    def restart(self) -> Self:
        """Start again on the same configuration and data, after `stop` or `kill`."""
        return self.start()

    def _forget(self) -> None:
        if self.process is not None:
            _running.discard(self.process)
        self.hear.set()
        for reader in self._readers:
            reader.join(10)
        self._readers = []

    def _live(self) -> subprocess.Popen[bytes]:
        process = self.process
        if process is None or process.poll() is not None:
            raise GatewayDied(f"the gateway ended with {process and process.returncode}\n{self.output()}")
        return process

    @property
    def pid(self) -> int:
        """Of the running process. Raises GatewayDied."""
        return self._live().pid

    def workers(self) -> list[int]:
        """Process ids of its workers, in no order; none where it is a single process."""
        found = []
        for place in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):  # it ended meanwhile
                state, parent = place.read_text().rpartition(")")[2].split()[:2]
                if int(parent) == self.pid and state != "Z":
                    found.append(int(place.parent.name))
        return found

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self.process is not None and self.process.poll() is None

    def output(self) -> str:
        """What it wrote, for a failure's message."""
        parts = [f"--- {name}\n" for name in ("stdout", "stderr")]
        for place, lines in enumerate((self.stdout[-12:], self.stderr[-40:])):
            parts[place] += "\n".join(line.decode(errors="replace").rstrip()[:600] for line in lines)
        return "\n".join(parts)

    # talking --------------------------------------------------------------------------------------------------------

    def connect(self, *, admin: bool = False, timeout: float = 15.0, receive_buffer: int = 0) -> Wire:
        """A raw connection."""
        return Wire(self.admin if admin else self.listen, timeout=timeout, receive_buffer=receive_buffer)

    def raw_request(self, data: bytes, timeout: float = 3.0) -> bytes:
        """Send bytes, return all that comes until the gateway closes or is silent for `timeout` seconds."""
        with self.connect() as wire:
            wire.send(data)
            return wire.rest(timeout)

    def get(self, path: str, *, admin: bool = False, key: str | None = None, timeout: float = 15.0) -> Reply:
        """A GET; it must be answered."""
        headers = [("authorization", f"Bearer {key}")] if key else []
        with self.connect(admin=admin, timeout=timeout) as wire:
            wire.send(request("GET", path, [*headers, ("connection", "close")]))
            reply = wire.read_reply()
        assert reply is not None, f"no answer to GET {path}\n{self.output()}"
        return reply

    def chat_bytes(self, *, key: str | None = KEY, headers: Sequence[tuple[str, str]] = (), **fields: Any) -> bytes:
        """The bytes of a chat request. `mock` and `nonce` become `x_mock` and `x_nonce`; `body` replaces the body whole."""
        body = fields.pop("body", None)
        if body is None:
            for name in ("mock", "nonce"):
                if name in fields:
                    fields[f"x_{name}"] = fields.pop(name)
            body = json.dumps({"model": self.model, "messages": [{"role": "user", "content": "hello"}], **fields}).encode()
        credential = [("authorization", f"Bearer {key}")] if key is not None else []
        return request("POST", "/v1/chat/completions", [*credential, ("content-type", "application/json"), *headers], body)

    def chat(self, *, timeout: float = 15.0, **fields: Any) -> Reply:
        """A chat request on a fresh connection; it must be answered."""
        with self.connect(timeout=timeout) as wire:
            wire.send(self.chat_bytes(**fields))
            reply = wire.read_reply()
        assert reply is not None, f"the gateway closed without an answer\n{self.output()}"
        return reply

    def ask(self, path: str, fields: Any = None, *, key: str = KEY, headers: Sequence[tuple[str, str]] = ()) -> Reply:
        """A request on a fresh connection; it must be answered. A GET where there are no `fields`, else a POST of them."""
        method, body = ("GET", b"") if fields is None else ("POST", json.dumps(fields).encode())
        with self.connect(timeout=15.0) as wire:
            wire.send(request(method, path, [("authorization", f"Bearer {key}"), *headers], body))
            reply = wire.read_reply()
        assert reply is not None, f"the gateway closed without an answer\n{self.output()}"
        return reply

    def serves(self) -> bool:
        """Whether a chat request is answered 200 now; for what comes back by itself after a while."""
        try:
            return self.chat(timeout=3).status == 200
        except (OSError, AssertionError):
            return False

    def stream(self, *, timeout: float = 15.0, receive_buffer: int = 0, **fields: Any) -> Stream:
        """A streamed chat request; returns when the head of the answer is there."""
        wire = self.connect(timeout=timeout, receive_buffer=receive_buffer)
        try:
            wire.send(self.chat_bytes(stream=True, **fields))
            reply = wire.read_head()
            assert reply is not None, f"the gateway closed without an answer\n{self.output()}"
        except BaseException:
            wire.close()
            raise
        return Stream(wire, reply)

    # watching -------------------------------------------------------------------------------------------------------

    def logs(self) -> list[dict[str, Any]]:
        """The JSON objects on standard output so far. A line that is none becomes `{"unparsed": line}`."""
        return [_parsed(line) for line in list(self.stdout)]

    def wait_log(self, wanted: Callable[[dict[str, Any]], bool], timeout: float = 5.0) -> dict[str, Any]:
        """The first log line that is `wanted`, waited for. Raises GatewayDied where the process ends first."""
        deadline = time.monotonic() + timeout
        looked_at = 0
        while True:
            lines = list(self.stdout)
            for line in lines[looked_at:]:
                if wanted(found := _parsed(line)):
                    return found
            looked_at = len(lines)
            left = deadline - time.monotonic()
            if left <= 0:
                raise AssertionError(f"no such log line in {timeout} s\n{self.output()}")
            if not self.alive and not any(reader.is_alive() for reader in self._readers):
                raise GatewayDied(f"the gateway ended with {self.process and self.process.poll()}\n{self.output()}")
            with self._changed:
                self._changed.wait(min(left, 0.1))

    def metrics_text(self) -> str:
        """The metrics page."""
        reply = self.get("/metrics", admin=True)
        assert reply.status == 200, reply
        return reply.body.decode()

    def metrics(self) -> dict[str, float]:
        """Sample (name with its labels, as written) -> value."""
        lines = (line for line in self.metrics_text().splitlines() if line and not line.startswith("#"))
        pairs = (line.rpartition(" ") for line in lines)
        return {name: float(value) for name, _, value in pairs}

    def in_flight(self) -> float:
        """Requests between admission and settlement, by the gateway's own gauge."""
        samples = self.metrics()
        return sum(value for name, value in samples.items() if name.partition("{")[0] == "trunkline_requests_in_flight")

    def held(self) -> dict[str, float]:
        """What its requests hold of limits and budgets, by the gateway's own gauges; nothing where that is nothing."""
        samples = self.metrics()
        return {name: held for name in ("trunkline_reserved_nano", "trunkline_concurrent") if (held := samples.get(name, 0.0))}

    def run(self, *words: str, timeout: float = 30.0) -> subprocess.CompletedProcess[bytes]:
        """Run another `trunkline` command in this gateway's environment."""
        return subprocess.run(
            self.command(*words), env=self.env, cwd=self.folder, capture_output=True, timeout=timeout, check=False
        )

    def ledger(self) -> list[dict[str, Any]]:
        """The rows of `trunkline usage export`."""
        done = self.run("usage", "export", "--format", "jsonl", "--data", str(self.data))
        assert done.returncode == 0, f"usage export ended with {done.returncode}: {done.stderr.decode()}"
        return [json.loads(line) for line in done.stdout.splitlines() if line]

    def stored(self) -> list[dict[str, Any]]:
        """Id, outcome and status of the rows that reached the database, oldest first.

        Read from the file: asking the command line after each of hundreds of cases would take longer than the cases.
        """
        with contextlib.closing(sqlite3.connect(f"file:{self.data}/trunkline.db?mode=ro", uri=True)) as database:
            rows = database.execute("SELECT id, outcome, status FROM usage ORDER BY started_ns").fetchall()
        return [{"id": row[0], "outcome": row[1], "status": row[2]} for row in rows]

    def stored_row(self, ident: str | None) -> dict[str, Any] | None:
        """One whole row that reached the database, by its request's id; None where there is none (yet)."""
        with contextlib.closing(sqlite3.connect(f"file:{self.data}/trunkline.db?mode=ro", uri=True)) as database:
            database.row_factory = sqlite3.Row
            row = database.execute("SELECT * FROM usage WHERE id = ?", (ident,)).fetchone()
        return None if row is None else dict(row)

    def rss(self) -> int:
        """Resident bytes."""
        for line in Path(f"/proc/{self.pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Rss:"):
                return int(line.split()[1]) * 1024
        raise AssertionError("the kernel tells no Rss")

    def fds(self) -> int:
        """Open file descriptors."""
        return sum(1 for _ in Path(f"/proc/{self.pid}/fd").iterdir())

    def cpu(self) -> float:
        """CPU seconds used so far, user and system."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def limit(self, kind: int, soft: int | None) -> None:
        """Set a soft resource limit of the running process, such as RLIMIT_NOFILE; None lifts it to the hard one."""
        hard = resource.prlimit(self.pid, kind)[1]
        resource.prlimit(self.pid, kind, (hard if soft is None else soft, hard))


Make = Callable[..., Gateway]
"""`make_gateway(config, **options)` of the fault cases: a started gateway with settings of its own."""


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {"unparsed": line}

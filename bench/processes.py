"""The processes of a benchmark: started on their core, read through /proc, ended by their own pid.

What is sent to them is in `load`; what is made of the readings is in `rows`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import wire
from forms import FORMS

_HERE = Path(__file__).parent
_HZ = os.sysconf("SC_CLK_TCK")
_QUIET = 0.25
"""Seconds a process must use no CPU before its work counts as done: the ledger writes in batches of 0.05 s."""
CLIENT_KEY = "tl-bench-0123456789abcdefghijklmnopqrstuvwxyzABCDEF"


class BenchError(Exception):
    """Something that makes a measurement worthless."""


@dataclass(frozen=True)
class Cores:
    """Where what is measured runs, and where everything else does. Both sets are the same on a machine with one core."""

    measured: frozenset[int]
    rest: frozenset[int]

    @classmethod
    def split(cls) -> Self:
        """The last core for what is measured, the others for everything else, this process included."""
        allowed = sorted(os.sched_getaffinity(0))
        measured, rest = allowed[-1:], allowed[:-1] or allowed
        os.sched_setaffinity(0, rest)
        return cls(frozenset(measured), frozenset(rest))


def free_ports(count: int) -> list[int]:
    """Ports of the loopback address that nobody listens on."""
    with contextlib.ExitStack() as stack:
        found = [stack.enter_context(socket.socket()) for _ in range(count)]
        for sock in found:
            sock.bind(("127.0.0.1", 0))
        return [int(sock.getsockname()[1]) for sock in found]


class Process:
    """One process tree. Ended, and waited for, when its block ends."""

    def __init__(self, command: Sequence[str], cores: frozenset[int], folder: Path, log: str) -> None:
        """`log`: the file in `folder` that takes both outputs."""
        self.begun = time.perf_counter()
        self._log = folder / log
        with self._log.open("ab") as out:
            self._process = subprocess.Popen(
                command,
                cwd=folder,
                env=environment(folder),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                preexec_fn=lambda: os.sched_setaffinity(0, cores),  # noqa: PLW1509 - before its first thread
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """SIGTERM, then SIGKILL."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def alive(self) -> None:
        """Raises BenchError, with the end of the log, where the process has ended."""
        if self._process.poll() is not None:
            raise BenchError(f"{self._log.stem} ended with {self._process.returncode}:\n{self._log.read_text()[-2000:]}")

    def tree(self) -> list[int]:
        """Its pid and those of its descendants."""
        found = [self._process.pid]
        for pid in found:
            for children in Path(f"/proc/{pid}/task").glob("*/children"):
                with contextlib.suppress(FileNotFoundError):
                    found += map(int, children.read_text().split())
        return found

    def cpu(self) -> float:
        """Seconds of CPU used so far by the tree, user and system, all threads."""
        ticks = 0
        for pid in self.tree():
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / _HZ

    def settled_cpu(self) -> float:
        """The same once the tree has come to rest, so that what it does behind an answer (ledger, log) is counted."""
        before, since, limit = self.cpu(), time.monotonic(), time.monotonic() + 60
        while time.monotonic() - since < _QUIET and time.monotonic() < limit:
            time.sleep(0.05)
            now = self.cpu()
            if now - before > 1.5 / _HZ:
                before, since = now, time.monotonic()
        return self.cpu()

    def memory(self) -> tuple[int, int]:
        """Resident bytes, and the share that is not another process's too (RSS, PSS)."""
        rss = pss = 0
        for pid in self.tree():
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Rss:"):
                    rss += int(line.split()[1]) * 1024
                elif line.startswith("Pss:"):
                    pss += int(line.split()[1]) * 1024
        return rss, pss

    def wait_for(self, port: int) -> None:
        """Until it takes connections on `port`. Raises BenchError."""
        limit = time.monotonic() + 20
        while time.monotonic() < limit:
            self.alive()
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return
            time.sleep(0.002)
        raise BenchError(f"{self._log.stem} does not listen on {port}")


def environment(folder: Path) -> dict[str, str]:
    """What our processes see of the environment: nothing that configures a gateway or a proxy."""
    paths = [str(Path(place).absolute()) for place in os.environ.get("PYTHONPATH", "").split(os.pathsep) if place]
    return {"PATH": os.environ.get("PATH", ""), "HOME": str(folder), "LANG": "C.UTF-8", "PYTHONPATH": os.pathsep.join(paths)}


@contextlib.contextmanager
def upstream(cores: Cores, folder: Path) -> Iterator[int]:
    """The provider, running; its port."""
    (port,) = free_ports(1)
    with Process([sys.executable, str(_HERE / "upstream.py"), str(port)], cores.rest, folder, "upstream.log") as process:
        process.wait_for(port)
        yield port


class Gateway(Process):
    """A gateway as a person would run it: keys, ledger, prices, log to a file."""

    def __init__(
        self, cores: Cores, folder: Path, upstream_port: int, *, keys: int = 1, limits: tuple[str, str] = ("", "")
    ) -> None:
        """`folder` may hold the data of an earlier one. The client's key is the last of `keys`. `limits`: more of its entry,
        and of the whole.
        """
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.port, self._admin = free_ports(2)
        self.provider_key = f"sk-bench-{folder.name}-0123456789"
        (folder / "trunkline.yaml").write_text(self._config(upstream_port, keys, *limits))
        command = [sys.executable, "-m", "trunkline", "serve", "--config", "trunkline.yaml", "--data", "data"]
        super().__init__(command, cores.measured, folder, "gateway.log")

    def _config(self, upstream_port: int, keys: int, of_key: str, more: str) -> str:
        others = "".join(f"  - {{name: key-{n}, hash: 'sha256:{n:064x}'}}\n" for n in range(1, keys))
        providers = "".join(
            f"  {form.name}: {{kind: {form.kind}, base_url: 'http://127.0.0.1:{upstream_port}{form.base}',"
            f" api_key: {self.provider_key}}}\n"
            for form in FORMS.values()
        )
        models = "".join(f"  {wire.MODEL}-{form.name}: {{targets: [{form.name}/{form.target}]}}\n" for form in FORMS.values())
        return (
            f"server: {{listen: '127.0.0.1:{self.port}', admin: '127.0.0.1:{self._admin}'}}\n"
            "providers:\n"
            f"  lab: {{kind: openai, base_url: 'http://127.0.0.1:{upstream_port}/v1', api_key: {self.provider_key},"
            " pool: {max_connections: 20000, max_waiting: 20000}}\n"
            f"{providers}models:\n  {wire.MODEL}: {{targets: [lab/{wire.TARGET}]}}\n{models}"
            f"keys:\n{others}  - {{name: client, secret: {CLIENT_KEY}{of_key}}}\n{more}"
        )

    def ledger(self) -> list[str]:
        """Outcome of every row that `trunkline usage export` gives, once each id. Raises BenchError on a doubled id."""
        command = [sys.executable, "-m", "trunkline", "usage", "export", "--format", "jsonl", "--data", "data"]
        done = subprocess.run(
            command, cwd=self.folder, env=environment(self.folder), capture_output=True, timeout=600, check=False
        )
        if done.returncode:
            raise BenchError(f"usage export ended with {done.returncode}: {done.stderr.decode()[-2000:]}")
        return done.stdout.decode().splitlines()


class Nginx(Process):
    """`proxy_pass` and nothing else, one worker, no log."""

    def __init__(self, cores: Cores, folder: Path, upstream_port: int) -> None:
        folder.mkdir(exist_ok=True)
        (self.port,) = free_ports(1)
        (folder / "nginx.conf").write_text(self._config(folder, upstream_port))
        command = [nginx_program(), "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]
        super().__init__(command, cores.measured, folder, "nginx.log")
        self.wait_for(self.port)

    def _config(self, folder: Path, upstream_port: int) -> str:
        user = "user root;" if os.geteuid() == 0 else ""
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        temporary = " ".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
        to = 'proxy_http_version 1.1; proxy_set_header Connection "";'
        return (
            f"daemon off; worker_processes 1; {user} pid {folder}/nginx.pid; events {{ worker_connections 16384; }}\n"
            f"http {{ access_log off; {temporary} client_body_buffer_size 2m; client_max_body_size 16m;\n"
            " keepalive_requests 1000000000;\n"
            f" upstream lab {{ server 127.0.0.1:{upstream_port}; keepalive 128; keepalive_requests 1000000000; }}\n"
            f" server {{ listen 127.0.0.1:{self.port} backlog=4096;\n"
            f"  location / {{ proxy_pass http://lab; {to} }}\n"
            f"  location {wire.UNBUFFERED}/ {{ proxy_pass http://lab/; proxy_buffering off; {to} }} }} }}\n"
        )


def nginx_program() -> str:
    """Where nginx is. Raises BenchError where it is not: without it there is nothing to compare with."""
    found = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if found is None:
        raise BenchError("nginx is not installed; the figures are ratios to it (Debian: apt-get install nginx-light)")
    return found

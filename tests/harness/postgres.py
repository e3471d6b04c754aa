"""A real PostgreSQL server of the tests' own: made in a temporary directory, on a free loopback port, ended by its pid.

It never runs as root: PostgreSQL refuses that. It does not sync, because nothing here has to outlast a power cut. Databases
are given out by `empty` (nothing in it) and `fresh` (a copy of one that holds the newest tables), each under a name of its own.
"""

from __future__ import annotations

import atexit
import contextlib
import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

USER = "trunkline"
PASSWORD = "pg-canary-p@ss:word/0123456789"
"""Must never be seen in a log, a message or a metric; with letters that a URL has to escape."""
QUOTED_PASSWORD = "pg-canary-p%40ss%3Aword%2F0123456789"
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "shared_buffers": "32MB",
    "max_connections": "60",
    "max_wal_size": "256MB",
    "autovacuum": "off",
    "logging_collector": "off",
    "jit": "off",
    "timezone": "UTC",
}
_TEMPLATE = "template_of_tests"
_START_SECONDS = 30.0


def programs() -> Path | None:
    """The folder of PostgreSQL's programs, the newest there is; None where there is none. Debian keeps them by version."""
    found = [place for place in Path("/usr/lib/postgresql").glob("*/bin") if (place / "initdb").exists()]
    if found:
        return max(found, key=lambda place: int(place.parent.name))
    initdb = shutil.which("initdb")
    return Path(initdb).resolve().parent if initdb else None


def _nobody() -> dict[str, Any]:
    """Whom the server runs as, for Popen: ourselves, or somebody without rights where we are root."""
    if os.getuid():
        return {}
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            who = pwd.getpwnam(name)
            return {"user": who.pw_uid, "group": who.pw_gid, "extra_groups": []}
    raise RuntimeError("there is neither a user postgres nor nobody")


class Postgres:
    """One server. `start` it, `stop` or `freeze` it in mid-run, `close` it once."""

    def __init__(self, settings: Sequence[str] = ()) -> None:
        """`settings`: more of the server's, as `name=value`."""
        place = programs()
        assert place is not None, "PostgreSQL is not installed"
        self._programs = place
        self._who = _nobody()
        self._settings = settings
        self.folder = Path(tempfile.mkdtemp(prefix="trunkline-postgres-"))
        self._data = self.folder / "data"
        self.port = _free_port()
        self._numbers = itertools.count()
        self._has_template = False
        self._process: subprocess.Popen[bytes] | None = None
        if self._who:
            os.chown(self.folder, self._who["user"], self._who["group"])
        secret = self.folder / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        words = ["initdb", "-D", str(self._data), "-U", USER, "-A", "scram-sha-256", "-E", "UTF8", "--locale=C", "-N"]
        done = self._run(*words, f"--pwfile={secret}")
        assert done.returncode == 0, done.stderr.decode()
        atexit.register(self.close)

    def _run(self, program: str, *words: str) -> subprocess.CompletedProcess[bytes]:
        command = [str(self._programs / program), *words]
        return subprocess.run(command, cwd=self.folder, capture_output=True, check=False, **self._who)

    # life -----------------------------------------------------------------------------------------------------------

    def start(self, *settings: str) -> None:
        """Start and wait until it takes connections. `settings` as for the constructor, for this time only."""
        every = [f"{name}={value}" for name, value in _SETTINGS.items()]
        every += [f"port={self.port}", f"unix_socket_directories={self.folder}", *self._settings, *settings]
        words = [word for one in every for word in ("-c", one)]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(self._programs / "postgres"), "-D", str(self._data), *words],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                **self._who,
            )
        end = time.monotonic() + _START_SECONDS
        while self._run("pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)).returncode:
            assert self._process.poll() is None, f"PostgreSQL ended\n{self.log()[-2000:]}"
            assert time.monotonic() < end, f"PostgreSQL did not start\n{self.log()[-2000:]}"
            time.sleep(0.02)

    def stop(self, number: int = signal.SIGINT) -> None:
        """End it: SIGINT breaks every connection in order, SIGQUIT at once. Harmless when it has ended."""
        process, self._process = self._process, None
        if process is not None and process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.send_signal(number)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGQUIT)
                process.wait(20)

    def restart(self, *settings: str) -> None:
        """Break every connection, and start again at the same place with the same data."""
        self.stop()
        self.start(*settings)

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Every process of it stands still: connections are taken by the kernel, and nothing answers."""
        process = self._process
        assert process is not None
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        numbers = [process.pid, *map(int, children)]
        for number in numbers:
            os.kill(number, signal.SIGSTOP)
        try:
            yield
        finally:
            for number in numbers:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(number, signal.SIGCONT)

    def close(self) -> None:
        """End it and remove all it had."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
        atexit.unregister(self.close)

    def log(self) -> str:
        """What it wrote."""
        return (self.folder / "log").read_text(errors="replace")

    # databases ------------------------------------------------------------------------------------------------------

    def url(self, database: str, *, user: str = USER, password: str = QUOTED_PASSWORD, query: str = "") -> str:
        """What stands in the configuration as `store.url`."""
        return f"postgresql://{user}:{password}@127.0.0.1:{self.port}/{database}{query}"

    def execute(self, statement: str, database: str = "postgres", **fields: Any) -> list[Any]:
        """Run one statement as the owner of everything; the rows of its answer."""
        with contextlib.closing(self.connect(database)) as connection:
            rows = connection.run(statement, **fields)
        return list(rows or [])

    def connect(self, database: str) -> Any:
        """A driver's own connection, past the code under test."""
        import pg8000.native  # noqa: PLC0415 - only where there is a server

        return pg8000.native.Connection(USER, "127.0.0.1", database, self.port, PASSWORD)

    def empty(self) -> str:
        """The name of a new database with nothing in it."""
        name = f"test_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE template0")
        return name

    def fresh(self) -> str:
        """The name of a new database with the newest tables, empty; in a fraction of the time that making them takes."""
        if not self._has_template:
            self._make_template()
        name = f"test_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE}")
        return name

    def _make_template(self) -> None:
        from trunkline.store.engine import open_store  # noqa: PLC0415 - the code under test
        from trunkline.store.url import parse  # noqa: PLC0415

        self.execute(f"CREATE DATABASE {_TEMPLATE} TEMPLATE template0")
        with tempfile.TemporaryDirectory() as data:
            open_store(Path(data), parse(self.url(_TEMPLATE))).close()
        self._has_template = True

    def drop(self, name: str) -> None:
        """Remove a database, whoever still uses it."""
        self.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

"""What commands on the data directory share, driven through the commands themselves."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from records import opened, settled
from trunkline.ledger.record import row
from trunkline.store import keys, usage
from trunkline.store.engine import open_store
from trunkline.store.lock import DataLock

FULL = Path("/dev/full")
LOOKING = [["usage"], ["usage", "export"], ["keys", "list"], ["keys", "revoke", "a"]]


def run(data: Path, *words: str, out: int | None = None, **more: str) -> subprocess.CompletedProcess[str]:
    """A command; `out` is a descriptor for its standard output, `more` of its environment."""
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path), "TRUNKLINE_DATA": str(data), "HOME": str(data)}
    env |= more
    stdout = subprocess.PIPE if out is None else out
    command = [sys.executable, "-B", "-m", "trunkline", *words]
    return subprocess.run(command, env=env, cwd=data.parent, stdout=stdout, stderr=subprocess.PIPE, text=True, check=False)


def to_a_full_disk(data: Path, *words: str) -> str:
    """What a command says when nothing can be written; it must fail, and without a traceback."""
    if not FULL.exists():
        pytest.skip("there is no /dev/full here")
    out = os.open(FULL, os.O_WRONLY)
    try:
        done = run(data, *words, out=out)
    finally:
        os.close(out)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    return done.stderr


@pytest.mark.parametrize("words", LOOKING)
def test_looking_makes_nothing(tmp_path: Path, words: list[str]) -> None:
    """A misspelt directory would become a second, empty set of accounts."""
    done = run(tmp_path / "typo", *words)
    assert done.returncode == 1
    assert str(tmp_path / "typo") in done.stderr
    assert "Name another with --data or TRUNKLINE_DATA." in done.stderr
    assert not (tmp_path / "typo").exists()


@pytest.mark.parametrize("words", [["usage"], ["usage", "--json"], ["usage", "export"], ["keys", "list"], ["check"]])
def test_output_that_is_lost_is_a_failure(tmp_path: Path, words: list[str]) -> None:
    """A script would take half a list for the whole, or a person would read a traceback."""
    data = tmp_path / "data"
    assert run(data, "keys", "create", "a").returncode == 0
    store = open_store(data)
    usage.insert(store, [row(settled(opened(1)))])
    store.close()
    assert "standard output cannot be written: No space left on device" in to_a_full_disk(data, *words)


def test_a_key_that_nobody_saw_is_revoked(tmp_path: Path) -> None:
    """A key would be valid for ever, and its name taken, that nobody has."""
    data = tmp_path / "data"
    said = to_a_full_disk(data, "keys", "create", "a")
    assert "Nobody could see the key 'a', so it was revoked again." in said
    closed = subprocess.run(
        ["sh", "-c", '"$0" -B -m trunkline keys create a >&-', sys.executable],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path), "TRUNKLINE_DATA": str(data)},
        capture_output=True,
        check=False,
    )
    assert closed.returncode == 1
    assert b"closed" in closed.stderr
    store = open_store(data)
    assert keys.live(store)[1] == []
    store.close()
    assert run(data, "keys", "create", "a").returncode == 0


def test_a_configured_store_is_the_one_that_is_used(tmp_path: Path, postgres_url: str) -> None:
    """A key made in another store than the gateway's would open nothing, and a revoked one would go on opening."""
    data, file = tmp_path / "data", tmp_path / "elsewhere.yaml"
    file.write_text(f"store: {{url: '{postgres_url}'}}\nproviders: {{openai: {{api_key: '${{ABSENT}}'}}}}\n")
    file.chmod(0o600)
    assert run(data, "keys", "create", "a", TRUNKLINE_CONFIG=str(file)).returncode == 0
    assert "a" in run(data, "keys", "list", TRUNKLINE_STORE__URL=postgres_url).stdout
    (tmp_path / "trunkline.yaml").write_text(file.read_text())
    assert "a" in run(data, "keys", "list").stdout
    assert run(data, "usage", "export", "--config", str(file)).returncode == 0
    assert not (data / "trunkline.db").exists()


def test_beside_a_gateway_with_its_store_elsewhere_none_is_made(tmp_path: Path) -> None:
    """Without that gateway's configuration, `keys create` would make a second store that nobody looks into."""
    data = tmp_path / "data"
    lock = DataLock.acquire(data)
    try:
        done = run(data, "keys", "create", "a")
    finally:
        lock.release()
    assert done.returncode == 1
    assert "has its store elsewhere" in done.stderr
    assert "--config or TRUNKLINE_CONFIG" in done.stderr
    assert not (data / "trunkline.db").exists()


def test_a_configuration_that_does_not_say_where_the_store_is_stops_the_command(tmp_path: Path) -> None:
    """To go on with the data directory's would be to guess whose keys are meant."""
    (tmp_path / "trunkline.yaml").write_text("store: {url: '${STORE_URL}'}\n")
    done = run(tmp_path / "data", "keys", "create", "a")
    assert done.returncode == 1
    assert "the environment variable STORE_URL is not set" in done.stderr
    assert not (tmp_path / "data").exists()

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

FULL = Path("/dev/full")
LOOKING = [["usage"], ["usage", "export"], ["keys", "list"], ["keys", "revoke", "a"]]


def run(data: Path, *words: str, out: int | None = None) -> subprocess.CompletedProcess[str]:
    """A command; `out` is a descriptor for its standard output."""
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path), "TRUNKLINE_DATA": str(data), "HOME": str(data)}
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

"""`trunkline backup` and `trunkline restore`, as a person or a timer calls them."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from records import settled
from trunkline.cli.main import app
from trunkline.ledger.record import row
from trunkline.store import keys, usage
from trunkline.store.engine import open_store

run = CliRunner().invoke
STORE = "postgresql://some%20body:se%2Fcret-word@db.example/x?sslmode=require"

SHOWN = "postgresql://some%20body@db.example:5432/x?sslmode=require"


@pytest.fixture
def data(tmp_path, monkeypatch):
    """A data directory with a key and records, which commands use without being told."""
    place = tmp_path / "data"
    for name in ("TRUNKLINE_CONFIG", "TRUNKLINE_STORE__URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TRUNKLINE_DATA", str(place))
    monkeypatch.chdir(tmp_path)
    store = open_store(place)
    keys.create(store, "app", None, 1)
    usage.insert(store, [row(settled(n)) for n in range(20)])
    store.close()
    return place


def test_there_and_back(data, tmp_path, monkeypatch):
    """A copy made on one machine is put back on another, and what is to be known then is said."""
    done = run(app, ["backup", "copy.db"])
    assert (done.exit_code, done.stdout) == (0, "")
    assert "Keep it safe" in done.stderr
    monkeypatch.setenv("TRUNKLINE_DATA", str(tmp_path / "other"))
    done = run(app, ["restore", "copy.db"])
    assert (done.exit_code, done.stdout) == (0, "")
    assert "revoked since it was made are valid again" in done.stderr
    assert "app" in run(app, ["keys", "list"]).stdout
    done = run(app, ["restore", "copy.db", "--force"])
    assert (done.exit_code, done.stdout) == (0, "")
    assert "trunkline.db.old" in done.stderr


def test_nothing_is_replaced_unasked(data):
    """A slip must not cost last week's copy, or the store itself."""
    assert run(app, ["backup", "copy.db"]).exit_code == 0
    for words in (["backup", "copy.db"], ["restore", "copy.db"]):
        done = run(app, words)
        assert done.exit_code == 1
        assert "--force" in done.stderr
    assert run(app, ["backup", "copy.db", "--force"]).exit_code == 0


def test_what_cannot_be_is_said_in_words(data, tmp_path):
    """A timer's mail must say what to do, without a traceback."""
    for words in (
        ["backup", "copy.db", "--data", str(tmp_path / "nowhere")],
        ["backup", "no/such/folder/copy.db"],
        ["restore", "absent.db"],
    ):
        done = run(app, words)
        assert done.exit_code == 1
        assert len(done.stderr.strip().splitlines()) == 2
        assert "Traceback" not in done.stderr


def test_how_far_it_is_is_drawn_for_people_only(data, tmp_path):
    """Gigabytes take minutes; a log of a timer must not be filled with bars."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TERM": "xterm"}
    command = [sys.executable, "-B", "-m", "trunkline", "backup", str(tmp_path / "copy.db")]
    ours, theirs = pty.openpty()
    try:
        assert subprocess.run(command, env=env, stderr=theirs, check=False).returncode == 0
        drawn = os.read(ours, 65536)
    finally:
        os.close(ours)
        os.close(theirs)
    assert b"copying" in drawn
    done = subprocess.run([*command, "--force"], env=env, capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (0, b"")
    assert b"copying" not in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["backup", "my copy"], f"pg_dump --format=custom --file='my copy' '{SHOWN}'"),
        (["restore", "my copy"], f"pg_restore --clean --if-exists --single-transaction --dbname='{SHOWN}' 'my copy'"),
    ],
)
def test_a_server_has_its_own_programs(data, monkeypatch, words, said):
    """The exact command, to paste; without the password, which would stand in the history of the shell."""
    monkeypatch.setenv("TRUNKLINE_STORE__URL", STORE)
    done = run(app, words)
    assert done.exit_code == 1
    assert said in done.stderr
    assert "cret-word" not in done.stderr

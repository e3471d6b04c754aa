"""`trunkline keys`, as a person or a script calls it."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import textwrap
from functools import partial

import pytest
from typer.testing import CliRunner

from trunkline.cli import keys as module
from trunkline.cli.keys import app
from trunkline.store import keys
from trunkline.store.engine import open_store
from trunkline.store.lock import notify

run = CliRunner().invoke


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.setenv("TRUNKLINE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.delenv("TRUNKLINE_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "data"


def _live(data):
    store = open_store(data)
    try:
        return keys.live(store)[1]
    finally:
        store.close()


def test_create_prints_the_key_alone_on_stdout(data):
    """`KEY=$(trunkline keys create ci)` must hold the key and nothing else."""
    done = run(app, ["create", "ci", "--models", "gpt-4.1, smart"])
    assert done.exit_code == 0
    assert re.fullmatch(r"tl-[A-Za-z0-9_-]{43}\n", done.stdout)
    assert "once" in done.stderr
    assert _live(data) == [keys.LiveKey("ci", hashlib.sha256(done.stdout.strip().encode()).digest(), ("gpt-4.1", "smart"))]


@pytest.mark.parametrize("models", ["", " , "])
def test_a_key_for_nothing_is_refused(data, models):
    """`--models "$MODELS"` with an empty variable would make a key that can do nothing."""
    done = run(app, ["create", "ci", "--models", models])
    assert (done.exit_code, done.stdout) == (2, "")
    assert "names no model" in done.stderr
    assert not data.exists()


def test_models_that_the_configuration_does_not_know_are_named(data, tmp_path, monkeypatch):
    """A misspelt model would show only when the key is used."""
    file = tmp_path / "t.yaml"
    file.write_text("models: {smart: {targets: [echo/echo]}}")
    monkeypatch.setenv("TRUNKLINE_CONFIG", str(file))
    done = run(app, ["create", "a", "--models", "smart,smrt,echo/*,ecco/x"])
    assert done.exit_code == 0
    assert f"Warning: {file} knows no 'smrt', 'ecco/x'." in done.stderr
    file.write_text("models: broken")
    done = run(app, ["create", "b", "--models", "smrt"])
    assert (done.exit_code, len(done.stderr.splitlines())) == (0, 1)


def test_the_directory_can_be_named(tmp_path, data):
    """`--data` wins over the environment."""
    assert run(app, ["create", "a", "--data", str(tmp_path / "other")]).exit_code == 0
    assert len(_live(tmp_path / "other")) == 1
    assert not data.exists()


def test_list_shows_every_key_and_no_secret(data):
    """Who had access, and when, is to be seen; a key is not."""
    secret = run(app, ["create", "a"]).stdout.strip()
    run(app, ["create", "[red]b", "--models", "m1,m2"])
    run(app, ["revoke", "a"])
    lines = run(app, ["list"]).stdout.splitlines()
    assert re.fullmatch(r"a +all +\d{4}-\d\d-\d\d \d\d:\d\d +revoked \d{4}-\d\d-\d\d \d\d:\d\d *", lines[1])
    assert re.fullmatch(r"\[red\]b +m1, m2 +\d{4}-\d\d-\d\d \d\d:\d\d +valid *", lines[2])
    assert secret not in "".join(lines)


def test_revoke_takes_effect(data):
    """A key that leaked is dead when the command returns."""
    run(app, ["create", "a"])
    done = run(app, ["revoke", "a"])
    assert (done.exit_code, done.stdout) == (0, "")
    assert _live(data) == []


@pytest.mark.parametrize("command", [["revoke", "nobody"], ["create", "bad\nname"]])
def test_mistakes_are_told_on_stderr(data, command):
    """No traceback for a typing error."""
    run(app, ["create", "somebody"])
    done = run(app, command)
    assert (done.exit_code, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 2


def test_a_damaged_store_is_told(data):
    """The command says what the gateway would say."""
    run(app, ["create", "a"])
    (data / "trunkline.db").write_bytes(b"junk")
    done = run(app, ["list"])
    assert done.exit_code == 1
    assert "damaged" in done.stderr
    assert "backup" in done.stderr


GATEWAY = """
    import signal, sys
    from pathlib import Path
    from trunkline.store import keys
    from trunkline.store.engine import open_store
    from trunkline.store.lock import DataLock, acknowledge
    data = Path(sys.argv[1])
    lock = DataLock.acquire(data)
    store = open_store(data)
    def load(*_):
        generation, found = keys.live(store)
        print(generation, *(key.name for key in found), flush=True)
        acknowledge(data, generation)
    if sys.argv[2] == "deaf":
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        acknowledge(data, 0)
        print("deaf", flush=True)
    else:
        signal.signal(signal.SIGHUP, load)
        load()
    sys.stdin.readline()
"""


@pytest.fixture
def gateway(data):
    """Starts a process that stands for a gateway, which loads keys on SIGHUP or is deaf to it."""
    children = []

    def start(mood):
        child = subprocess.Popen(
            [sys.executable, "-B", "-c", textwrap.dedent(GATEWAY), str(data), mood],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        children.append(child)
        return child.stdout

    yield start
    for child in children:
        child.kill()
        child.communicate()


def test_a_running_gateway_works_with_the_change_when_the_command_returns(data, gateway):
    """Revocation at once is a promise; it holds for a gateway that runs."""
    heard = gateway("listening")
    assert heard.readline() == "0\n"
    assert run(app, ["create", "a"]).exit_code == 0
    assert heard.readline() == "1 a\n"
    assert run(app, ["revoke", "a"]).exit_code == 0
    assert heard.readline() == "2\n"


def test_a_gateway_that_does_not_follow_is_told_of(data, gateway, monkeypatch):
    """The operator must not believe in a revocation that is not in force."""
    monkeypatch.setattr(module, "notify", partial(notify, seconds=0.1))
    assert gateway("deaf").readline() == "deaf\n"
    done = run(app, ["create", "a"])
    assert done.exit_code == 1
    assert done.stdout.startswith("tl-")
    assert "restart" in done.stderr

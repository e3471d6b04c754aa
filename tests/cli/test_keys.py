"""`trunkline keys`, as a person or a script calls it."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import re
import subprocess
import sys
import textwrap
import time
from functools import partial

import msgspec
import pytest
from typer.testing import CliRunner

import records
from trunkline.cli import holders
from trunkline.cli.keys import app
from trunkline.ledger.record import row
from trunkline.store import keys, usage
from trunkline.store.engine import open_store
from trunkline.store.lock import notify

run = CliRunner().invoke
teams = holders.commands("team")


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
    digest = hashlib.sha256(done.stdout.strip().encode()).digest()
    assert _live(data) == [keys.LiveKey("ci", digest, {"models": ["gpt-4.1", "smart"]})]


@pytest.mark.parametrize("models", ["", " , "])
def test_a_key_for_nothing_is_refused(data, models):
    """`--models "$MODELS"` with an empty variable would make a key that can do nothing."""
    done = run(app, ["create", "ci", "--models", models])
    assert (done.exit_code, done.stdout) == (2, "")
    assert "names nothing" in done.stderr
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
    assert (done.exit_code, len(done.stderr.splitlines())) == (0, 2)


def test_the_directory_can_be_named(tmp_path, data):
    """`--data` wins over the environment."""
    assert run(app, ["create", "a", "--data", str(tmp_path / "other")]).exit_code == 0
    assert len(_live(tmp_path / "other")) == 1
    assert not data.exists()


def test_list_shows_every_key_and_no_secret(data):
    """Who had access, and when, is to be seen; a key is not."""
    secret = run(app, ["create", "a"]).stdout.strip()
    run(app, ["create", "[red]b", "--models", "m1,m2", "--expires", "30d"])
    run(app, ["revoke", "a"])
    day = r"\d{4}-\d\d-\d\d"
    lines = run(app, ["list"]).stdout.splitlines()
    assert re.fullmatch(rf"a +all +{day} +revoked {day} +store *", lines[1])
    assert re.fullmatch(rf"\[red\]b +m1, m2 +{day} +valid until {day} +store *", lines[2])
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
    monkeypatch.setattr("trunkline.cli.data.notify", partial(notify, seconds=0.1))
    assert gateway("deaf").readline() == "deaf\n"
    done = run(app, ["create", "a"])
    assert done.exit_code == 1
    assert done.stdout.startswith("tl-")
    assert "restart" in done.stderr


FILE = """\
providers: {lab: {kind: openai, base_url: "http://127.0.0.1:1/v1", api_key: none}}
models: {smart: {targets: [lab/x]}}
teams: {lab: {limits: {rpm: 60}, budgets: [{usd: 2, per: day}]}}
keys:
  - {name: desk, secret: 0123456789abcdef, team: lab, expires: 2027-01-01, budgets: [{usd: 1234.5, per: month}]}
"""


@pytest.fixture
def file(data, tmp_path, monkeypatch):
    """A configuration."""
    path = tmp_path / "t.yaml"
    path.write_text(FILE)
    path.chmod(0o600)
    monkeypatch.setenv("TRUNKLINE_CONFIG", str(path))
    return path


def _told(*words):
    """What a command that fails says; nothing on standard output."""
    done = run(app, [*words])
    assert (done.exit_code, done.stdout) == (done.exit_code or 1, "")
    return done.stderr


def test_everything_that_can_be_said_of_a_key(data, file):
    """As options, checked by the rules of the file."""
    words = ["create", "ci", "--team", "lab", "--models", "smart", "--provider", "lab", "--endpoint", "chat.*", "--rpm", "5"]
    words += ["--address", "10.0.0.0/8", "--tag", "x,y", "--budget", "25/month@Europe/Berlin", "--priority", "high"]
    assert run(app, [*words, "--alias", "default=smart", "--expires", "2030-01-01"]).exit_code == 0
    (live,) = _live(data)
    assert live.settings == {
        "team": "lab", "models": ["smart"], "providers": ["lab"], "endpoints": ["chat.*"], "limits": {"rpm": "5"},
        "addresses": ["10.0.0.0/8"], "tags": ["x", "y"], "priority": "high", "aliases": {"default": "smart"},
        "budgets": [{"usd": "25", "per": "month", "zone": "Europe/Berlin"}],
    }  # fmt: skip
    assert live.expires_ns == 1_893_456_000 * 10**9


def test_whom_nobody_knows_makes_no_key(data, file):
    """A misspelt team would be a key that is refused; one of the file or of the store is known."""
    assert "team: there is no team 'lap'; did you mean 'lab'?" in _told("create", "a", "--team", "lap")
    assert _live(data) == []
    assert run(app, ["create", "a", "--team", "lab"]).exit_code == 0
    assert run(teams, ["create", "night"]).exit_code == 0
    assert run(app, ["update", "a", "--team", "night"]).exit_code == 0
    assert "there is no user 'ann'" in _told("update", "a", "--user", "ann")
    assert _live(data)[0].settings == {"team": "night"}
    file.write_text("teams: [")
    assert "correct this first" in _told("create", "b", "--team", "lab")


def test_a_provider_that_is_not_there_is_named(data, file):
    """As a model is: the key may be made before it."""
    done = run(app, ["create", "a", "--provider", "lap,lab", "--models", "smrt"])
    assert done.exit_code == 0
    assert "knows no 'smrt', 'lap'." in done.stderr


def test_update_changes_what_is_named(data):
    """And keeps the rest, its secret too."""
    run(app, ["create", "a", "--models", "m", "--rpm", "5", "--expires", "30d"])
    before = _live(data)[0]
    assert run(app, ["update", "a", "--tpm", "9", "--no-models"]).exit_code == 0
    after = _live(data)[0]
    assert (after.digest, after.expires_ns) == (before.digest, before.expires_ns)
    assert after.settings == {"limits": {"rpm": "5", "tpm": "9"}}
    assert run(app, ["update", "a", "--no-expires"]).exit_code == 0
    assert _live(data)[0].expires_ns is None
    assert "names no change" in _told("update", "a")
    assert "no valid key named 'b'" in _told("update", "b", "--rpm", "1")
    assert "limits.rpm: must be" in _told("update", "a", "--rpm", "x")
    assert _live(data)[0].settings == {"limits": {"rpm": "5", "tpm": "9"}}


def test_options_that_contradict_each_other_change_nothing(data):
    """One of them would win, and who wrote the other would believe in it."""
    run(app, ["create", "a"])
    assert "contradict" in _told("update", "a", "--expires", "30d", "--no-expires")
    assert "contradict" in _told("update", "a", "--rpm", "5", "--no-rpm")
    assert "contradict" in _told("update", "a", "--soft-budget", "5/day", "--no-budget")
    assert _live(data)[0].expires_ns is None


def test_a_name_or_secret_of_the_configuration_is_taken(data, file, tmp_path):
    """The configuration's counts: the client would be given a key that opens nothing, or somebody else's rights and budgets."""
    assert "has a key named 'desk' already" in _told("create", "desk")
    digest = hashlib.sha256(b"0123456789abcdef").hexdigest()
    assert "as that of the key 'desk'" in _told("import", "a", "--hash", digest)
    (tmp_path / "keys.csv").write_text("desk,0123456789abcdeX\n")
    assert "has a key named 'desk' already" in _told("import", "--from-file", str(tmp_path / "keys.csv"))
    file.write_text(FILE + "tokens: {corp: {issuer: 'https://login.example.com', audience: x}}\n")
    assert "users of the issuer 'corp' so" in _told("create", "corp:ann")
    assert _live(data) == []


@pytest.mark.parametrize("expires", ["soon", "2020-01-01", "0d", "", "99999w", "9999-12-31"])
def test_a_time_that_cannot_be(data, expires):
    """A key that is over when it is made is a mistake."""
    assert "--expires" in _told("create", "a", "--expires", expires)
    assert not data.exists()


def test_rotate_prints_the_new_key_once(data):
    """What it was opens for as long as is said, else no more."""
    old = run(app, ["create", "a"]).stdout.strip()
    done = run(app, ["rotate", "a", "--overlap", "24h"])
    assert re.fullmatch(r"tl-[A-Za-z0-9_-]{43}\n", done.stdout)
    assert "opens until" in done.stderr
    live = _live(data)[0]
    assert live.digest == hashlib.sha256(done.stdout.strip().encode()).digest()
    assert live.previous == hashlib.sha256(old.encode()).digest()
    assert "also opens    what it was, until" in run(app, ["show", "a"]).stdout
    assert "opens nothing any more" in run(app, ["rotate", "a"]).stderr
    assert _live(data)[0].previous is None
    assert "--overlap must be a duration" in _told("rotate", "a", "--overlap", "long")
    assert "no valid key" in _told("rotate", "b")


def test_import_by_hash_and_from_a_list(data, tmp_path):
    """Clients of another gateway keep their keys."""
    digest = hashlib.sha256(b"sk-of-another-gateway").digest()
    assert run(app, ["import", "a", "--hash", f"sha256:{digest.hex()}", "--team", "lab"]).exit_code == 1
    assert run(app, ["import", "a", "--hash", digest.hex(), "--rpm", "5"]).exit_code == 0
    assert _live(data) == [keys.LiveKey("a", digest, {"limits": {"rpm": "5"}})]
    listed = "name,secret\nb,sk-of-another-gateway-b\nc,sk-of-another-gateway-c\n"
    (tmp_path / "keys.csv").write_text(listed)
    done = run(app, ["import", "--from-file", str(tmp_path / "keys.csv"), "--expires", "1d"])
    assert (done.exit_code, "Took in 2 keys." in done.stderr) == (0, True)
    assert [key.name for key in _live(data)] == ["a", "b", "c"]
    again = CliRunner().invoke(app, ["import", "--from-file", "-"], input=listed.replace("b,", "d,"))
    assert (again.exit_code, "known already" in again.stderr) == (1, True)
    for words in (["import"], ["import", "x"], ["import", "--hash", "x"], ["import", "x", "--hash", "y", "--from-file", "z"]):
        assert "name either" in _told(*words)
    assert "--hash must be" in _told("import", "x", "--hash", "y")
    assert "cannot be read" in _told("import", "--from-file", str(tmp_path / "nothing"))
    (tmp_path / "bad.csv").write_text("a,b,c")
    assert "line 1" in _told("import", "--from-file", str(tmp_path / "bad.csv"))
    assert len(_live(data)) == 3


def test_the_file_s_keys_are_shown_beside_the_store_s(data, file):
    """With where each comes from, and which of two with one name counts."""
    run(app, ["create", "desk"], env={"TRUNKLINE_CONFIG": ""})
    run(app, ["create", "phone"])
    listed = json.loads(run(app, ["list", "--json"]).stdout)
    assert [(key["name"], key["source"], key["state"], key["reason"]) for key in listed] == [
        ("desk", "store", "refused", "the configuration has a key of this name"),
        ("phone", "store", "valid", ""),
        ("desk", str(file), "valid", ""),
    ]
    assert listed[2]["settings"] == {"team": "lab", "budgets": [{"usd": "1234.50", "per": "month"}]}
    text = run(app, ["show", "desk"]).stdout
    assert f"desk  valid until 2027-01-01  (from {file})" in text
    assert "limit         60 requests a minute (team lab)" in text
    assert "refused: the configuration has" in run(app, ["list"]).stdout


def test_a_key_that_is_refused_says_why(data, file):
    """An operator must not have to search for it."""
    run(app, ["create", "a", "--team", "lab"])
    file.write_text(FILE.replace("teams: {lab:", "teams: {lob:").replace("team: lab", "team: lob"))
    reason = "team: there is no team 'lab'; did you mean 'lob'?"
    assert json.loads(run(app, ["list", "--json"]).stdout)[0]["reason"] == reason
    shown = run(app, ["show", "a"])
    assert (shown.exit_code, f"a  refused: {reason}" in shown.stdout) == (0, True)
    assert "There is no key 'b'" in _told("show", "b")


def spending(n, key, team, nano):
    """What a request of now cost."""
    one = msgspec.structs.replace(records.opened(n, key=key, started_ns=time.time_ns()), team=team)
    return row(records.settled(one, cost_nano=nano))


def test_budgets_are_drawn(data, file):
    """What was spent of each, from the accounts, in its own window."""
    run(app, ["create", "a", "--team", "lab", "--budget", "4/total", "--soft-budget", "1/month@Europe/Berlin"])
    store = open_store(data)
    usage.insert(store, [spending(1, "a", "lab", 10**9), spending(2, "b", "lab", 3 * 10**9)])
    store.close()
    lines = run(app, ["show", "a"]).stdout.splitlines()
    found = {line: after for line, after in itertools.pairwise(lines) if "budget" in line}
    (total, month, team) = found.items()
    assert "$4.00 in all (key a), ever" in total[0]
    assert re.search(r"█{7}.*·+ \$1\.00 spent, 25 %", total[1])
    assert re.search(r"\$1\.00 a month, soft \(key a\), \d{4}-\d\d-01 to \d{4}-\d\d-\d\d \(Europe/Berlin\)", month[0])
    assert "█" * 30 + " $1.00 spent, 100 %" in month[1]
    assert re.search(r"\$2\.00 a day \(team lab\), \d{4}-\d\d-\d\d$", team[0])
    assert "$4.00 spent, 200 %" in team[1]

"""`trunkline users`, `teams` and `organisations`, as a person or a script calls them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from trunkline.cli import keys
from trunkline.cli.holders import commands
from trunkline.store import holders
from trunkline.store.engine import open_store

run = CliRunner().invoke
USERS, TEAMS, ORGANISATIONS = commands("user"), commands("team"), commands("organisation")


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRUNKLINE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("COLUMNS", "140")
    monkeypatch.delenv("TRUNKLINE_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "data"


def stored(data: Path) -> dict[str, object]:
    store = open_store(data)
    try:
        return {f"{one.kind} {one.name}": one.settings for one in holders.listing(store)}
    finally:
        store.close()


def test_made_changed_shown_removed(data: Path) -> None:
    """From the organisation down, and up again."""
    assert run(ORGANISATIONS, ["create", "acme", "--budget", "1000/month", "--address", "10.0.0.0/8"]).exit_code == 0
    assert run(TEAMS, ["create", "lab", "--organisation", "acme", "--rpm", "60", "--tag", "red"]).exit_code == 0
    assert run(USERS, ["create", "ann@example.com", "--team", "lab"]).exit_code == 0
    assert run(TEAMS, ["update", "lab", "--no-rpm", "--models", "m"]).exit_code == 0
    assert stored(data) == {
        "organisation acme": {"budgets": [{"usd": "1000", "per": "month"}], "addresses": ["10.0.0.0/8"]},
        "team lab": {"organisation": "acme", "tags": ["red"], "models": ["m"]},
        "user ann@example.com": {"team": "lab"},
    }
    run(keys.app, ["create", "laptop", "--user", "ann@example.com"])
    shown = run(TEAMS, ["show", "lab"]).stdout
    assert "lab  1 valid key  (from store)" in shown
    assert "organisation  acme" in shown
    assert "$1,000.00 a month (organisation acme)" in run(ORGANISATIONS, ["show", "acme"]).stdout
    assert "red" in run(TEAMS, ["list"]).stdout
    (told,) = json.loads(run(USERS, ["list", "--json"]).stdout)
    assert (told["name"], told["source"], told["keys"], told["settings"]) == ("ann@example.com", "store", 1, {"team": "lab"})
    refused = run(ORGANISATIONS, ["remove", "acme"])
    assert (refused.exit_code, "still belong: the team lab" in refused.stderr) == (1, True)
    run(keys.app, ["revoke", "laptop"])
    for app, name in ((USERS, "ann@example.com"), (TEAMS, "lab"), (ORGANISATIONS, "acme")):
        assert run(app, ["remove", name]).exit_code == 0
    assert stored(data) == {}


def test_mistakes(data: Path) -> None:
    """Told in words, and nothing is written."""
    run(TEAMS, ["create", "lab"])
    for words, says in (
        (["create", "lab"], "There is a team 'lab' already"),
        (["create", "a/b"], "a name has 1 to 64 letters"),
        (["create", "x", "--organisation", "gone"], "there is no organisation 'gone'"),
        (["create", "x", "--budget", "0/day"], "must be more than zero"),
        (["update", "lab"], "names no change"),
        (["update", "lab", "--organisation", "gone"], "there is no organisation 'gone'"),
        (["update", "x", "--rpm", "1"], "The store has no team 'x'"),
        (["remove", "x"], "The store has no team 'x'"),
        (["show", "x"], "There is no team 'x'"),
    ):
        done = run(TEAMS, words)
        assert done.exit_code in {1, 2}, words
        assert says in done.stderr, words
    assert stored(data) == {"team lab": {}}


def test_two_places(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the file are shown, count where both have one, and hold on to those of the store that they belong to."""
    file = tmp_path / "t.yaml"
    file.write_text("teams: {}")
    monkeypatch.setenv("TRUNKLINE_CONFIG", str(file))
    run(TEAMS, ["create", "lab", "--tag", "store"])
    run(ORGANISATIONS, ["create", "acme"])
    run(TEAMS, ["create", "bent"])
    file.write_text("teams: {lab: {organisation: acme, tags: [file], limits: {rpm: 7}}}\nusers: {ann: {}}\n")
    told = {(one["name"], one["source"]): one for one in json.loads(run(TEAMS, ["list", "--json"]).stdout)}
    assert told["lab", str(file)]["settings"] == {"organisation": "acme", "tags": ["file"], "limits": {"rpm": 7}}
    assert "which counts" in told["lab", "store"]["reason"]
    assert "The configuration has the user 'ann' already" in run(USERS, ["create", "ann"]).stderr
    assert "7 requests a minute (team lab)" in run(TEAMS, ["show", "lab"]).stdout
    refused = run(ORGANISATIONS, ["remove", "acme"])
    assert (refused.exit_code, "still belong: the team lab" in refused.stderr) == (1, True)
    assert run(keys.app, ["create", "k", "--team", "lab", "--user", "ann"]).exit_code == 0
    assert [one["keys"] for one in json.loads(run(USERS, ["list", "--json"]).stdout)] == [1]
    assert run(TEAMS, ["remove", "lab"]).exit_code == 1  # the stored key names it
    store = open_store(data)
    holders.change(store, "team", "bent", lambda _: {"limits": {"rpm": 0}})
    store.close()
    assert "refused: limits.rpm" in run(TEAMS, ["list"]).stdout
    assert "refused, with every key of it: limits.rpm" in run(TEAMS, ["show", "bent"]).stdout
    file.write_text("teams: [")
    assert run(TEAMS, ["list"]).exit_code == 1

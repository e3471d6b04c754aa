"""What a file says of keys, users, teams and organisations: what is wrong with it, with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from trunkline.config.load import ConfigError, load
from trunkline.config.reload import change
from trunkline.config.snapshot import Snapshot
from trunkline.meters.rule import Rule

HEAD = """\
providers: {lab: {kind: openai, base_url: "http://127.0.0.1:1/v1", api_key: none, limits: {concurrent: 9}}}
models: {smart: {targets: [lab/x], aliases: [clever], limits: {rpm: 7}}, "s-*": {targets: ["lab/*"]}}
"""
SECRET = "0123456789abcdef"


def compiled(text: str, folder: Path) -> Snapshot:
    file = folder / "t.yaml"
    file.write_text(HEAD + text)
    file.chmod(0o600)
    return load(file, {})


def one_key(fields: str) -> str:
    return f"keys:\n  - {{name: k, secret: {SECRET}, {fields}}}\n"


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("teams:\n  lab: {models: [smrt]}", 4, "teams.lab.models[0]: there is no model 'smrt'; did you mean 'smart'?"),
        (
            "users:\n  ann:\n    models: [lab]",
            5,
            "users.ann.models[0]: 'lab' is a provider; for every model of it write 'lab/*'",
        ),
        (
            "organisations:\n  acme:\n    providers:\n      - lab\n      - lap",
            7,
            "organisations.acme.providers[1]: there is no provider 'lap'; did you mean 'lab'?",
        ),
        (one_key("providers: [x]"), 4, "keys[0].providers[0]: there is no provider 'x'"),
        (one_key("endpoints: [chat]"), 4, "keys[0].endpoints[0]: no endpoint has such a name"),
        (one_key("budgets: [{usd: 1, per: day, zone: Mars}]"), 4, "keys[0].budgets[0].zone: must be a time zone"),
        (
            "teams: {a: {}, b: {}}\nusers: {ann: {team: a}}\n" + one_key("user: ann, team: b"),
            6,
            "keys[0].team: this belongs to the team 'b', but the user 'ann' to 'a'",
        ),
        (
            "organisations: {o: {}, p: {}}\nteams: {a: {organisation: o}}\nusers:\n  ann: {team: a, organisation: p}",
            6,
            "users.ann.organisation: this belongs to the organisation 'p', but the team 'a' to 'o'",
        ),
    ],
)
def test_mistakes(text: str, line: int, says: str, tmp_path: Path) -> None:
    """Each would show only when somebody is refused, or is not."""
    with pytest.raises(ConfigError) as refusal:
        compiled(text, tmp_path)
    found = [(mistake.line, f"{mistake.path}: {mistake.message}"[: len(says)]) for mistake in refusal.value.mistakes]
    assert found == [(line, says)]


def test_whom_the_file_does_not_know_the_store_may(tmp_path: Path) -> None:
    """Such a key is no mistake, and opens nothing until somebody is there: `trunkline check` and the gateway's log name it."""
    snapshot = compiled(one_key("team: night"), tmp_path)
    assert snapshot.principals == ()
    (key,) = snapshot.keys
    assert (key.name, key.where) == ("k", f"{tmp_path / 't.yaml'}:4: keys[0]")
    assert key.spec.above("team") == "night"


def test_limits_are_of_an_entry_and_of_a_provider(tmp_path: Path) -> None:
    """All names of a model together have its limits, all credentials of a provider its."""
    snapshot = compiled("", tmp_path)
    routes = [snapshot.route(name) for name in ("smart", "clever")]
    assert {one.limits for one in routes if one is not None} == {routes[0].limits if routes[0] else None}
    assert routes[0] is not None
    assert routes[0].limits.rules == (Rule("model:smart", "requests", 7),)
    assert snapshot.providers["lab"].limits.rules == (Rule("provider:lab", "concurrent", 9),)
    other = snapshot.route("s-9")
    assert other is not None
    assert other.limits.rules == ()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (one_key("models: [smart], aliases: {x: lab/y}"), "keys[0].aliases.x: this key may not use 'lab/y'"),
        (
            "teams: {a: {models: ['lab/*']}}\n" + one_key("team: a, aliases: {x: smart}"),
            "keys[0].aliases.x: this key may not use 'smart'",
        ),
        (
            "teams: {a: {providers: [echo]}}\n" + one_key("team: a, providers: [lab]"),
            "keys[0]: none of its providers is allowed to those that it belongs to",
        ),
        (
            "teams: {a: {endpoints: [embeddings]}}\n" + one_key("team: a, endpoints: ['chat.*']"),
            "keys[0]: none of its endpoints is allowed",
        ),
    ],
)
def test_what_is_of_no_use(text: str, says: str, tmp_path: Path) -> None:
    """It does no harm, and is hardly meant."""
    assert [says in line for line in compiled(text, tmp_path).warnings] == [True]


def test_what_changes_is_told(tmp_path: Path) -> None:
    """A team's change is its keys' change; a file written anew with the same in it is none."""
    text = "teams: {a: {limits: {rpm: 5}}, b: {}}\n" + one_key("team: a, addresses: [10.0.0.0/8]")
    old = compiled(text, tmp_path)
    assert change(old, compiled("\n\n" + text, tmp_path)).told() == {}
    told = change(old, compiled(text.replace("rpm: 5", "rpm: 6").replace("b: {}", "c: {}"), tmp_path)).told()
    assert told == {"keys_changed": "k", "teams_added": "c", "teams_removed": "b", "teams_changed": "a"}
    lost = change(old, compiled(text.replace("team: a,", "team: z,"), tmp_path)).told()
    assert lost == {"keys_changed": "k"}
    trusting = change(old, compiled("server: {trusted_proxies: [10.0.0.0/8]}\n" + text, tmp_path))
    assert trusting.told() == {"settings": "server.trusted_proxies"}
    assert (trusting.later, trusting.snapshot.server.trusted_proxies is not None) == ((), True)

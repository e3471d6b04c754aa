"""Mistakes of shape in words, and what is kept beside them."""

from __future__ import annotations

import time

import pytest

from trunkline.config.document import parse
from trunkline.config.mistakes import MAX_MISTAKES, Mistakes
from trunkline.config.validate import MAX_COMPARED, suggest, validate


def check(text: str):
    mistakes = Mistakes()
    document = parse(text.encode(), "f", mistakes, lambda _path, scalar: scalar)
    return validate(document, mistakes), str(mistakes.error()).splitlines()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("- a", "f:1: must be a mapping (name: value)"),
        ("a", "f:1: must be a mapping (name: value)"),
        ("servr: {}", "f:1: servr: unknown field; did you mean 'server'?"),
        ("server:\n  limits: {max_bdy: 1}", "f:2: server.limits.max_bdy: unknown field; did you mean 'max_body'?"),
        ("providers:\n  a: {base_ulr: x}", "f:2: providers.a.base_ulr: unknown field; did you mean 'base_url'?"),
        (
            "models:\n  m:\n    targets: [{to: a/b, wight: 1}]",
            "f:3: models.m.targets[0].wight: unknown field; did you mean 'weight'?",
        ),
        ("keys:\n  - {nme: k, hash: x}", "f:2: keys[0].nme: unknown field; did you mean 'name'?"),
        ("server: {zzz: 1}", "f:1: server.zzz: unknown field"),
        ("server: {tls: {crt: x}}", "f:1: server.tls.crt: unknown field; did you mean 'cert'?"),
        ("server: {tls: {cert: x}}", "f:1: server.tls.key: is required"),
        ("server: {tls: x}", "f:1: server.tls: must be a mapping (name: value)"),
        ("providers: [a]", "f:1: providers: must be a mapping (name: value)"),
        ("providers: {a b: {}}", "f:1: providers.a b: a name has 1 to 64 letters"),
        ("keys: {a: b}", "f:1: keys: must be a list"),
        ("models: {m: {targets: []}}", "f:1: models.m.targets: must not be empty"),
        ("models: {m: {}}", "f:1: models.m.targets: is required"),
        ("models: {m: {targets: [[a]]}}", "f:1: models.m.targets[0]: must be a mapping (name: value)"),
        ("log: {format: xml}", "f:1: log.format: must be 'auto', 'json' or 'pretty'"),
        ("ledger: {required: perhaps}", "f:1: ledger.required: must be true or false"),
        ("providers: {a: {kind: [x]}}", "f:1: providers.a.kind: must be a single value"),
        ("providers: {a: {tls: {verify: {}}}}", "f:1: providers.a.tls.verify: must be true or false"),
        ("server: {drain_timeout: soon}", "f:1: server.drain_timeout: must be a duration"),
        ("keys: [{name: k, hash: x, limits: {rmp: 1}}]", "f:1: keys[0].limits.rmp: unknown field; did you mean 'rpm'?"),
        ("keys: [{name: k, hash: x, budgets: [{usd: 1}]}]", "f:1: keys[0].budgets[0].per: is required"),
        ("models: {m: {targets: [a/b], limits: {rpm: 0}}}", "f:1: models.m.limits.rpm: must be a whole number from 1"),
        ("teams: {lab: {organization: a}}", "f:1: teams.lab.organization: unknown field; did you mean 'organisation'?"),
        ("users: {a b: {}}", "f:1: users.a b: a name has 1 to 64 letters"),
    ],
)
def test_mistakes_in_a_persons_words(text: str, says: str):
    """Whoever wrote the file could not tell what to change, and where."""
    _, wrong = check(text)
    assert any(found.startswith(says) for found in wrong), wrong


def test_what_is_right_is_kept_beside_what_is_wrong():
    """A wrong timeout would hide that a provider does not exist."""
    written, wrong = check(
        "server: {listen: x, drain_timeout: 5s}\n"
        "providers: {a: {base_url: ftp://x, kind: openai}, b: x}\n"
        "models: {m: {targets: [z/x, {to: y/x, wight: 1}], strategy: no}, n: x, o: {targets: [[]]}}\n"
        "keys: [{name: k, secret: short}, {secret: y}, {name: l, models: [' ']}]\n"
    )
    assert len(wrong) == 11
    assert (written.server.listen.port, written.server.drain_timeout) == (4000, 5.0)
    assert written.provider_names == {"a", "b"}
    assert list(written.providers) == ["a"]
    assert written.providers["a"].base_url is not None
    assert written.model_names == {"m", "n", "o"}
    assert [target.to for target in written.models["m"].targets] == ["z/x", "y/x"]
    assert {index: spec.name for index, spec in written.keys.items()} == {0: "k", 2: "l"}


def test_nothing_can_be_made_of_nothing():
    """A file of another kind would end with a traceback."""
    for text in ("- a", "x", "providers: x\nmodels: x\nkeys: x\nserver: x"):
        written, wrong = check(text)
        assert wrong
        assert not written.providers


def test_suggestions():
    """A slip of the pen would have to be found by eye."""
    assert suggest("opnai", ["openai", "groq"]) == "; did you mean 'openai'?"
    assert suggest("zzz", ["openai"]) == ""
    assert suggest("a1", [f"a{number}" for number in range(MAX_COMPARED + 1)]) == ""


def test_a_file_that_is_all_wrong_is_refused_soon():
    """A wrong file would hold up a start for minutes: what is asked for each mistake must not grow with the file."""
    start = time.process_time()
    found = check("server:\n" + "".join(f"  listn{number}: x\n" for number in range(5000)))[1]
    assert len(found) == MAX_MISTAKES + 1
    assert time.process_time() - start < 5

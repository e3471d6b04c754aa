"""From issuers as written to those that run, and whom a good token lets in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from trunkline.canon.errors import GatewayError
from trunkline.config.holders import Chart, enrol
from trunkline.config.load import load
from trunkline.config.mistakes import ConfigError
from trunkline.config.reload import change
from trunkline.config.snapshot import Snapshot
from trunkline.config.tokens import Guests
from trunkline.meters.rule import Rule
from trunkline.policy.tokens import Said, Token, read

BASE: dict[str, Any] = {
    "providers": {"lab": {"kind": "openai", "base_url": "http://127.0.0.1:9/v1", "api_key": "none"}},
    "models": {"m": {"targets": ["lab/tiny"]}, "n": {"targets": ["lab/small"]}},
    "organisations": {"acme": {"limits": {"rpm": 1000}}, "other": {}},
    "teams": {"lab": {"organisation": "acme", "models": ["m", "lab/*"]}, "shop": {"organisation": "other"}},
    "users": {"ann": {"limits": {"rpm": 500}, "tags": ["boss"]}},
    "tokens": {"corporate": {"issuer": "https://login.example.com/", "audience": "us"}},
}


def loaded(folder: Path, **corporate: Any) -> Snapshot:
    """The configuration with these settings of its issuer."""
    file = folder / "trunkline.yaml"
    tokens = {"corporate": {**BASE["tokens"]["corporate"], **corporate}}
    file.write_text(yaml.safe_dump({**BASE, "tokens": tokens}))
    return load(file, {})


def guests(snapshot: Snapshot) -> Guests:
    """Whom it lets in."""
    return Guests(snapshot.tokens, enrol(snapshot.holders, snapshot.keys).chart)


def said(user: str = "bob", **more: Any) -> Said:
    """What a token says."""
    return Said(
        **{"user": user, "teams": None, "organisations": None, "tags": frozenset(), "models": None, "until": 1e9, **more}
    )


def test_each_user_has_what_is_written_for_each_and_what_his_team_has(tmp_path: Path) -> None:
    """One could spend everybody's money, or would be under no team's rules."""
    each = {
        "limits": {"rpm": 5},
        "budgets": [{"usd": 2, "per": "day"}],
        "models": ["m"],
        "endpoints": ["chat.*"],
        "tags": ["sso"],
    }
    ring = guests(loaded(tmp_path, each=each))
    one = ring.let_in(
        "corporate", said(teams=("x", "lab", "shop"), tags=frozenset({"eng"}), models=frozenset({"m", "n"})), b"t" * 32
    )
    assert (one.name, one.user, one.team, one.organisation) == ("corporate:bob", "bob", "lab", "acme")
    assert set(one.rules.rules) == {
        Rule("user:bob", "requests", 5),
        Rule("user:bob", "money", 2 * 10**9, "day"),
        Rule("organisation:acme", "requests", 1000),
    }
    assert (one.label, one.token, one.expires_ns) == ("eng,sso", b"t" * 32, 10**18)
    assert [model for model in ("m", "n", "lab/tiny") if one.may_use(model)] == ["m"]
    assert one.endpoints == frozenset({"chat.completions"})
    again = ring.let_in("corporate", said(teams=("lab",)), b"u" * 32)
    assert again.digest == one.digest
    assert again.token != one.token
    assert ring.let_in("corporate", said("eve", teams=("lab",)), b"t" * 32).digest != one.digest


def test_what_is_said_of_one_user_takes_the_place_of_what_each_has(tmp_path: Path) -> None:
    """A person who needs more than others could not be given it; or would be counted twice in one counter."""
    ring = guests(loaded(tmp_path, each={"limits": {"rpm": 5, "tpm": 100}}))
    one = ring.let_in("corporate", said("ann"), b"")
    assert set(one.rules.rules) == {Rule("user:ann", "requests", 500), Rule("user:ann", "tokens", 100)}
    assert one.tags == {"boss"}


def test_an_issuer_s_prefix_keeps_its_users_from_being_others(tmp_path: Path) -> None:
    """Whoever can choose his name at one sign-in would spend the money, and have the rights, of who has it at another."""
    own = loaded(tmp_path, prefix="guest:", each={"limits": {"rpm": 5}})
    asked = own.tokens[0].asked
    token = Token("RS256", None, {"aud": "us", "exp": 2e9, "sub": "ann"}, b"", b"")
    one = guests(own).let_in("corporate", read(asked, token, 1e9), b"")
    assert (one.user, one.name, one.tags) == ("guest:ann", "corporate:guest:ann", frozenset())
    assert set(one.rules.rules) == {Rule("user:guest:ann", "requests", 5)}
    for wrong in ("", " x", ":", "x" * 33, "a b"):
        with pytest.raises(ConfigError, match=r"tokens\.corporate\.prefix"):
            loaded(tmp_path, prefix=wrong)


@pytest.mark.parametrize(
    ("names", "code"),
    [
        ({"teams": ()}, "unknown_team"),
        ({"teams": ("x", "y")}, "unknown_team"),
        ({"organisations": ("x",)}, "unknown_organisation"),
        ({"teams": ("lab",), "organisations": ("other",)}, "mismatched_holders"),
    ],
)
def test_who_belongs_to_nobody_is_refused(tmp_path: Path, names: dict[str, Any], code: str) -> None:
    """A token could name its way out of its team's limits."""
    with pytest.raises(GatewayError) as raised:
        guests(loaded(tmp_path)).let_in("corporate", said(**names), b"")
    assert (raised.value.status, raised.value.code) == (403, code)


def test_an_issuer_that_just_went_is_no_reason_to_fall(tmp_path: Path) -> None:
    """A request in the moment of a reload would be answered 500."""
    with pytest.raises(GatewayError) as raised:
        Guests((), Chart(loaded(tmp_path).holders)).let_in("corporate", said(), b"")
    assert raised.value.status == 503


def test_where_keys_are(tmp_path: Path) -> None:
    """They would be looked for elsewhere."""
    found = loaded(tmp_path).tokens[0]
    assert (found.where.url, found.where.file) == (None, None)
    assert found.place is not None
    assert (found.place.origin.host, found.asked.issuer) == ("login.example.com", "https://login.example.com/")
    (tmp_path / "keys.json").write_text("{}")
    filed = loaded(tmp_path, jwks="file:keys.json").tokens[0]
    assert (filed.where.file, filed.place) == (str(tmp_path / "keys.json"), None)
    named = loaded(tmp_path, jwks="https://keys.example.com/k?v=1").tokens[0]
    assert named.place is not None
    assert (named.where.url, named.place.path) == ("https://keys.example.com/k?v=1", "/k?v=1")


@pytest.mark.parametrize(
    ("corporate", "says"),
    [
        ({"jwks": "file:none.json"}, "tokens.corporate.jwks: there is no such file"),
        ({"each": {"models": ["x"]}}, "tokens.corporate.each.models[0]: there is no model 'x'"),
        ({"each": {"providers": ["x"]}}, "tokens.corporate.each.providers[0]: there is no provider 'x'"),
        ({"algorithms": ["HS256"]}, "tokens.corporate.algorithms[0]: must be 'RS256'"),
        ({"audiance": "us"}, "tokens.corporate.audiance: unknown field; did you mean 'audience'?"),
        ({"ca": "none.pem"}, "tokens.corporate.ca: there is no such file"),
    ],
)
def test_mistakes_are_told_with_their_line(tmp_path: Path, corporate: dict[str, Any], says: str) -> None:
    """Whoever made one would find it at the door, when nobody gets in."""
    with pytest.raises(ConfigError) as raised:
        loaded(tmp_path, **corporate)
    assert says in str(raised.value)
    assert "trunkline.yaml:" in str(raised.value)


def test_two_for_one_issuer_are_a_mistake(tmp_path: Path) -> None:
    """Which of two settings counts would be a matter of luck."""
    file = tmp_path / "trunkline.yaml"
    file.write_text(yaml.safe_dump({**BASE, "tokens": {"a": BASE["tokens"]["corporate"], "b": BASE["tokens"]["corporate"]}}))
    with pytest.raises(ConfigError, match=r"tokens\.b\.issuer: tokens\.a has the same issuer"):
        load(file, {})


def test_a_reload_says_what_changed_and_never_opens_or_locks_by_accident(tmp_path: Path) -> None:
    """Half a file would lock everybody out; a change of an issuer would not be seen."""
    old = loaded(tmp_path)
    assert change(old, loaded(tmp_path)).told() == {}
    assert change(old, loaded(tmp_path, audience="them")).told() == {"settings": "tokens.corporate"}
    assert change(old, loaded(tmp_path, each={"limits": {"rpm": 5}})).told() == {"settings": "tokens.corporate"}
    file = tmp_path / "trunkline.yaml"
    file.write_text(yaml.safe_dump({key: value for key, value in BASE.items() if key != "tokens"}))
    with pytest.raises(ConfigError, match="tokens"):
        change(old, load(file, {}))

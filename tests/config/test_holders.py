"""What a key may do after all that it belongs to; the same from the file and from the store, and closed where it is unclear."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.config.holders import NOBODY, Chart, Unfit, WrittenKey, enrol, limited, rules, settings_of
from trunkline.config.schema_holders import SPECS, KeySettings, Kind, LimitsSpec
from trunkline.meters.rule import NO_RULES, Rule
from trunkline.policy.addresses import Networks
from trunkline.policy.endpoints import named
from trunkline.policy.keys import Principal
from trunkline.store.holders import StoredHolder
from trunkline.store.keys import LiveKey

D = b"d" * 32


def chart(*stored: StoredHolder, **written: dict[str, Any]) -> Chart:
    """Of what a file says of `users`, `teams` and `organisations`, and of what is stored."""
    made = {kind: {n: spec.model_validate(it) for n, it in written.get(f"{kind}s", {}).items()} for kind, spec in SPECS.items()}
    return Chart(made, stored)


def key(the_chart: Chart, **fields: Any) -> Principal:
    return the_chart.principal("k", D, KeySettings.model_validate(fields))


ACME = chart(
    users={"ann": {"team": "lab"}, "bob": {"organisation": "acme"}, "eve": {}, "cat": {"team": "free"}},
    teams={"lab": {"organisation": "acme"}, "free": {}, "lost": {"organisation": "gone"}},
    organisations={"acme": {}, "other": {}},
)


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({}, ("", "", "")),
        ({"user": "eve"}, ("eve", "", "")),
        ({"user": "ann"}, ("ann", "lab", "acme")),
        ({"user": "bob"}, ("bob", "", "acme")),
        ({"team": "lab"}, ("", "lab", "acme")),
        ({"team": "free"}, ("", "free", "")),
        ({"organisation": "other"}, ("", "", "other")),
        ({"user": "ann", "team": "lab", "organisation": "acme"}, ("ann", "lab", "acme")),
        ({"user": "eve", "team": "free", "organisation": "other"}, ("eve", "free", "other")),
        ({"user": "bob", "team": "free"}, ("bob", "free", "acme")),
    ],
)
def test_whom_a_key_belongs_to(fields: dict[str, str], place: tuple[str, str, str]) -> None:
    """A key's team is its user's, its organisation its team's: nobody writes it twice, nobody forgets it once."""
    made = key(ACME, **fields)
    assert (made.user, made.team, made.organisation) == place


@pytest.mark.parametrize(
    ("fields", "field", "says", "missing"),
    [
        ({"user": "ann", "team": "free"}, "team", "this belongs to the team 'free', but the user 'ann' to 'lab'", False),
        (
            {"team": "lab", "organisation": "other"},
            "organisation",
            "belongs to the organisation 'other', but the team 'lab'",
            False,
        ),
        ({"user": "ann", "organisation": "other"}, "organisation", "but the team 'lab' to 'acme'", False),
        ({"user": "bob", "team": "lab"}, "", "", False),
        ({"user": "bob", "organisation": "other"}, "organisation", "but the user 'bob' to 'acme'", False),
        ({"user": "an"}, "user", "there is no user 'an'; did you mean 'ann'?", True),
        ({"team": "lap"}, "team", "there is no team 'lap'; did you mean 'lab'?", True),
        ({"organisation": "zzz"}, "organisation", "there is no organisation 'zzz'", True),
        ({"team": "lost"}, "team", "there is no organisation 'gone'", True),
    ],
)
def test_who_does_not_agree(fields: dict[str, str], field: str, says: str, missing: bool) -> None:
    """To choose one of two would take the wrong one's money."""
    if not field:
        assert key(ACME, **fields).organisation == "acme"
        return
    with pytest.raises(Unfit) as refusal:
        key(ACME, **fields)
    assert (refusal.value.field, refusal.value.missing) == (field, missing)
    assert says in str(refusal.value)


def test_what_all_say_holds_together() -> None:
    """Rights are those that all allow, tags those of any, rules those of each."""
    said = {"limits": {"rpm": 60}, "budgets": [{"usd": 5, "per": "day", "soft": True}]}
    everybody = chart(
        users={"ann": {"team": "lab", "providers": ["a", "b", "c"], "tags": ["u"], "limits": {"tpm": 9, "concurrent": 2}}},
        teams={"lab": {"organisation": "acme", "models": ["m", "n"], "endpoints": ["chat.*", "models"], **said}},
        organisations={"acme": {"addresses": ["10.0.0.0/8"], "models": ["m"], "providers": ["b", "c", "d"], "tags": ["o"]}},
    )
    made = key(
        everybody,
        user="ann",
        models=["m"],
        providers=["c", "d"],
        endpoints=["*"],
        addresses=["10.1.0.0/16"],
        tags=["k", "u"],
        priority="high",
        aliases={"x": "m"},
        expires="2027-01-01",
        budgets=[{"usd": "0.5", "per": "month", "zone": "Europe/Berlin", "alert_at": [100, 80, 80]}],
    )
    assert made == Principal(
        "k",
        D,
        frozenset({"m"}),
        {"x": "m"},
        frozenset({"k", "u", "o"}),
        "high",
        made.rules,
        "ann",
        "lab",
        "acme",
        frozenset({"c"}),
        frozenset({"chat.completions", "models"}),
        1_798_761_600 * 10**9,
        "k,o,u",
        (frozenset({"m", "n"}),),
        Networks(["10.1.0.0/16"], ["10.0.0.0/8"]),
    )
    assert made.rules.rules == (
        Rule("key:k", "money", 500_000_000, "month", "Europe/Berlin", hard=True, alert_at=(80, 100)),
        Rule("user:ann", "tokens", 9),
        Rule("user:ann", "concurrent", 2),
        Rule("team:lab", "requests", 60),
        Rule("team:lab", "money", 5 * 10**9, "day", hard=False, alert_at=(100,)),
    )


NAMES = st.none() | st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=3, unique=True)


@given(own=NAMES, users=NAMES, teams=NAMES, organisations=NAMES, model=st.sampled_from(["a", "b", "c"]))
def test_nobody_gives_more_than_he_has(
    own: list[str] | None, users: list[str] | None, teams: list[str] | None, organisations: list[str] | None, model: str
) -> None:
    """For every combination of who says something: what one of them does not allow is not allowed."""

    def said(names: list[str] | None) -> dict[str, Any]:
        return {"models": names, "providers": names} if names is not None else {}

    everybody = chart(
        users={"u": {"team": "t", **said(users)}},
        teams={"t": {"organisation": "o", **said(teams)}},
        organisations={"o": said(organisations)},
    )
    made = key(everybody, user="u", **said(own))
    may = all(names is None or model in names for names in (own, users, teams, organisations))
    assert made.may_use(model) is may
    assert made.may_ask(model) is may
    assert (made.models is None) is all(names is None for names in (own, users, teams, organisations))


def test_the_same_rules_are_one() -> None:
    """Counters are found by identity, and a reload that changes nothing must not show everything as changed."""
    one, other = (key(chart(teams={"lab": {"limits": {"rpm": 5}}}), team="lab") for _ in range(2))
    assert one.rules is other.rules
    assert rules(()) is NO_RULES
    assert limited("model:m", LimitsSpec()) is NO_RULES
    assert limited("model:m", LimitsSpec(rpm=1)) is limited("model:m", LimitsSpec(rpm=1))
    assert limited("model:m", LimitsSpec(rpm=1)).rules == (Rule("model:m", "requests", 1),)


# the store ------------------------------------------------------------------------------------------------------------


def stored(kind: Kind, name: str, **settings: Any) -> StoredHolder:
    return StoredHolder(kind, name, settings, 1)


def written(name: str, digest: bytes = D, **fields: Any) -> WrittenKey:
    return WrittenKey(name, digest, KeySettings.model_validate(fields), "t.yaml:7: keys[0]")


def test_both_places_know_each_other() -> None:
    """A stored key may belong to a team of the file, whose organisation is in the store, and so on."""
    file = {**NOBODY, "team": {"lab": SPECS["team"].model_validate({"organisation": "acme"})}}
    roll = enrol(
        file,
        [written("f", user="ann")],
        [LiveKey("s", b"s" * 32, {"team": "lab"})],
        [stored("organisation", "acme", limits={"rpm": 3}), stored("user", "ann", team="lab")],
    )
    assert [(one.name, one.user, one.team, one.organisation) for one in roll.principals] == [
        ("s", "", "lab", "acme"),
        ("f", "ann", "lab", "acme"),
    ]
    assert all(Rule("organisation:acme", "requests", 3) in one.rules.rules for one in roll.principals)
    assert (roll.refused, roll.shadowed) == ({}, ())


def test_of_one_name_the_file_s_counts_and_it_is_said() -> None:
    """Never both silently: one of them would be a restriction that nobody sees."""
    file = {**NOBODY, "team": {"lab": SPECS["team"].model_validate({"tags": ["file"]})}}
    roll = enrol(
        file,
        [written("k", team="lab")],
        [LiveKey("k", b"s" * 32, {}), LiveKey("other", b"o" * 32, {"team": "lab"})],
        [stored("team", "lab", tags=["store"])],
    )
    assert [(one.name, one.digest, one.tags) for one in roll.principals] == [
        ("other", b"o" * 32, frozenset({"file"})),
        ("k", D, frozenset({"file"})),
    ]
    assert roll.shadowed == ("team lab", "key k")


def test_what_cannot_be_read_opens_nothing() -> None:
    """Neither a key nor any key of a team that cannot be read, in whichever place; each with its reason."""
    roll = enrol(
        NOBODY,
        [written("f", team="bent"), written("g", b"g" * 32, team="gone"), written("fine", b"f" * 32)],
        [
            LiveKey("a", b"a" * 32, {"limits": {"rpm": "many"}, "nonsense": 1}),
            LiveKey("b", b"b" * 32, {"user": "ann"}),
            LiveKey("c", b"c" * 32, {}),
        ],
        [stored("team", "bent", limits={"rpm": 0}), stored("user", "ann", team="bent")],
    )
    assert [one.name for one in roll.principals] == ["c", "fine"]
    bent = "the stored team 'bent' cannot be read: limits.rpm: must be a whole number from 1 to 1000000000000"
    assert roll.refused == {
        "a": "limits.rpm: must be a whole number from 1 to 1000000000000; nonsense: unknown field",
        "b": f"user: {bent}",
        "f": f"t.yaml:7: keys[0].team: {bent}",
        "g": "t.yaml:7: keys[0].team: there is no team 'gone'",
    }
    assert (roll.chart.has("team", "bent"), roll.chart.has("user", "bent")) == (True, False)


@pytest.mark.parametrize(
    ("expires", "until", "ends"),
    [(None, 50, [(b"p", 50), (b"s", None)]), (40, 50, [(b"p", 40), (b"s", 40)]), (60, 50, [(b"p", 50), (b"s", 60)])],
)
def test_a_rotated_key_is_two(expires: int | None, until: int, ends: list[tuple[bytes, int | None]]) -> None:
    """What it was has the same rights, for as long as the overlap, and never longer than the key itself."""
    one = LiveKey("s", b"s", {"models": ["m"]}, expires, b"p", until)
    made = enrol(NOBODY, [], [one]).principals
    assert [(each.digest, each.expires_ns) for each in made] == ends
    assert {(each.name, each.models) for each in made} == {("s", frozenset({"m"}))}


def test_the_nearer_of_two_ends_counts() -> None:
    """One in the settings is not outlived by the one beside them."""
    far, near = 1_798_761_600 * 10**9, 1_798_761_599 * 10**9
    for beside, ends in ((near, near), (far + 1, far), (None, far)):
        assert enrol(NOBODY, [], [LiveKey("s", D, {"expires": "2027-01-01"}, beside)]).principals[0].expires_ns == ends


def test_what_did_not_change_is_not_made_again() -> None:
    """Each new key would take as long as all ten thousand."""
    keys = [LiveKey(f"k{n}", bytes([n]) * 32, {"team": "lab"}) for n in range(3)]
    team = stored("team", "lab", tags=["x"])
    first = enrol(NOBODY, [], keys, [team])
    changed = [keys[0], LiveKey("k1", keys[1].digest, {"team": "lab", "tags": ["y"]}), LiveKey("k9", b"9" * 32, {})]
    second = enrol(NOBODY, [], changed, [team], first)
    assert second.principals[0] is first.principals[0]
    assert [(one.name, one.label) for one in second.principals] == [("k0", "x"), ("k1", "x,y"), ("k9", "")]
    third = enrol(NOBODY, [], changed, [stored("team", "lab", tags=["z"])], second)
    assert [(one.name, one.label) for one in third.principals] == [("k0", "z"), ("k1", "y,z"), ("k9", "")]


def test_settings_are_checked_as_the_file_is() -> None:
    """Whoever writes into the store is told as whoever writes the file."""
    assert settings_of("team", {"organisation": "acme"}).above("organisation") == "acme"
    with pytest.raises(ValueError, match=r"^limits\.rpm: must be .*; user: unknown field$"):
        settings_of("team", {"user": "ann", "limits": {"rpm": "x"}})
    assert named("*")

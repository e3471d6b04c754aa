"""What a token must be and say: a table of wrong ones with the reason, and that nothing else but a reason ever comes out."""

from __future__ import annotations

import base64
import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.policy.tokens import (
    MAX_TAGS,
    MAX_TOKEN_BYTES,
    Bad,
    Issuer,
    Names,
    Said,
    issuer_of,
    look_up,
    looks_like_token,
    mismatched,
    no_keys,
    read,
    take_apart,
    unknown,
)

NOW = 1_800_000_000.0
GOOD: dict[str, Any] = {"iss": "https://login", "aud": "us", "sub": "ann", "exp": NOW + 60, "iat": NOW - 5}
ISSUER = Issuer("corporate", "https://login", frozenset({"us", "them"}), frozenset({"RS256"}))


def encoded(value: object) -> bytes:
    """One part."""
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def token(header: object = None, claims: object = None) -> bytes:
    """One with a signature that nobody looks at."""
    return b".".join((encoded(header or {"alg": "RS256"}), encoded(GOOD if claims is None else claims), encoded(b"signed")))


def told(issuer: Issuer = ISSUER, now: float = NOW, **claims: Any) -> Said:
    """What a token with these claims says."""
    return read(issuer, take_apart(token(claims={**GOOD, **claims})), now)


def reason(issuer: Issuer = ISSUER, now: float = NOW, **claims: Any) -> str:
    """Why it does not count."""
    with pytest.raises(Bad) as raised:
        told(issuer, now, **claims)
    return raised.value.reason


def test_a_good_token_comes_apart() -> None:
    """The signature would be checked over other bytes than were sent, or by another key."""
    whole = token({"alg": "RS256", "kid": "one", "typ": "at+JWT"})
    found = take_apart(whole)
    assert (found.algorithm, found.kid, found.claims["sub"]) == ("RS256", "one", "ann")
    assert (found.signed, found.signature) == (whole.rpartition(b".")[0], b"signed")
    assert issuer_of(found) == "https://login"
    assert looks_like_token(whole)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (b"", "malformed"),
        (b"tl-something", "malformed"),
        (b"a.b", "malformed"),
        (b"..", "malformed"),
        (token() + b".e30", "malformed"),
        (token() + b"=", "malformed"),
        (token() + b"\n", "malformed"),
        (b"a" + token()[1:], "malformed"),
        (token() + b"A" * MAX_TOKEN_BYTES, "malformed"),
        (token(b'{"alg":"RS256"') + b"", "malformed"),
        (token(b"[]"), "malformed"),
        (token(b'{"alg":"none","alg":"RS256"}'), "malformed"),
        (token(b"\xff\xfe{}"), "malformed"),
        (token(b'\xef\xbb\xbf{"alg":"RS256"}'), "malformed"),
        (token(claims=b'{"a":NaN}'), "malformed"),
        (token(claims=b'{"a":-Infinity}'), "malformed"),
        (token(claims=b'{"a":{"b":1,"b":1}}'), "malformed"),
        (token(claims=b'{"a":' + b"[" * 2000 + b"]" * 2000 + b"}"), "malformed"),
        (token(claims=b'{"a":' + b"9" * 5000 + b"}"), "malformed"),
        (token({"alg": 5}), "header"),
        (token({"typ": "JWT"}), "header"),
        (token({"alg": "RS256", "typ": "logout+jwt"}), "header"),
        (token({"alg": "RS256", "typ": None}), "header"),
        (token({"alg": "RS256", "crit": []}), "header"),
        (token({"alg": "RS256", "b64": True}), "header"),
        (token({"alg": "RS256", "kid": ""}), "header"),
        (token({"alg": "RS256", "kid": 5}), "header"),
    ],
)
def test_a_wrong_form_is_refused(wrong: bytes, why: str) -> None:
    """One reader would see another token than the next one."""
    with pytest.raises(Bad) as raised:
        take_apart(wrong)
    assert raised.value.reason == why


def test_bits_that_stand_for_nothing_must_be_zero() -> None:
    """One token could be written in many ways, each of which would have to be verified anew."""
    assert base64.urlsafe_b64decode(b"QR==") == base64.urlsafe_b64decode(b"QQ==")
    head, body, _ = token().split(b".")
    take_apart(b".".join((head, body, b"QQ")))
    take_apart(b".".join((head, body, b"QUE")))
    take_apart(b".".join((head, body, b"QUFB")))
    for end in (b"QR", b"QUF", b"QUFBQ"):
        with pytest.raises(Bad):
            take_apart(b".".join((head, body, end)))


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"aud": "others"}, "audience"),
        ({"aud": None}, "audience"),
        ({"aud": []}, "audience"),
        ({"aud": {"us": 1}}, "audience"),
        ({"aud": ["us", 5]}, "audience"),
        ({"exp": NOW - 30}, "expired"),
        ({"exp": None}, "malformed"),
        ({"exp": "1900000000"}, "malformed"),
        ({"exp": True}, "malformed"),
        ({"exp": -1}, "malformed"),
        ({"exp": 2**60}, "malformed"),
        ({"nbf": NOW + 31}, "too_early"),
        ({"nbf": []}, "malformed"),
        ({"iat": NOW + 31}, "too_early"),
        ({"iat": "now"}, "malformed"),
        ({"sub": None}, "subject"),
        ({"sub": 5}, "subject"),
        ({"sub": ""}, "subject"),
        ({"sub": " ann"}, "subject"),
        ({"sub": "a\x00b"}, "subject"),
        ({"sub": "x" * 256}, "subject"),
    ],
)
def test_claims_that_do_not_hold(claims: dict[str, Any], why: str) -> None:
    """A token for somebody else, or for another time, would open this gateway."""
    assert reason(**claims) == why


def test_a_claim_that_is_not_there() -> None:
    """A token without an end would be good for ever."""
    for name, why in (("exp", "expired"), ("aud", "audience"), ("sub", "subject")):
        claims = {key: value for key, value in GOOD.items() if key != name}
        with pytest.raises(Bad) as raised:
            read(ISSUER, take_apart(token(claims=claims)), NOW)
        assert raised.value.reason == why
    with pytest.raises(Bad, match="issuer"):
        issuer_of(take_apart(token(claims={"iss": 5})))


def test_an_algorithm_that_is_not_allowed() -> None:
    """A token signed in a way that the operator does not trust would count."""
    with pytest.raises(Bad, match="header"):
        read(ISSUER, take_apart(token({"alg": "RS512"})), NOW)


def test_clocks_may_differ_by_so_much_and_no_more() -> None:
    """Tokens would be refused for a second's difference; or count long after their end."""
    assert told(exp=NOW - 29).until == NOW + 1
    assert told(nbf=NOW + 30, iat=NOW + 30).user == "ann"
    assert reason(exp=NOW - 30) == "expired"


def test_the_age_of_a_token_can_be_bounded() -> None:
    """A token that is good for a year would stay so although the operator wants people to sign in each day."""
    young = Issuer("c", "i", frozenset({"us"}), frozenset({"RS256"}), leeway=10, max_age=100)
    assert told(young, iat=NOW - 50, exp=NOW + 9999).until == NOW + 60
    assert told(young, iat=NOW - 50, exp=NOW + 20).until == NOW + 30
    assert reason(young, iat=NOW - 110) == "too_old"
    claims = {key: value for key, value in GOOD.items() if key != "iat"}
    with pytest.raises(Bad, match="too_old"):
        read(young, take_apart(token(claims=claims)), NOW)


@pytest.mark.parametrize(
    ("there", "wanted", "holds"),
    [
        (True, "true", True),
        ("true", "true", True),
        (False, "true", False),
        (None, "true", False),
        (1, "true", False),
        (1, "1", True),
        ([False, True], "true", True),
        (["staff", "ops"], "ops", True),
        ([], "ops", False),
        ({"ops": 1}, "ops", False),
        (1.0, "1.0", False),
    ],
)
def test_what_is_required_must_stand_there(there: object, wanted: str, holds: bool) -> None:
    """A person whose address nobody checked would come in; or one who is all right would not."""
    strict = Issuer("c", "i", frozenset({"us"}), frozenset({"RS256"}), require=(("a.b", wanted),))
    if holds:
        assert told(strict, a={"b": there}).user == "ann"
    else:
        assert reason(strict, a={"b": there}) == "requirement"
        assert reason(strict) == "requirement"


def test_names_are_found_by_name_and_by_path() -> None:
    """Claims whose names are URLs could not be used; nor could those in objects."""
    claims = {"https://example.com/team": "lab", "a": {"b": {"c": 5}}, "a.b": "whole"}
    assert look_up(claims, "https://example.com/team") == "lab"
    assert look_up(claims, "a.b") == "whole"
    assert look_up(claims, "a.b.c") == 5
    assert look_up(claims, "a.x.c") is None
    assert look_up(claims, "a.b.c.d") is None


def test_what_a_token_says_of_its_holder() -> None:
    """People would be in no team, or in one that the token does not name; or rules would not see their tags."""
    names = Names(user="email", team="groups", organisation="org", tags="scope", models="m")
    mapped = Issuer("c", "i", frozenset({"us"}), frozenset({"RS256"}), claims=names)
    said = told(mapped, email="ann@x", groups=["a", "b"], org="acme", scope="ops,x staff 0k", m=["one two", "lab/*"])
    assert said == Said(
        "ann@x", ("a", "b"), ("acme",), frozenset({"staff", "0k"}), frozenset({"one", "two", "lab/*"}), NOW + 90
    )
    bare = told(mapped, email="ann@x")
    assert (bare.teams, bare.organisations, bare.tags, bare.models) == ((), (), frozenset(), frozenset())
    plain = told()
    assert (plain.teams, plain.organisations, plain.tags, plain.models) == (None, None, frozenset(), None)
    assert len(told(mapped, email="x", scope=[f"t{n}" for n in range(100)]).tags) == MAX_TAGS
    for wrong in ({"groups": 5}, {"org": {"a": 1}}, {"scope": [1]}, {"m": True}):
        assert reason(mapped, email="x", **wrong) == "subject"


def test_what_looks_like_a_token() -> None:
    """Keys of ours would be taken apart, or a megabyte would be."""
    assert not looks_like_token(b"tl-" + b"A" * 43)
    assert not looks_like_token(b"ey" + b"A" * MAX_TOKEN_BYTES)


def test_refusals_say_what_to_do_and_nothing_of_the_token() -> None:
    """A person could not tell his operators what is missing; or would read in a log what stood in his token."""
    assert (unknown("team").status, unknown("team").code) == (403, "unknown_team")
    assert (mismatched().status, mismatched().code) == (403, "mismatched_holders")
    assert (no_keys().status, no_keys().retry_after, no_keys().retryable) == (503, 1.0, True)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
NAMED = Issuer(
    "c",
    "i",
    frozenset({"us"}),
    frozenset({"RS256"}),
    max_age=50.0,
    claims=Names("sub", "t", "o.o", "g", "m"),
    require=(("r", "true"),),
)


@given(
    header=st.dictionaries(st.sampled_from(["alg", "typ", "kid", "crit", "x"]), JSON, max_size=4),
    claims=st.dictionaries(
        st.sampled_from(["iss", "aud", "sub", "exp", "nbf", "iat", "t", "o", "g", "m", "r"]),
        JSON | st.sampled_from(["us", NOW, True, {"o": "x"}]),
        max_size=9,
    ),
)
def test_whatever_a_token_holds_it_is_read_or_refused(header: dict[str, Any], claims: dict[str, Any]) -> None:
    """A token could break the gateway instead of being refused."""
    try:
        found = take_apart(token({"alg": "RS256"} | header, claims))
        issuer_of(found)
        said = read(NAMED, found, NOW)
    except Bad:
        return
    assert said.user
    assert said.until > NOW


@given(st.binary(max_size=200) | st.from_regex(rb"[A-Za-z0-9_=-]{0,20}(\.[A-Za-z0-9_-]{0,40}){0,4}", fullmatch=True))
def test_any_bytes_are_taken_apart_or_refused(data: bytes) -> None:
    """Anybody's bytes could break the gateway."""
    with contextlib.suppress(Bad):
        assert take_apart(data).signed in data

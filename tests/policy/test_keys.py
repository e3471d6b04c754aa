"""Client keys: who is recognised, and what each may ask for."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.policy.keys import (
    MAX_KEY_BYTES,
    KeyRing,
    Principal,
    invalid,
    not_allowed,
    not_from_here,
    not_this_way,
    not_to_them,
)


def principal(key: bytes, name: str = "one", models: frozenset[str] | None = None) -> Principal:
    """The principal of `key`."""
    return Principal(name, hashlib.sha256(key).digest(), models)


@pytest.mark.parametrize(
    ("allowed", "model", "may"),
    [
        (None, "gpt-4.1", True),
        (None, "lab/anything", True),
        ((), "gpt-4.1", False),
        (("gpt-4.1",), "gpt-4.1", True),
        (("gpt-4.1",), "gpt-4.1-mini", False),
        (("gpt-4.1",), "GPT-4.1", False),
        (("lab/*",), "lab/tiny", True),
        (("lab/*",), "lab/org/tiny", True),
        (("lab/*",), "lab/", True),
        (("lab/*",), "lab", False),
        (("lab/*",), "labx/tiny", False),
        (("lab/tiny",), "lab/tiny", True),
        (("lab/tiny",), "lab/large", False),
        (("/*",), "gpt-4.1", False),
        (("*",), "gpt-4.1", False),
    ],
)
def test_what_a_key_may_use(allowed: Sequence[str] | None, model: str, may: bool) -> None:
    """A key made for the cheap model must not open the dear one; a key made for a provider opens all of it."""
    models = None if allowed is None else frozenset(allowed)
    assert principal(b"k", models=models).may_use(model) is may


@pytest.mark.parametrize(
    ("allowed", "model", "entry", "may"),
    [
        (("smart",), "fast", "smart", True),
        (("fast",), "fast", "smart", True),
        (("fast",), "smart", "smart", False),
        (("fast",), "other", "smart", False),
        (("gpt-*",), "gpt-5", "gpt-*", True),
        (("gpt-*",), "claude", "claude-*", False),
        (("gpt-4",), "gpt-5", "gpt-*", False),
        ((), "fast", "smart", False),
        (("lab/*",), "fast", "smart", False),
    ],
)
def test_what_a_key_may_use_by_another_name(allowed: Sequence[str], model: str, entry: str, may: bool) -> None:
    """A key for a model may use all of its names; a key for one of its names no other."""
    assert principal(b"k", models=frozenset(allowed)).may_use(model, entry) is may


def test_names_mean_what_the_key_says() -> None:
    """One team's `default` is another model than the other's; a name is looked up once, so that none leads in a circle."""
    one = Principal("one", b"d", aliases={"default": "smart", "smart": "default"})
    assert [one.meant(name) for name in ("default", "smart", "other")] == ["smart", "default", "other"]


@pytest.mark.parametrize(
    "key", [b"", b"tl-other", b"a" * (MAX_KEY_BYTES + 1), b"\xff\xfe", hashlib.sha256(b"tl-good").digest()]
)
def test_unknown_keys_are_nobody(key: bytes) -> None:
    """Whatever is not a key, a stored digest least of all, opens nothing."""
    assert KeyRing([principal(b"tl-good")]).find(key) is None


def test_the_longest_key_is_still_read() -> None:
    """Keys that people choose themselves in the file may be long."""
    key = b"a" * MAX_KEY_BYTES
    ring = KeyRing([principal(key, "long")])
    found = ring.find(key)
    assert found is not None
    assert found.name == "long"


def test_of_two_with_one_key_the_later_counts() -> None:
    """Who assembles the ring decides by the order whose rights hold."""
    found = KeyRing([principal(b"tl-good", "store"), principal(b"tl-good", "file")]).find(b"tl-good")
    assert found is not None
    assert found.name == "file"


def test_a_damaged_ring_opens_nothing() -> None:
    """A digest that is filed under another's must not let the other in."""
    ring = KeyRing([principal(b"tl-good")])
    ring._by_digest[hashlib.sha256(b"tl-evil").digest()] = principal(b"tl-good")
    assert ring.find(b"tl-evil") is None


@given(st.sets(st.binary(min_size=1, max_size=40), max_size=6), st.binary(max_size=40))
def test_a_ring_knows_its_keys_and_no_other(keys: set[bytes], asked: bytes) -> None:
    """Exactly the keys that were put in are found, each as itself."""
    ring = KeyRing(principal(key, key.hex()) for key in keys)
    found = ring.find(asked)
    assert (found is not None) == (asked in keys)
    assert found is None or found.name == asked.hex()


def test_the_refusal_names_the_model_shortly() -> None:
    """A developer must see which model was meant; a hostile name must not fill the log or break its line."""
    error = not_allowed("a\nb" * 200)
    assert (error.status, error.code, error.param) == (403, "model_not_allowed", "model")
    assert "\n" not in error.message
    assert len(error.message) < 500


def test_a_ring_knows_whether_a_principal_is_still_in_force() -> None:
    """Asked again when a body is in: a key revoked meanwhile must not be honoured."""
    held, gone = Principal("held", b"a" * 32), Principal("gone", b"b" * 32)
    ring = KeyRing([held])
    assert ring.holds(held, 0)
    assert not ring.holds(gone, 0)


def test_the_401_is_constant() -> None:
    """It says nothing of the key it refuses."""
    error = invalid()
    assert (error.status, error.code, error.message) == (401, "invalid_api_key", "The API key is not valid.")


@pytest.mark.parametrize(
    ("sets", "model", "entry", "may"),
    [
        ([{"lab/*"}, {"lab/tiny"}], "lab/tiny", "", True),
        ([{"lab/*"}, {"lab/tiny"}], "lab/large", "", False),
        ([{"fast"}, {"smart"}], "fast", "smart", True),
        ([{"fast"}, {"smart"}], "smart", "smart", False),
        ([{"gpt-*"}, {"gpt-5"}, {"gpt-5", "x"}], "gpt-5", "gpt-*", True),
        ([{"gpt-*"}, {"gpt-5"}, {"x"}], "gpt-5", "gpt-*", False),
    ],
)
def test_all_whom_it_belongs_to_must_allow_a_model(sets: list[set[str]], model: str, entry: str, may: bool) -> None:
    """A key must not reach beyond its team, whatever each of them calls the model."""
    first, *rest = map(frozenset, sets)
    assert Principal("one", b"d", first, also=tuple(rest)).may_use(model, entry) is may


def test_whom_its_requests_may_go_to() -> None:
    """Everybody where nothing is said."""
    assert Principal("one", b"d").may_ask("lab")
    one = Principal("one", b"d", providers=frozenset({"lab"}))
    assert [one.may_ask(name) for name in ("lab", "labx")] == [True, False]


def test_a_key_ends_at_its_moment() -> None:
    """Not a nanosecond later, and one without an end never; a body that arrives after it is refused too."""
    ends = Principal("one", b"a" * 32, expires_ns=100)
    assert [ends.expired(now) for now in (99, 100, 101)] == [False, True, True]
    assert not Principal("one", b"a" * 32).expired(2**63)
    assert [KeyRing([ends]).holds(ends, now) for now in (99, 100)] == [True, False]


def test_the_other_refusals() -> None:
    """A developer must see what of the key is in the way, by a code that does not change."""
    told = [not_from_here(), not_this_way("chat.completions"), not_to_them("m" * 999), not_to_them("")]
    assert [error.status for error in told] == [403] * 4
    assert [error.code for error in told] == [
        "address_not_allowed",
        "endpoint_not_allowed",
        "provider_not_allowed",
        "provider_not_allowed",
    ]
    assert "chat.completions" in told[1].message
    assert len(told[2].message) < 500

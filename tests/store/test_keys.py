"""Client keys in the store."""

from __future__ import annotations

import hashlib
import re

import pytest

from trunkline.store import keys
from trunkline.store.engine import open_store
from trunkline.store.errors import StoreError
from trunkline.store.place import DATABASE


@pytest.fixture
def store(tmp_path):
    opened = open_store(tmp_path)
    yield opened
    opened.close()


def test_a_key_is_shown_once_and_only_its_digest_kept(store, tmp_path):
    """Whoever steals the database must not have the keys."""
    key, generation = keys.create(store, "laptop", ["gpt-4.1", "smart"], 5)
    assert re.fullmatch(r"tl-[A-Za-z0-9_-]{43}", key)
    digest = hashlib.sha256(key.encode()).digest()
    assert keys.live(store) == (generation, [keys.LiveKey("laptop", digest, ("gpt-4.1", "smart"))])
    store.close()
    for path in tmp_path.iterdir():
        assert key[3:].encode() not in path.read_bytes()
    assert (tmp_path / DATABASE).exists()


def test_keys_are_never_alike(store):
    """Two clients with one key would be one client."""
    assert len({keys.create(store, str(n), None, n)[0] for n in range(50)}) == 50


def test_revoking_takes_a_key_out_and_leaves_its_trace(store):
    """A revoked key is refused from the next reading on; who had it when stays known. Its name is free again."""
    keys.create(store, "ci", None, 1)
    keys.revoke(store, "ci", 2)
    assert keys.live(store)[1] == []
    keys.create(store, "ci", (), 3)
    assert [key.models for key in keys.live(store)[1]] == [()]
    assert keys.listing(store) == [keys.StoredKey("ci", None, 1, 2), keys.StoredKey("ci", (), 3, None)]


def test_each_change_raises_the_generation(store):
    """A gateway that acknowledged a generation works with every change up to it."""
    assert keys.live(store)[0] == 0
    _, first = keys.create(store, "a", None, 1)
    _, second = keys.create(store, "b", None, 1)
    third = keys.revoke(store, "a", 2)
    assert (first, second, third, keys.live(store)[0]) == (1, 2, 3, 3)


def test_a_change_that_fails_changes_nothing(store):
    """Names are unique among valid keys, or an account could not be told apart."""
    keys.create(store, "a", None, 1)
    with pytest.raises(StoreError, match="already"):
        keys.create(store, "a", None, 2)
    with pytest.raises(StoreError, match="no valid key"):
        keys.revoke(store, "b", 2)
    assert keys.live(store)[0] == 1


@pytest.mark.parametrize("name", ["", " a", "a\n", "a\x1b[31m", "x" * 65, "\ud800"])
def test_unfit_names_are_refused(store, name):
    """Names go into logs, metrics and tables: nothing that breaks a line or paints a terminal."""
    for change in (lambda: keys.create(store, name, None, 1), lambda: keys.revoke(store, name, 1)):
        with pytest.raises(StoreError, match="no name"):
            change()

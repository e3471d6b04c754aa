"""Client keys in the store."""

from __future__ import annotations

import hashlib
import re
import threading
from typing import Any

import pytest
from sqlalchemy import update

from trunkline.store import holders, keys
from trunkline.store.engine import Store, open_store
from trunkline.store.errors import StoreError
from trunkline.store.keys import Edit, LiveKey, StoredKey
from trunkline.store.place import DATABASE
from trunkline.store.tables import keys as table


def digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()


def test_a_key_is_shown_once_and_only_its_digest_kept(tmp_path):
    """Whoever steals the database must not have the keys."""
    store = open_store(tmp_path)
    key, generation = keys.create(store, "laptop", {"models": ["gpt-4.1", "smart"]}, 5)
    assert re.fullmatch(r"tl-[A-Za-z0-9_-]{43}", key)
    assert keys.live(store) == (generation, [LiveKey("laptop", digest(key), {"models": ["gpt-4.1", "smart"]})])
    second, _ = keys.rotate(store, "laptop", 6, 100)
    store.close()
    for path in tmp_path.iterdir():
        for secret in (key, second):
            assert secret[3:].encode() not in path.read_bytes()
    assert (tmp_path / DATABASE).exists()


def test_keys_are_never_alike(store: Store):
    """Two clients with one key would be one client."""
    made = {keys.create(store, str(n), None, n)[0] for n in range(20)} | {keys.rotate(store, "1", 1, 0)[0] for n in range(20)}
    assert len(made) == 40


def test_revoking_takes_a_key_out_and_leaves_its_trace(store: Store):
    """A revoked key is refused from the next reading on; who had it when stays known. Its name is free again."""
    keys.create(store, "ci", None, 1)
    keys.rotate(store, "ci", 1, 10)
    keys.revoke(store, "ci", 2)
    assert keys.live(store)[1] == []
    keys.create(store, "ci", {"team": "lab"}, 3, 99)
    assert [(key.settings, key.expires_ns) for key in keys.live(store)[1]] == [({"team": "lab"}, 99)]
    assert keys.listing(store) == [
        StoredKey("ci", {}, 1, revoked_ns=2, previous_until_ns=10),
        StoredKey("ci", {"team": "lab"}, 3, expires_ns=99),
    ]


def test_each_change_raises_the_generation(store: Store):
    """A gateway that acknowledged a generation works with every change up to it."""
    assert keys.live(store)[0] == 0
    numbers = [
        keys.create(store, "a", None, 1)[1],
        keys.adopt(store, [("b", b"b" * 32)], {}, 1),
        keys.change(store, "a", lambda key: Edit(key.settings, 5)),
        keys.rotate(store, "a", 1, 2)[1],
        holders.create(store, "team", "lab", {}, 1),
        holders.change(store, "team", "lab", lambda settings: settings),
        holders.remove(store, "team", "lab"),
        keys.revoke(store, "a", 2),
    ]
    assert numbers == [1, 2, 3, 4, 5, 6, 7, 8]
    assert keys.everyone(store)[0] == 8


def test_a_change_that_fails_changes_nothing(store: Store):
    """Names are unique among valid keys, or an account could not be told apart."""
    keys.create(store, "a", None, 1)
    with pytest.raises(StoreError, match="already"):
        keys.create(store, "a", None, 2)
    for change in (
        lambda: keys.revoke(store, "b", 2),
        lambda: keys.rotate(store, "b", 2, 3),
        lambda: keys.change(store, "b", lambda key: Edit(key.settings, None)),
    ):
        with pytest.raises(StoreError, match="no valid key"):
            change()

    def wrong(_: StoredKey) -> Edit:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        keys.change(store, "a", wrong)
    assert keys.live(store)[0] == 1


@pytest.mark.parametrize("name", ["", " a", "a\n", "a\x1b[31m", "x" * 65, "\ud800"])
def test_unfit_names_are_refused(store: Store, name: str):
    """Names go into logs, metrics and tables: nothing that breaks a line or paints a terminal."""
    for change in (
        lambda: keys.create(store, name, None, 1),
        lambda: keys.adopt(store, [(name, b"a" * 32)], {}, 1),
        lambda: keys.rotate(store, name, 1, 2),
        lambda: keys.revoke(store, name, 1),
    ):
        with pytest.raises(StoreError, match="no name"):
            change()


def test_what_it_was_opens_for_a_while_after_a_rotation(store: Store):
    """Clients are given the new one while the old one still works; a third one never does."""
    first, _ = keys.create(store, "a", None, 1)
    second, _ = keys.rotate(store, "a", 10, 20)
    assert keys.live(store)[1] == [LiveKey("a", digest(second), {}, None, digest(first), 20)]
    third, _ = keys.rotate(store, "a", 11, 30)
    assert keys.live(store)[1] == [LiveKey("a", digest(third), {}, None, digest(second), 30)]
    fourth, _ = keys.rotate(store, "a", 12, 12)
    assert keys.live(store)[1] == [LiveKey("a", digest(fourth), {})]


def test_taken_in_all_or_none(store: Store):
    """Half an import would have to be found out by hand."""
    known, _ = keys.create(store, "known", None, 1)
    before, _ = keys.rotate(store, "known", 1, 2)[0], None
    keys.create(store, "gone", None, 1)
    keys.revoke(store, "gone", 2)
    fresh = [("x", b"x" * 32), ("y", b"y" * 32)]
    for bad, says in (
        (("known", b"z" * 32), "There is a key named 'known' already"),
        (("x", b"z" * 32), "There is a key named 'x' already"),
        (("z", b"x" * 32), "known already, as that of the key 'x'"),
        (("z", digest(known)), "known already, as that of the key 'known'"),
        (("z", digest(before)), "known already"),
        (("bad\n", b"z" * 32), "no name"),
    ):
        with pytest.raises(StoreError, match=says):
            keys.adopt(store, [*fresh, bad], {}, 3)
    assert [key.name for key in keys.live(store)[1]] == ["known"]
    keys.adopt(store, fresh, {"team": "lab"}, 3, 9)
    assert keys.live(store)[1][1:] == [LiveKey(name, one, {"team": "lab"}, 9) for name, one in fresh]


def test_a_revoked_key_is_never_taken_in_again(store: Store):
    """It was revoked because it leaked."""
    keys.adopt(store, [("a", b"a" * 32)], {}, 1)
    keys.revoke(store, "a", 2)
    with pytest.raises(StoreError, match="revoked already"):
        keys.adopt(store, [("b", b"a" * 32)], {}, 3)


def test_what_an_older_version_kept_holds(store: Store):
    """Its models stood in a column of their own: to lose them would open every model."""
    keys.create(store, "old", None, 1)
    with store.begin() as connection:
        connection.execute(update(table).values(models=["m"]))
    assert keys.live(store)[1][0].settings == {"models": ["m"]}
    assert keys.listing(store)[0].settings == {"models": ["m"]}
    keys.change(store, "old", lambda key: Edit({**key.settings, "team": "lab"}, None))
    assert keys.live(store)[1][0].settings == {"models": ["m"], "team": "lab"}
    keys.change(store, "old", lambda _: Edit({}, None))
    assert keys.live(store)[1][0].settings == {}


@pytest.mark.parametrize("settings", [None, [], "m", 5])
def test_what_is_no_mapping_is_none_that_anybody_would_take(store: Store, settings: Any):
    """Taken for empty, it would be a key without any restriction."""
    keys.create(store, "a", None, 1)
    holders.create(store, "team", "lab", {}, 1)
    with store.begin() as connection:
        connection.execute(update(table).values(settings=settings))
        connection.execute(update(holders.holders).values(settings=settings))
    assert keys.live(store)[1][0].settings == {"settings": settings}
    assert holders.listing(store)[0].settings == {"settings": settings}


def test_two_that_change_one_key_at_once_both_count(store: Store):
    """Each reads, thinks and writes: the second must see what the first wrote."""
    keys.create(store, "a", {"n": 0}, 1)
    others = threading.Barrier(2, timeout=10)

    def add() -> None:
        others.wait()
        for _ in range(10):
            keys.change(store, "a", lambda key: Edit({"n": key.settings["n"] + 1}, None))

    threads = [threading.Thread(target=add) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert keys.live(store)[1][0].settings == {"n": 20}


def test_who_was_quicker_has_the_name(store: Store, monkeypatch: pytest.MonkeyPatch):
    """Two machines make a key of one name at one moment: one of them is told, nothing is made twice."""
    keys.create(store, "a", None, 1)
    monkeypatch.setattr(keys._Known, "add", lambda *_: None)
    for pair in (("a", b"x" * 32), ("b", keys.live(store)[1][0].digest)):
        with pytest.raises(StoreError, match="at this moment"):
            keys.adopt(store, [("c", b"c" * 32), pair], {}, 1)
    assert [key.name for key in keys.live(store)[1]] == ["a"]

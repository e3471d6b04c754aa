"""Users, teams and organisations in the store."""

from __future__ import annotations

import pytest

from trunkline.store import holders, keys
from trunkline.store.engine import Store
from trunkline.store.errors import StoreError
from trunkline.store.holders import StoredHolder
from trunkline.store.keys import Edit


def test_made_changed_listed(store: Store) -> None:
    """By kind and name; one name may be a user's and a team's."""
    holders.create(store, "team", "lab", {"organisation": "acme"}, 3)
    holders.create(store, "user", "lab", {}, 1)
    holders.create(store, "organisation", "acme", {}, 2)
    holders.change(store, "team", "lab", lambda settings: {**settings, "tags": ["x"]})
    found = [
        StoredHolder("organisation", "acme", {}, 2),
        StoredHolder("team", "lab", {"organisation": "acme", "tags": ["x"]}, 3),
        StoredHolder("user", "lab", {}, 1),
    ]
    assert holders.listing(store) == found
    assert keys.everyone(store)[2] == found


def test_a_name_is_taken_once(store: Store) -> None:
    """Two of one name would be one account."""
    holders.create(store, "organisation", "acme", {}, 1)
    with pytest.raises(StoreError, match="There is an organisation 'acme' already"):
        holders.create(store, "organisation", "acme", {"tags": ["x"]}, 2)
    assert holders.listing(store) == [StoredHolder("organisation", "acme", {}, 1)]


def test_what_is_not_there_cannot_be_changed(store: Store) -> None:
    """The remedy says where else it may stand."""
    holders.create(store, "team", "lab", {}, 1)
    for change in (lambda: holders.remove(store, "user", "lab"), lambda: holders.change(store, "user", "lab", dict)):
        with pytest.raises(StoreError, match="The store has no user 'lab'") as refusal:
            change()
        assert "configuration" in refusal.value.remedy


def test_nothing_is_removed_that_something_belongs_to(store: Store) -> None:
    """A key would lose its team's limits, or be refused: neither is what somebody meant who removed a team."""
    holders.create(store, "organisation", "acme", {}, 1)
    holders.create(store, "team", "lab", {"organisation": "acme"}, 1)
    holders.create(store, "user", "ann", {"team": "lab"}, 1)
    for n in range(7):
        keys.create(store, f"k{n}", {"team": "lab"}, 1)
    generation = keys.live(store)[0]
    with pytest.raises(StoreError, match=r"belong: the key k0, the key k1, the key k2, the key k3, the key k4 and 3 more\."):
        holders.remove(store, "team", "lab")
    with pytest.raises(StoreError, match=r"To the organisation 'acme' still belong: the team lab\."):
        holders.remove(store, "organisation", "acme")
    assert keys.live(store)[0] == generation
    assert len(holders.listing(store)) == 3
    for n in range(7):
        keys.revoke(store, f"k{n}", 2)
    holders.change(store, "user", "ann", lambda _: {})
    for kind in ("team", "organisation", "user"):
        holders.remove(store, kind, {"team": "lab", "organisation": "acme", "user": "ann"}[kind])
    assert holders.listing(store) == []


def test_a_failed_edit_changes_nothing(store: Store) -> None:
    """What cannot be is refused by the one who edits, in mid-transaction."""
    holders.create(store, "team", "lab", {"tags": ["x"]}, 1)
    keys.create(store, "a", {}, 1)

    def wrong(_: object) -> Edit:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        holders.change(store, "team", "lab", wrong)
    assert holders.listing(store)[0].settings == {"tags": ["x"]}

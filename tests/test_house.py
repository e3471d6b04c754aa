"""What outlives the listeners: opened, its keys read, closed."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.gateway import KEY
from records import opened, settled
from trunkline import house as houses
from trunkline.config.load import load
from trunkline.house import House
from trunkline.ledger.record import row
from trunkline.store import keys, sums, usage
from trunkline.store.engine import open_store
from trunkline.store.errors import StoreError
from trunkline.store.lock import acknowledge


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """What outlives the listeners, with no keys and no providers configured."""
    opened = houses.open_house(load(None, {}), tmp_path / "data")
    yield opened
    with contextlib.suppress(OSError):  # a test may have closed it
        houses.close_house(opened)


def loaded(house: House) -> list[str]:
    """What the data directory says about who works with which keys."""
    return (house.data / "keys.loaded").read_text().split()


def test_the_first_key_is_made_once(house: House) -> None:
    """Who starts for the first time gets a key; who revoked all keys must not be given a new one by a restart."""
    key = houses.first_key(house.snapshot, house.store)
    assert key is not None
    assert key.startswith("tl-")
    assert houses.first_key(house.snapshot, house.store) is None
    keys.revoke(house.store, "first", 1)
    assert houses.first_key(house.snapshot, house.store) is None


def with_keys(tmp_path: Path, **names: str) -> Path:
    """A configuration file with these client keys."""
    file = tmp_path / "trunkline.yaml"
    file.write_text(json.dumps({"keys": [{"name": name, "secret": secret} for name, secret in names.items()]}))
    return file


def test_no_first_key_beside_configured_ones(tmp_path: Path) -> None:
    """A key in the file is the way in: another, printed on every first start of a container, would be a leak."""
    house = houses.open_house(load(with_keys(tmp_path, laptop=KEY), {}), tmp_path / "data")
    assert houses.first_key(house.snapshot, house.store) is None
    houses.reload_keys(house)
    assert house.live.keys.find(KEY.encode()) is not None
    assert houses.close_house(house)


def test_no_first_key_where_tokens_let_in(tmp_path: Path) -> None:
    """Who takes tokens only would have a key that may do everything in the log of his first start."""
    file = tmp_path / "trunkline.yaml"
    file.write_text(json.dumps({"tokens": {"corporate": {"issuer": "https://login.example.com/", "audience": "us"}}}))
    house = houses.open_house(load(file, {}), tmp_path / "data")
    assert houses.first_key(house.snapshot, house.store) is None
    assert houses.close_house(house)


def test_keys_are_read_again(house: House) -> None:
    """Created keys open, revoked ones do not, and whoever waits for it is told by process and generation."""
    key, generation = keys.create(house.store, "laptop", {"models": ["m"]}, 1)
    assert house.live.keys.find(key.encode()) is None
    houses.reload_keys(house)
    principal = house.live.keys.find(key.encode())
    assert principal is not None
    assert (principal.name, principal.models) == ("laptop", frozenset(["m"]))
    assert loaded(house) == [str(os.getpid()), str(generation)]
    generation = keys.revoke(house.store, "laptop", 2)
    houses.reload_keys(house)
    assert house.live.keys.find(key.encode()) is None
    assert loaded(house) == [str(os.getpid()), str(generation)]


def test_a_name_in_both_places_is_told(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Accounts by key would mix two holders: the configuration's counts, and it is said, once."""
    house = houses.open_house(load(with_keys(tmp_path, laptop=KEY, phone=f"{KEY}-2"), {}), tmp_path / "data")
    for name in ("laptop", "ci"):
        made = keys.create(house.store, name, None, 1)[0]
        assert house.live.keys.find(made.encode()) is None
        houses.reload_keys(house)
        assert (house.live.keys.find(made.encode()) is not None) is (name == "ci")
    houses.close_house(house)
    told = [line for line in map(json.loads, capfd.readouterr().out.splitlines()) if "of two with one name" in line["event"]]
    assert [(line["level"], line["names"]) for line in told] == [("warning", "key laptop")]


def test_a_key_in_both_places_has_the_rights_of_the_file(tmp_path: Path) -> None:
    """Who reads the file must be able to trust what it says."""
    house = houses.open_house(load(None, {}), tmp_path / "data")
    key, _ = keys.create(house.store, "stored", {"models": ["m"]}, 1)
    houses.close_house(house)
    house = houses.open_house(load(with_keys(tmp_path, written=key), {}), tmp_path / "data")
    houses.reload_keys(house)
    principal = house.live.keys.find(key.encode())
    houses.close_house(house)
    assert principal is not None
    assert (principal.name, principal.models) == ("written", None)


def test_a_directory_that_others_see_is_told(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """It is left as it is, for it may be theirs; what is in it is ours alone."""
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o755)
    for place in ("open", "own"):
        houses.close_house(houses.open_house(load(None, {}), tmp_path / place))
    events = [json.loads(line)["event"] for line in capfd.readouterr().out.splitlines()]
    assert events == ["others than its owner may look into the data directory", "stopped", "stopped"]
    assert {path.stat().st_mode & 0o077 for path in (tmp_path / "open").iterdir()} == {0}


def test_a_slow_reading_brings_back_no_revoked_key(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two signals in a row: the reading that began first must not have the last word with what it saw."""
    key, _ = keys.create(house.store, "laptop", None, 1)
    real, began, go_on = keys.everyone, threading.Event(), threading.Event()

    def slow(store: Any) -> Any:
        found = real(store)
        if not began.is_set():
            began.set()
            go_on.wait(5)
        return found

    monkeypatch.setattr(keys, "everyone", slow)
    first = threading.Thread(target=houses.reload_keys, args=(house,))
    first.start()
    assert began.wait(5)
    generation = keys.revoke(house.store, "laptop", 2)
    second = threading.Thread(target=houses.reload_keys, args=(house,))
    second.start()
    second.join(0.1)
    go_on.set()
    first.join()
    second.join()
    assert house.live.keys.find(key.encode()) is None
    assert loaded(house)[1] == str(generation)


def test_what_is_owed_when_the_store_is_broken(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stop in trouble says so and keeps the journal; it neither hangs nor claims that all is booked."""
    monkeypatch.setattr(house.writer, "flush", lambda _: False)
    assert houses.close_house(house) is False


def test_one_gateway_per_data_directory(house: House) -> None:
    """Two would write one ledger; the second is told who has it."""
    with pytest.raises(StoreError, match=f"process {os.getpid()}"):
        houses.open_house(house.snapshot, house.data)


def test_a_journal_that_cannot_be(tmp_path: Path) -> None:
    """A file where its directory should be: words, not a trace."""
    (tmp_path / "journal").write_text("")
    with pytest.raises(StoreError, match=r"journal .* cannot be used"):
        houses.open_house(load(None, {}), tmp_path)


def test_acknowledged_only_by_the_one_who_serves(house: House) -> None:
    """An acknowledgement of an earlier process must not count as this one's."""
    acknowledge(house.data, 99)
    houses.reload_keys(house)
    assert loaded(house) == [str(os.getpid()), "0"]


def test_old_records_are_deleted_by_the_thread_that_stores_them(tmp_path: Path) -> None:
    """`ledger.retention` holds without a cron job; what is young enough stays, and so do the sums."""
    file = tmp_path / "trunkline.yaml"
    file.write_text("ledger: {retention: 7d}")
    now = time.time_ns()
    store = open_store(tmp_path / "data")
    usage.insert(store, [row(settled(opened(n, started_ns=now - n * 5 * 86_400 * 10**9))) for n in range(4)])
    store.close()
    house = houses.open_house(load(file, {}), tmp_path / "data")
    end = time.monotonic() + 10
    while b"trunkline_ledger_pruned_total 2" not in house.metrics.page().render():
        assert time.monotonic() < end
        time.sleep(0.01)
    assert [int(one["id"]) for one in usage.export(house.store, None, None)] == [1, 0]
    assert sums.totals(house.store, "key", None, None)[0].requests == 4
    assert houses.close_house(house)

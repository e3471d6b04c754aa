"""The configuration changes under a running process: by signal, by command, by the file itself."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.client import Reply
from harness.gateway import KEY, Gateway, settings
from harness.upstream import Upstream
from trunkline import house as houses
from trunkline import reloading
from trunkline.canon.wire import Origin
from trunkline.config.reload import Source
from trunkline.house import House
from trunkline.reloading import Reloader
from trunkline.store import keys
from trunkline.store.lock import ask

OTHER_KEY = f"{KEY}-other"
AWS = {"kind": "bedrock", "region": "eu-central-1", "aws": {"access_key_id": "AKID", "secret_access_key": "aws-secret-one"}}


@pytest.fixture
def gateway(upstream: Upstream, tmp_path: Path) -> Iterator[Gateway]:
    """The real process; its file is followed."""
    upstream.clear()
    with Gateway(settings(upstream.url), tmp_path) as running:
        yield running


def write(gateway: Gateway, config: dict[str, Any] | str) -> None:
    """Change the file."""
    gateway.config_file.write_text(config if isinstance(config, str) else yaml.safe_dump(config))


def listed(gateway: Gateway, key: str = KEY) -> Reply:
    """What this key is told of the models."""
    return gateway.get("/v1/models", key=key)


def models(gateway: Gateway) -> set[str]:
    """Names of the models."""
    return {one["id"] for one in json.loads(listed(gateway).body)["data"]}


def logged(gateway: Gateway, event: str) -> dict[str, Any]:
    """The first log line of this event, waited for."""
    return gateway.wait_log(lambda line: line.get("event") == event)


def test_the_file_is_followed(gateway: Gateway, upstream: Upstream) -> None:
    """Nobody signals: a deployment tool only writes. Half a file, completed in time, is not even seen."""
    config = settings(upstream.url)
    config["keys"].append({"name": "laptop", "secret": OTHER_KEY})
    text = yaml.safe_dump(config)
    write(gateway, text[: len(text) // 2])
    write(gateway, text)
    assert logged(gateway, "configuration applied")["keys_added"] == "laptop"
    assert listed(gateway, OTHER_KEY).status == 200
    assert not [line for line in gateway.logs() if line.get("level") in {"warning", "error"}]
    gateway.config_file.rename(gateway.folder / "away")
    logged(gateway, "configuration refused; the old one stays in force")
    assert listed(gateway, OTHER_KEY).status == 200
    (gateway.folder / "away").rename(gateway.config_file)
    logged(gateway, "configuration unchanged")
    assert gateway.metrics()["trunkline_config_last_reload_ok"] == 1


def test_a_bad_file_keeps_no_revoked_key(gateway: Gateway) -> None:
    """`trunkline keys revoke` must hold whatever is being written into the file."""
    data = ["--data", str(gateway.data)]
    key = gateway.run("keys", "create", "laptop", *data).stdout.decode().strip()
    write(gateway, "models: [")
    assert listed(gateway, key).status == 200
    assert gateway.run("keys", "revoke", "laptop", *data).returncode == 0
    assert listed(gateway, key).status == 401
    logged(gateway, "configuration refused; the old one stays in force")


def test_stored_keys_stay_beside_a_new_file(gateway: Gateway, upstream: Upstream) -> None:
    """Keys made by command are not the file's to take away; of a name in both places the file's counts, and that is told."""
    key, other = (
        gateway.run("keys", "create", name, "--data", str(gateway.data)).stdout.decode().strip() for name in ("phone", "laptop")
    )
    config = settings(upstream.url)
    config["keys"] = [{"name": "laptop", "secret": OTHER_KEY}]
    write(gateway, config)
    assert ask(gateway.data) is not None
    assert [listed(gateway, one).status for one in (key, other, OTHER_KEY, KEY)] == [200, 401, 200, 401]
    told = gateway.wait_log(lambda line: "of two with one name" in str(line.get("event")))
    assert told["names"] == "key laptop"


def test_connections_to_a_place_that_is_gone_are_closed(gateway: Gateway, upstream: Upstream) -> None:
    """A provider that was moved away from sees our connections go."""
    assert gateway.chat().status == 200
    assert upstream.open == 1
    with Upstream() as other:
        write(gateway, settings(other.url))
        verdict = ask(gateway.data)
        assert verdict is not None
        assert verdict.lines == ("providers changed: lab", "models changed: costly, m, patient")
        upstream.wait(lambda: upstream.open == 0)
        assert gateway.chat().status == 200
        assert len(other.requests) == 1


def test_without_a_file_a_signal_changes_nothing(tmp_path: Path) -> None:
    """Zero configuration: what was found at the start is what there is; the signal ends nothing."""
    gateway = Gateway("", tmp_path, env={"TRUNKLINE_SERVER__LISTEN": "127.0.0.1:0", "TRUNKLINE_SERVER__ADMIN": "127.0.0.1:0"})
    gateway.config_file.unlink()
    gateway.serve_words = lambda: ["serve", "--data", str(gateway.data)]  # type: ignore[method-assign]
    with gateway:
        verdict = ask(gateway.data)
        assert verdict is not None
        assert (verdict.result, verdict.lines) == ("unchanged", ())


def test_a_signal_while_it_drains_revokes(gateway: Gateway, upstream: Upstream) -> None:
    """A key that is revoked during a long drain has ended, too."""
    with gateway.stream(model="patient", mock="hold_at=1;frames=2") as stream:
        assert stream.next() is not None
        gateway.terminate()
        logged(gateway, "draining")
        assert ask(gateway.data) is not None
        upstream.release()
        stream.rest()
    assert gateway.wait(5) == 0


# by hand: what no process shows --------------------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A configuration with a provider that signs."""
    place = tmp_path / "trunkline.yaml"
    change(place, providers={"aws": AWS})
    place.chmod(0o600)
    return place


def change(place: Path, **sections: Any) -> None:
    """Write these sections."""
    place.write_text(yaml.safe_dump({"keys": [{"name": "laptop", "secret": KEY}], **sections}))


@contextlib.contextmanager
def opened(file: Path, data: Path) -> Iterator[House]:
    """What outlives the listeners."""
    source = Source(file, {})
    house = houses.open_house(source.load(), data, source)
    yield house
    houses.close_house(house)


@pytest.fixture
def house(file: Path, tmp_path: Path) -> Iterator[House]:
    """What outlives the listeners; where its log goes, nobody looks."""
    with opened(file, tmp_path / "data") as house:
        yield house


async def follow(house: House, kept: list[set[Origin]]) -> Reloader:
    """Its reloader, as a running gateway has it."""
    specs = reloading._specs(house.snapshot)
    house.live.credentials = reloading.follow_credentials({}, specs, {})
    return Reloader(house, asyncio.get_running_loop(), lambda origins: kept.append(set(origins)))


async def signal_and_wait(reloader: Reloader) -> None:
    """One reading, to its end."""
    reloader.signalled()
    await until(lambda: not reloader._running)


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop turn until `condition()` holds: a thread's work shows in no other way."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


def test_the_swap_is_one(house: House, file: Path) -> None:
    """A request that takes what is in force, takes parts that belong together; what is the same keeps the token it has."""
    kept: list[set[Origin]] = []

    async def main() -> None:
        reloader = await follow(house, kept)
        first = house.live.credentials["aws"]
        old = house.live.snapshot, house.live.keys, house.live.credentials
        change(file, providers={"aws": AWS, "more": AWS | {"region": "us-east-1"}})
        await signal_and_wait(reloader)
        assert house.live.credentials["aws"] is first
        assert set(house.live.credentials) == {"aws", "more"}
        now = house.live.snapshot, house.live.keys, house.live.credentials
        assert not any(one is before for one, before in zip(now, old, strict=True))
        change(file, providers={"aws": AWS | {"region": "eu-west-1"}})
        await signal_and_wait(reloader)
        assert house.live.credentials["aws"] is not first
        assert set(house.live.credentials) == {"aws"}
        assert kept[1:] == [{one.origin for one in house.snapshot.providers.values()}]

    asyncio.run(main())


def test_secrets_of_before_stay_masked(file: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A request that began with the old credential may still say it when the new one is in force."""
    with opened(file, tmp_path / "data") as house:

        async def main() -> None:
            reloader = await follow(house, [])
            rotated = AWS | {"aws": {"access_key_id": "AKID", "secret_access_key": "aws-secret-two"}}
            change(file, providers={"aws": rotated})
            await signal_and_wait(reloader)

        asyncio.run(main())
        house.log.event("info", "said", what="aws-secret-one and aws-secret-two")
    said = [line for line in map(json.loads, capfd.readouterr().out.splitlines()) if line["event"] == "said"]
    assert [line["what"] for line in said] == ["*** and ***"]


def test_a_fault_of_ours_is_told_and_ends_nothing(house: House, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reading that breaks must not be the last one."""
    real, broken = reloading.change, [True]

    def sometimes(*args: Any) -> Any:
        if broken.pop():
            raise ZeroDivisionError
        return real(*args)

    monkeypatch.setattr(reloading, "change", sometimes)

    async def main() -> None:
        reloader = await follow(house, [])
        before = house.live.snapshot
        await signal_and_wait(reloader)
        assert house.live.snapshot is before
        broken.append(False)
        change(file, providers={"aws": AWS}, ledger={"required": True})
        await signal_and_wait(reloader)
        assert house.snapshot.ledger.required

    asyncio.run(main())


def test_a_signal_during_a_reading_is_another_reading(house: House, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was written after the first one had looked, must not be missed."""
    real, readings = reloading.change, []

    def writing(*args: Any) -> Any:
        readings.append(args)
        if len(readings) == 1:
            change(file, providers={"aws": AWS}, ledger={"required": True})
            loop.call_soon_threadsafe(reloader.signalled)
        return real(*args)

    monkeypatch.setattr(reloading, "change", writing)

    async def main() -> None:
        nonlocal loop, reloader
        loop, reloader = asyncio.get_running_loop(), await follow(house, [])
        reloader.signalled()
        await until(lambda: house.snapshot.ledger.required)

    loop: Any = None
    reloader: Any = None
    asyncio.run(main())
    assert len(readings) == 2


def test_a_place_that_cannot_be_written_is_told(file: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The configuration is in force all the same; the command will say that it was not told."""
    (tmp_path / "data" / "config.read.new").mkdir(parents=True)
    with opened(file, tmp_path / "data") as house:

        async def main() -> None:
            await signal_and_wait(await follow(house, []))

        asyncio.run(main())
    assert "`trunkline reload` cannot be told" in capfd.readouterr().out


def test_nothing_changes_after_the_end(house: House, file: Path) -> None:
    """The last signal comes when the loop has no more turns to give."""

    async def main() -> None:
        reloader = await follow(house, [])
        before = house.live.snapshot
        reloader.watch()
        reloader.signalled()
        change(file, providers={"aws": AWS}, ledger={"required": True})
        reloader.close()
        reloader.signalled()
        await asyncio.get_running_loop().shutdown_default_executor()
        assert house.live.snapshot is before

    asyncio.run(main())


def test_no_watching_where_it_is_not_wanted(house: House, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`server.watch: false`: nothing happens until somebody says so; and it can be turned on again."""
    monkeypatch.setattr(reloading, "LOOK", 0.01)
    monkeypatch.setattr("trunkline.config.reload.SETTLED", 0.02)
    looks = []
    assert house.source is not None
    real = house.source.look
    monkeypatch.setattr(house.source, "look", lambda: looks.append(1) or real())  # type: ignore[func-returns-value]

    async def main() -> None:
        reloader = await follow(house, [])
        change(file, providers={"aws": AWS}, server={"watch": False})
        await signal_and_wait(reloader)
        looks.clear()
        reloader.watch()
        change(file, providers={"aws": AWS}, ledger={"required": True})
        await asyncio.sleep(0.1)
        assert (looks, house.snapshot.ledger.required) == ([], False)
        await signal_and_wait(reloader)
        assert house.snapshot.ledger.required
        change(file, providers={"aws": AWS})
        await until(lambda: not house.snapshot.ledger.required)
        reloader.close()

    asyncio.run(main())


def test_keys_that_cannot_be_read_keep_no_file_from_being(house: House, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the other way round: a broken store is no reason to stay with an old file."""

    def broken(_: object) -> Any:
        raise houses.StoreError("It is broken.", "Mend it.")

    monkeypatch.setattr(keys, "live", broken)

    async def main() -> None:
        reloader = await follow(house, [])
        change(file, providers={"aws": AWS}, ledger={"required": True})
        await signal_and_wait(reloader)
        assert house.snapshot.ledger.required

    asyncio.run(main())


def test_a_signal_by_hand_is_enough(gateway: Gateway, upstream: Upstream) -> None:
    """`systemctl reload` sends nothing else."""
    config = settings(upstream.url)
    config["models"]["fresh"] = {"targets": ["lab/tiny"]}
    write(gateway, config)
    os.kill(gateway.pid, signal.SIGHUP)
    logged(gateway, "configuration applied")
    assert "fresh" in models(gateway)


def test_prices_are_taken_up_at_once(gateway: Gateway, upstream: Upstream) -> None:
    """Who corrects a price must not lose the day until a restart; the file's counts before the store's."""
    place = ["--data", str(gateway.data), "--config", str(gateway.config_file)]
    assert gateway.chat().header("x-trunkline-cost-usd") is None
    done = gateway.run("prices", "set", "--provider", "lab", "--model", "*", "--input", "1000", "--output", "0", *place)
    assert done.returncode == 0, done.stderr
    assert gateway.chat().header("x-trunkline-cost-usd") == "0.007000000"
    config = settings(upstream.url)
    config["prices"] = [{"provider": "lab", "model": "*", "request": 2}]
    write(gateway, config)
    verdict = ask(gateway.data)
    assert verdict is not None
    assert (verdict.result, verdict.lines) == ("applied", ("settings: prices",))
    assert gateway.chat().header("x-trunkline-cost-usd") == "2.000000000"
    write(gateway, settings(upstream.url))
    assert ask(gateway.data) is not None
    assert gateway.chat().header("x-trunkline-cost-usd") == "0.007000000"
    assert gateway.run("prices", "remove", "1", *place).returncode == 0
    assert gateway.chat().header("x-trunkline-cost-usd") is None

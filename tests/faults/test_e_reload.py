"""E3: the configuration is read again while requests run, and what is read may be anything."""

from __future__ import annotations

import json
import os
import random
import signal
import textwrap
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain, count
from pathlib import Path
from typing import Any, Self

import pytest
import yaml

from harness.client import request
from harness.gateway import KEY, PROVIDER_KEY, Gateway, Make, settings
from harness.upstream import Upstream
from trunkline.config.load import load
from trunkline.config.mistakes import ConfigError
from trunkline.config.reload import change
from trunkline.store.lock import Verdict, ask

SEED = 20_260
MUTANTS = 200
ONE_KEY, TWO_KEY = f"{PROVIDER_KEY}-one", f"{PROVIDER_KEY}-two"
REFUSED = "configuration refused; the old one stays in force"


def text(url: str, provider_key: str, owner: str) -> str:
    """A file as people write it. Each part needs the parts below it, so that no beginning of it is whole.

    Both models are at one provider, whose name, address and key belong together.
    """
    return textwrap.dedent(f"""\
        # What our clients may use, and where it is.
        server: {{listen: "127.0.0.1:0", admin: "127.0.0.1:0", watch: false}}
        keys:
          - name: tester            # the one client
            secret: {KEY}
            models:
              - alpha
              - beta
        models:
          alpha:
            targets: [{owner}/tiny]
            timeouts: {{connect: 2s, first_byte: 20s}}
          beta:
            targets:
              - {owner}/small
        providers:
          {owner}:
            kind: openai
            base_url: {url}
            api_key: {provider_key}
        """)


@pytest.fixture(scope="module")
def second() -> Iterator[Upstream]:
    """Another provider."""
    with Upstream() as running:
        yield running


def read(gateway: Gateway) -> Verdict:
    """Make it read the file; what became of it."""
    verdict = ask(gateway.data)
    assert verdict is not None, gateway.output()
    return verdict


def mutants(good: str, folder: Path) -> Iterator[bytes]:
    """Cut off after every line and in every line; then with bytes that are others. None is a whole configuration of another
    meaning, such as one with a shorter key: to follow such a one would be right.
    """
    file = folder / "mutant.yaml"
    file.write_text(good)
    file.chmod(0o600)
    old, data, dice = load(file, {}), good.encode(), random.Random(SEED)

    def means_another(mutant: bytes) -> bool:
        file.write_bytes(mutant)
        try:
            return bool(change(old, load(file, {})).told())
        except ConfigError:
            return False

    def spoil() -> bytes:
        mutant = bytearray(data)
        for _ in range(dice.randint(1, 4)):
            mutant[dice.randrange(len(mutant))] ^= 1 << dice.randrange(8)
        return bytes(mutant)

    lines = data.splitlines(keepends=True)
    cuts = (b"".join(lines[:end]) + part for end, line in enumerate(lines) for part in (b"", line[: len(line) // 2]))
    return (mutant for mutant in chain(cuts, (spoil() for _ in count())) if not means_another(mutant))


class Traffic:
    """Clients that ask all the time, and remember what was not as it must be."""

    def __init__(self, gateway: Gateway) -> None:
        self.failures: list[str] = []
        self.answered = 0
        self._gateway = gateway
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(work,)) for work in (self._chat, self._chat, self._list)]

    def _run(self, work: Any) -> None:
        with self._gateway.connect() as wire:
            turn = 0
            while not self._stop.is_set():
                turn += 1
                try:
                    self.answered += work(wire, turn)
                except Exception as error:
                    self.failures.append(repr(error))
                    return

    def _chat(self, wire: Any, turn: int) -> bool:
        """Whether it was answered: on a machine that has much to do, some are turned away, which no reload is to blame for."""
        wire.send(self._gateway.chat_bytes(model=("alpha", "beta")[turn % 2], nonce=f"{turn}", stream=turn % 3 == 0))
        reply = wire.read_reply()
        assert reply is not None, "closed"
        if b'"overloaded"' in reply.body:
            return False
        assert reply.status == 200, reply
        owner = reply.header("x-trunkline-provider")
        assert str(turn).encode() in reply.body, (turn, reply)
        assert owner in {"one", "two"}, owner
        return True

    def _list(self, wire: Any, _: int) -> bool:
        """Both models are always at one provider: a list that says otherwise mixes two configurations."""
        wire.send(request("GET", "/v1/models", [("authorization", f"Bearer {KEY}")]))
        reply = wire.read_reply()
        assert reply is not None
        owners = {one["id"]: one["owned_by"] for one in json.loads(reply.body)["data"]}
        assert owners in ({"alpha": "one", "beta": "one"}, {"alpha": "two", "beta": "two"}), owners
        return True

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(20)


def only(upstream: Upstream, key: str) -> None:
    """Nobody else's credential ever came here."""
    shown = {seen.header("authorization") for seen in upstream.requests}
    assert shown <= {f"Bearer {key}"}, shown


def test_e3_two_hundred_bad_files_under_traffic(
    upstream: Upstream, second: Upstream, make_gateway: Make, tmp_path: Path
) -> None:
    """Whatever is in the file: nobody's request fails, nothing of it is in force; and then a good one is."""
    upstream.clear()
    second.clear()
    good, other = text(upstream.url, ONE_KEY, "one"), text(second.url, TWO_KEY, "two")
    gateway = make_gateway(good)
    results: dict[str, int] = {}
    with gateway.stream(model="alpha", mock="hold_at=1;frames=3") as running, Traffic(gateway) as traffic:
        assert running.next() is not None
        for _, mutant in zip(range(MUTANTS), mutants(good, tmp_path), strict=False):
            gateway.config_file.write_bytes(mutant)
            result = read(gateway).result
            results[result] = results.get(result, 0) + 1
            assert not traffic.failures, f"{traffic.failures} after {mutant!r} (seed {SEED})"
        assert "applied" not in results, results
        gateway.config_file.write_text(other)
        assert read(gateway).result == "applied"
        before = len(second.requests)
        second.wait(lambda: len(second.requests) > before + 5, what="requests at the new place")
        upstream.release()
        assert running.rest()[-1] == b"[DONE]", "what ran, ran to its end where it began"
    assert traffic.failures == []
    assert traffic.answered > 100
    only(upstream, ONE_KEY)
    only(second, TWO_KEY)
    assert results["refused"] > MUTANTS // 2
    page = gateway.metrics()
    assert page['trunkline_config_reloads_total{result="refused"}'] == results["refused"]
    assert (page["trunkline_config_last_reload_ok"], page["trunkline_config_generation"]) == (1, 2)
    told = b"".join([*gateway.stdout, *gateway.stderr])
    assert not [one for one in (KEY, ONE_KEY, TWO_KEY) if one.encode() in told]


def test_e3_two_files_in_turn_never_mix(upstream: Upstream, second: Upstream, make_gateway: Make) -> None:
    """Name, address and credential of a provider change together, thirty times, under requests that take them."""
    upstream.clear()
    second.clear()
    places = text(upstream.url, ONE_KEY, "one"), text(second.url, TWO_KEY, "two")
    gateway = make_gateway(places[0])
    with Traffic(gateway) as traffic:
        for turn in range(1, 31):
            gateway.config_file.write_text(places[turn % 2])
            assert read(gateway).result == "applied"
        assert read(gateway).result == "unchanged"
    assert traffic.failures == []
    only(upstream, ONE_KEY)
    only(second, TWO_KEY)
    assert len(upstream.requests) > 5
    assert len(second.requests) > 5


@contextmanager
def spoilt(gateway: Gateway, config: dict[str, Any] | str | None) -> Iterator[None]:
    """The file is this for a while, or gone."""
    good = gateway.config_file.read_text()
    if config is None:
        gateway.config_file.unlink()
    else:
        gateway.config_file.write_text(config if isinstance(config, str) else yaml.safe_dump(config))
    yield
    gateway.config_file.write_text(good)
    gateway.config_file.chmod(0o600)


def test_e3_every_way_a_file_is_bad(upstream: Upstream, make_gateway: Make) -> None:
    """Each is told by its line; each leaves the old one; and none hinders the next good one."""
    upstream.clear()
    base = settings(upstream.url)
    gateway = make_gateway(base)
    more = base["models"]
    cases: dict[str, tuple[Any, str]] = {
        "gone": (None, "the file cannot be read: No such file or directory"),
        "half-written": ("models: {m: {targets: [lab/", "line"),
        "empty": ("", "models: there are none any more"),
        "of the wrong type": (base | {"models": ["m"]}, "models: must be a mapping"),
        "with an unknown key": (base | {"model": {}}, "unknown field; did you mean 'models'?"),
        "with a missing variable": (base | {"keys": [{"name": "a", "secret": "${NOT_THERE_AT_ALL}"}]}, "NOT_THERE_AT_ALL"),
        "with a missing target": (base | {"models": more | {"m": {"targets": ["lob/tiny"]}}}, "no provider 'lob'"),
        "of another kind": ("\x00\x01\x7fELF", ""),
    }
    for what, (config, words) in cases.items():
        with spoilt(gateway, config):
            verdict = read(gateway)
        assert verdict.result == "refused", what
        assert any(str(gateway.config_file) in line and words in line for line in verdict.lines), (what, verdict.lines)
        assert gateway.chat().status == 200, what
    gateway.config_file.write_text(yaml.safe_dump(base | {"models": more | {"fresh": {"targets": ["lab/tiny"]}}}))
    assert read(gateway).lines == ("models added: fresh",)
    assert gateway.chat(model="fresh").status == 200


def test_e3_a_cycle_of_fallbacks_is_refused_or_has_no_meaning(upstream: Upstream, make_gateway: Make) -> None:
    """Two models that fall back on each other must neither be followed round and round nor be taken in silence."""
    upstream.clear()
    base = settings(upstream.url)
    gateway = make_gateway(base)
    round_and_round = {"a": {"targets": ["lab/tiny"], "fallbacks": ["b"]}, "b": {"targets": ["lab/tiny"], "fallbacks": ["a"]}}
    with spoilt(gateway, base | {"models": base["models"] | round_and_round}):
        assert read(gateway).result == "refused"
    assert gateway.chat().status == 200


def test_e3_a_running_stream_keeps_what_it_began_with(upstream: Upstream, second: Upstream, make_gateway: Make) -> None:
    """Its model, its provider and its key's name are gone from the file; it ends well and is booked as it began."""
    upstream.clear()
    second.clear()
    gateway = make_gateway(text(upstream.url, ONE_KEY, "one"))
    with gateway.stream(model="alpha", mock="hold_at=1;frames=2") as stream:
        assert stream.next() is not None
        new = text(second.url, TWO_KEY, "two").replace("alpha", "gamma").replace("tester", "someone")
        gateway.config_file.write_text(new)
        os.kill(gateway.pid, signal.SIGHUP)
        line = gateway.wait_log(lambda line: line.get("event") == "configuration applied")
        assert (line["models_removed"], line["keys_removed"], line["providers_removed"]) == ("alpha", "tester", "one")
        upstream.release()
        assert stream.rest()[-1] == b"[DONE]"
    row = gateway.ledger()[0]
    assert (row["model"], row["provider"], row["key"], row["outcome"]) == ("alpha", "one", "tester", "ok")
    assert gateway.chat(model="alpha").status == 403, "a key of another name, which may use others"
    assert gateway.chat(model="gamma").status == 200


def test_e3_new_requests_wait_for_nothing(upstream: Upstream, make_gateway: Make) -> None:
    """A file that takes long to read (a thousand models) holds up no request."""
    upstream.clear()
    base = settings(upstream.url)
    gateway = make_gateway(base)
    many = {f"model-{number}": {"targets": ["lab/tiny"], "fallbacks": ["lab/other"]} for number in range(1000)}
    gateway.config_file.write_text(yaml.safe_dump(base | {"models": base["models"] | many}))
    os.kill(gateway.pid, signal.SIGHUP)
    served = 0
    while not any(line.get("event") == "configuration applied" for line in gateway.logs()):
        assert gateway.chat(timeout=2).status == 200
        served += 1
        assert served < 2000
    assert gateway.chat(model="model-999").status == 200

"""Tokens at the door, with real keys and a fake clock: verified once, known by digest, gone when they must be."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec
import pytest

from harness.issuer import AUDIENCE, Issuer
from harness.script import whole
from trunkline.canon.errors import GatewayError
from trunkline.canon.wire import Origin
from trunkline.config.holders import NOBODY, Chart
from trunkline.config.schema_holders import HolderSpec, TeamSpec
from trunkline.config.tokens import Guests, TokenIssuer
from trunkline.credentials.jwks import Where
from trunkline.edge.call import Place
from trunkline.edge.client import Client
from trunkline.edge.timers import Sweep
from trunkline.gateway import tokens as module
from trunkline.gateway.tokens import Clocks, Tokens
from trunkline.pipeline.exchange import Live
from trunkline.policy.keys import KeyRing, Principal
from trunkline.policy.tokens import Issuer as Asked
from trunkline.policy.tokens import Names
from trunkline.telemetry.metrics import Metrics

SECOND_NS = 1_000_000_000


class Told:
    """In place of the log."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str, dict[str, Any]]] = []

    def event(self, level: str, event: str, **fields: Any) -> None:
        """Keep it."""
        self.events.append((level, event, fields))


class Door:
    """Tokens of one issuer, in a running loop."""

    def __init__(self, issuer: Issuer, *, discovery: bool = False) -> None:
        self.issuer = issuer
        self.now = time.time()
        self.mono = 0.0
        loop = asyncio.get_running_loop()
        self.client = Client(loop, Sweep(loop))
        self.log = Told()
        self.live = Live(None, KeyRing(()))  # type: ignore[arg-type]
        self.metrics = Metrics("test")
        clocks = Clocks(lambda: int(self.now * SECOND_NS), lambda: self.mono, lambda: 0.5)
        self.tokens = Tokens(self.live, self.client, self.metrics, self.log, clocks)  # type: ignore[arg-type]
        place = Place(Origin("http", "127.0.0.1", issuer.server.port, keep_idle=0.0), "/")
        asked = Asked("corporate", issuer.issuer, frozenset({AUDIENCE}), frozenset({"RS256", "ES256"}))
        where = Where(issuer.issuer, None if discovery else issuer.jwks_url)
        self.made = TokenIssuer(asked, where, place, HolderSpec())
        self.let("lab")
        self.tokens.follow((self.made,))

    def let(self, *teams: str) -> None:
        """These teams are known from now on."""
        chart = Chart({**NOBODY, "team": {name: TeamSpec() for name in teams}})
        self.live.keys = KeyRing((), Guests((self.made,), chart))

    def change(self, **asked: Any) -> None:
        """The configuration asks for something else."""
        self.made = msgspec.structs.replace(self.made, asked=msgspec.structs.replace(self.made.asked, **asked))
        self.let("lab")
        self.tokens.follow((self.made,))

    async def ready(self) -> None:
        """Wait until the keys are there, or could not be had."""
        home = self.tokens._all()[0]
        if home.keys._task is not None:
            await home.keys._task

    def find(self, token: str) -> Principal | None:
        """Show one."""
        return self.tokens.find(token.encode())

    def samples(self, name: str) -> dict[str, float]:
        """The values of a metric, by its last label."""
        lines = [line for line in self.metrics.page().render().decode().splitlines() if line.startswith(f"{name}{{")]
        return {line.split('"')[-2]: float(line.split()[-1]) for line in lines}

    def results(self) -> dict[str, float]:
        """What became of tokens."""
        return self.samples("trunkline_bearer_tokens_total")

    def close(self) -> None:
        """End."""
        self.tokens.close()
        self.client.close()


def play(scene: Callable[[Door], Coroutine[Any, Any, None]], **options: Any) -> None:
    """A scene with a door whose keys are there."""

    async def whole() -> None:
        with Issuer("P-256") as issuer:
            door = Door(issuer, **options)
            await door.ready()
            try:
                await scene(door)
            finally:
                door.close()

    asyncio.run(whole())


def test_a_token_is_verified_once() -> None:
    """Each request would pay a hundred microseconds for what is known."""

    async def scene(door: Door) -> None:
        token = door.issuer.token()
        first = door.find(token)
        assert first is not None
        assert all(door.find(token) is first for _ in range(5))
        assert door.results() == {"verified": 1}
        began = time.perf_counter()
        for _ in range(1000):
            door.find(token)
        assert (time.perf_counter() - began) / 1000 < 100e-6  # some 3 µs; a verification takes 150

    play(scene)


def test_what_is_no_token_costs_nothing() -> None:
    """Each wrong key would be taken apart."""

    async def scene(door: Door) -> None:
        assert door.find("tl-" + "A" * 43) is None
        assert door.find("") is None
        assert door.find("eyJ") is None
        assert door.results() == {"malformed": 1}
        door.tokens.follow(())
        assert door.find(door.issuer.token()) is None
        assert door.results() == {"malformed": 1}

    play(scene)


def test_a_wrong_signature_is_remembered_until_keys_change(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that goes on with a forged token would have it verified each time; or a good one would stay forged."""
    monkeypatch.setattr(module, "FORGED", 2)
    verified: list[bytes] = []

    def verify(algorithm: str, key: Any, message: bytes, signature: bytes) -> bool:
        verified.append(message)
        return really(algorithm, key, message, signature)

    really = module.verify
    monkeypatch.setattr(module, "verify", verify)

    async def scene(door: Door) -> None:
        good = door.issuer.token()
        forged = [f"{good[:-8]}{number}AAAAAAA" for number in range(3)]
        for token in (*forged[:2], *forged[:2], forged[2]):
            assert door.find(token) is None
        assert len(verified) == 3
        assert len(door.tokens._forged) == 1
        assert door.results() == {"signature": 5}
        door.issuer.add("other")
        door.tokens._all()[0].keys.begin()
        await door.ready()
        assert door.find(forged[2]) is None
        assert len(verified) == 4

    play(scene)


def test_the_least_used_token_goes_first_and_may_finish(monkeypatch: pytest.MonkeyPatch) -> None:
    """The memory would grow with each token ever seen; or a request would be cut off for want of room."""
    monkeypatch.setattr(module, "KNOWN", 2)

    async def scene(door: Door) -> None:
        tokens = [door.issuer.token(jti=str(number)) for number in range(3)]
        first = door.find(tokens[0])
        door.find(tokens[1])
        door.find(tokens[0])
        door.find(tokens[2])
        assert len(door.tokens._known) == 2
        door.find(tokens[0])
        assert door.results() == {"verified": 3}
        door.find(tokens[1])
        assert door.results() == {"verified": 4}
        assert first is not None
        assert len(door.tokens._known) == 2
        gone = door.find(tokens[2])
        assert gone is not None
        door.find(tokens[1])
        door.find(tokens[0])
        assert door.tokens.holds(gone)
        door.now += 700
        assert not door.tokens.holds(gone)

    play(scene)


def test_a_token_ends_with_its_time() -> None:
    """A token that is known would be good for ever."""

    async def scene(door: Door) -> None:
        token = door.issuer.token()
        principal = door.find(token)
        assert principal is not None
        assert principal.expires_ns is not None
        assert door.tokens.holds(principal)
        door.now = principal.expires_ns / SECOND_NS
        assert door.find(token) is None
        assert not door.tokens.holds(principal)
        assert door.results() == {"verified": 1, "expired": 1}

    play(scene)


def test_a_token_ends_with_its_key() -> None:
    """A stolen key that the issuer withdrew would go on opening; or a rotation would throw out everybody."""

    async def scene(door: Door) -> None:
        token = door.issuer.token()
        principal = door.find(token)
        assert principal is not None
        door.issuer.add("second", "RSA")
        door.tokens._all()[0].keys.begin()
        await door.ready()
        assert door.find(token) is principal
        assert door.tokens.holds(principal)
        assert door.find(door.issuer.token("second")) is not None
        assert door.results() == {"verified": 2}
        door.issuer.remove("first")
        door.issuer.add("first")  # another key under the same name
        door.tokens._all()[0].keys.begin()
        await door.ready()
        assert not door.tokens.holds(principal)
        assert door.find(token) is None
        assert door.results() == {"verified": 2, "signature": 1}

    play(scene)


def test_a_token_ends_with_its_team() -> None:
    """Who left a team would go on spending its money until his token ends."""

    async def scene(door: Door) -> None:
        door.change(claims=Names(team="team"))
        await door.ready()
        token = door.issuer.token(team="lab")
        principal = door.find(token)
        assert principal is not None
        assert principal.team == "lab"
        door.let("shop")
        assert not door.tokens.holds(principal)
        for _ in range(2):
            with pytest.raises(GatewayError) as raised:
                door.find(token)
            assert (raised.value.status, raised.value.code) == (403, "unknown_team")
        door.let("lab")
        assert door.find(token) is not None
        assert door.tokens.holds(principal)
        assert door.results() == {"verified": 1, "forbidden": 2}
        door.live.keys = KeyRing(())
        assert door.find(token) is None

    play(scene)


def test_another_configuration_counts_at_once_and_the_same_changes_nothing() -> None:
    """A reload would let in whom it should not, or have every token verified and all keys fetched anew."""

    async def scene(door: Door) -> None:
        token = door.issuer.token()
        principal = door.find(token)
        assert principal is not None
        fetches = door.issuer.fetches
        door.change()
        assert door.find(token) is not None
        assert (door.issuer.fetches, door.results()) == (fetches, {"verified": 1})
        door.change(audience=frozenset({"others"}))
        assert not door.tokens.holds(principal)
        assert door.find(token) is None
        door.change(audience=frozenset({AUDIENCE, "others"}))
        with pytest.raises(GatewayError) as raised:
            door.find(token)
        assert raised.value.status == 503
        await door.ready()
        assert door.find(token) is not None
        door.tokens.follow(())
        assert not door.tokens.holds(principal)

    play(scene)


def test_unknown_keys_are_asked_for_once_in_a_while() -> None:
    """A new key would be called wrong; or anybody could make the gateway ask all the time."""

    async def scene(door: Door) -> None:
        door.issuer.add("second")
        fresh = door.issuer.token("second")
        fetches = door.issuer.fetches
        for _ in range(20):
            with pytest.raises(GatewayError) as raised:
                door.find(fresh)
            assert raised.value.status == 503
        await door.ready()
        assert door.find(fresh) is not None
        for number in range(50):
            assert door.find(door.issuer.token(header={"kid": f"k{number}"})) is None
        assert door.issuer.fetches == fetches + 1
        assert door.results() == {"unavailable": 20, "verified": 1, "key": 50}

    play(scene)


def test_keys_of_ours_have_no_token() -> None:
    """A revoked key would hold as if it were a token."""

    async def scene(door: Door) -> None:
        assert not door.tokens.holds(Principal("ci", b"d" * 32))
        assert not door.tokens.holds(Principal("ci", b"d" * 32, expires_ns=2**62))

    play(scene)


def test_operators_are_told_once_of_each_turn() -> None:
    """A broken issuer would not be seen, or fill the log."""

    async def scene(door: Door) -> None:
        keys = door.tokens._all()[0].keys
        for script in ("status=500", "status=500", None, None, "redirect=https://elsewhere.example/", "html"):
            door.issuer.server.script(script) if script else door.issuer.recover()
            keys.begin()
            await door.ready()
        assert [(level, fields.get("reason")) for level, _, fields in door.log.events] == [
            ("info", None),
            ("warning", "its host answered 500"),
            ("info", None),
            ("warning", "its host answered 302"),
        ]
        assert door.samples("trunkline_issuer_fetches_total") == {"ok": 3, "failed": 4}
        assert door.samples("trunkline_issuer_keys") == {"corporate": 1}

    play(scene)


def test_discovery_leads_only_where_tls_is() -> None:
    """Whoever can change the document on its way would choose the keys."""

    async def scene(door: Door) -> None:
        assert door.find(door.issuer.token()) is not None
        for url, why in (("http://keys.example/", "must begin with https://"), (5, "names no jwks_uri")):
            document = json.dumps({"issuer": door.issuer.issuer, "jwks_uri": url}).encode()
            door.issuer.server.script(lambda _, document=document: [whole(200, document)])
            keys = door.tokens._all()[0].keys
            reports: list[str | None] = []
            keys._report = reports.append
            keys.begin()
            await door.ready()
            assert why in (reports[0] or "")
            assert keys.current is not None

    play(scene, discovery=True)

"""B10, B13: one provider that is stuck, and names. Each provider has connections of its own, so that none starves another."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from harness.client import Reply, Wire
from harness.gateway import PROVIDER_KEY, Gateway, Make, settings
from harness.invariants import Case, eventually
from harness.upstream import Upstream

MOST = 40
"""Connections to the stuck provider."""
QUEUE = 100
"""Requests that may wait for one."""


@pytest.fixture(scope="module")
def stuck() -> Iterator[Upstream]:
    """A provider that hangs where it is told to."""
    with Upstream() as running:
        yield running


def both(upstream: Upstream, stuck: Upstream, **pool: Any) -> dict[str, Any]:
    """Two providers, and a model on each."""
    config = settings(upstream.url)
    bounds = {"max_connections": MOST, "min_connections": 4, "max_waiting": QUEUE, "wait": "500ms", **pool}
    config["providers"]["stuck"] = {"kind": "openai", "base_url": stuck.url, "api_key": PROVIDER_KEY, "pool": bounds}
    slow = {"connect": "1s", "first_byte": "3s", "idle": "60s", "total": "120s"}
    config["models"]["stuck"] = {"targets": ["stuck/tiny"], "timeouts": slow}
    return config


@pytest.fixture(scope="module")
def gateway(upstream: Upstream, stuck: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """The real process, in front of both."""
    with Gateway(both(upstream, stuck), tmp_path_factory.mktemp("gateway")) as running:
        yield running


def pool(gateway: Gateway, name: str, provider: str = "stuck", **labels: str) -> float:
    """A sample of the pool's metrics; 0 where there is none yet."""
    told = ",".join(f'{label}="{value}"' for label, value in {"provider": provider, **labels}.items())
    return gateway.metrics().get(f"trunkline_pool_{name}{{{told}}}", 0.0)


def connections(gateway: Gateway, provider: str = "stuck") -> dict[str, float]:
    """Connections by state."""
    return {state: pool(gateway, "connections", provider, state=state) for state in ("idle", "busy", "opening")}


def waits(gateway: Gateway, count: int) -> None:
    """Until so many requests wait for a connection."""
    eventually(lambda: pool(gateway, "waiting") == count, f"{count} wait")


@contextlib.contextmanager
def asked(gateway: Gateway, count: int, **fields: Any) -> Iterator[list[Wire]]:
    """So many requests sent, none of their answers read."""
    with contextlib.ExitStack() as stack:
        wires = [stack.enter_context(gateway.connect(timeout=20.0)) for _ in range(count)]
        for wire in wires:
            wire.send(gateway.chat_bytes(**fields))
        yield wires


def answers(wires: list[Wire]) -> list[Reply]:
    """What they are answered with."""
    replies = [wire.read_reply() for wire in wires]
    assert None not in replies
    return [reply for reply in replies if reply is not None]


def p99(gateway: Gateway, count: int = 200) -> float:
    """Of good requests one after another, in seconds."""
    took = []
    with gateway.connect() as wire:
        for number in range(count):
            began = time.monotonic()
            wire.send(gateway.chat_bytes(nonce=str(number)))
            reply = wire.read_reply()
            took.append(time.monotonic() - began)
            assert reply is not None
            assert (reply.status, reply.content) == (200, str(number))
    return sorted(took)[-(count // 100) - 1]


def test_b10_one_stuck_provider(case: Case, stuck: Upstream) -> None:
    """500 requests to a provider that hangs: they end in words and in time, and who asks another provider notices nothing."""
    gateway, limit = case.gateway, pool(case.gateway, "limit")
    alone = p99(gateway)
    stuck.script("hold")
    began = time.monotonic()
    with asked(gateway, 500, model="stuck") as wires:
        stuck.wait(lambda: stuck.busy == MOST)
        beside = p99(gateway)
        assert stuck.busy == MOST, "it was not asked meanwhile, or hung no more"
        replies = answers(wires)
    assert beside < max(2 * alone, alone + 0.1)
    assert time.monotonic() - began < 10.0
    told = Counter(reply.status for reply in replies)
    assert set(told) == {503, 504}
    assert told[504] == MOST
    refused = [reply for reply in replies if reply.status == 503]
    assert all(reply.header("retry-after") == "1" for reply in refused)
    assert all(reply.error["code"] == "provider_connections_busy" for reply in refused)
    assert len(stuck.requests) == MOST, "more than its bound, or a second try at a provider that hangs"
    assert pool(gateway, "rejected_total") >= 500 - MOST
    assert 4 <= pool(gateway, "limit") < MOST, f"it was {limit} before"
    eventually(lambda: connections(gateway) == {"idle": 0, "busy": 0, "opening": 0}, "no connection left behind")
    assert (pool(gateway, "waiting"), pool(gateway, "asking"), stuck.open) == (0, 0, 0)
    assert pool(gateway, "limit", "lab") == 512
    stuck.script(None)
    case.rows = len(case.upstream.requests) + 500


def test_b10_the_stuck_one_is_asked_again_when_it_is_back(case: Case, stuck: Upstream) -> None:
    """What it went through does not outlast it: everything is served, over connections that are used again."""
    gateway = case.gateway
    stuck.clear()

    def served() -> bool:
        with asked(gateway, 30, model="stuck") as wires:
            return all(reply.status == 200 for reply in answers(wires))

    eventually(served, "all of them served again", 60)
    assert connections(gateway)["busy"] == 0
    assert connections(gateway)["idle"] > 0
    case.waived = {"ledger", "fds"}
    gateway.booked = None


def test_b10_who_leaves_the_queue_is_never_sent(make_gateway: Make, upstream: Upstream, stuck: Upstream) -> None:
    """A client that gives up while it waits for a connection costs nothing; those behind it move up, in their order."""
    stuck.clear()
    stuck.script("hold")
    gateway = make_gateway(both(upstream, stuck, max_connections=1, min_connections=1, wait="15s"))
    with contextlib.ExitStack() as stack:
        wires = []
        for number in range(6):
            wires.append(stack.enter_context(gateway.connect(timeout=20.0)))
            wires[-1].send(gateway.chat_bytes(model="stuck", nonce=str(number)))
            if number == 0:
                stuck.wait_requests(1)
            else:
                waits(gateway, number)
        wires[1].close()
        wires[3].reset()
        waits(gateway, 3)
        stuck.release()
        for number in (0, 2, 4, 5):
            reply = wires[number].read_reply()
            assert reply is not None
            assert (reply.status, reply.content) == (200, str(number))
    assert [seen.fields["x_nonce"] for seen in stuck.requests] == ["0", "2", "4", "5"]
    assert stuck.accepted > 0
    assert connections(gateway) == {"idle": 1, "busy": 0, "opening": 0}
    stuck.hold_again()


def test_b10_two_providers_at_one_place(make_gateway: Make, stuck: Upstream) -> None:
    """Two accounts with the same server: what one of them holds is not taken from the other."""
    stuck.clear()
    gateway = make_gateway(both(stuck, stuck, max_connections=2, min_connections=1))
    with asked(gateway, 5, model="stuck", mock="hold") as wires:
        stuck.wait_requests(2)
        assert gateway.chat().status == 200
        replies = answers(wires[2:])
        assert [reply.status for reply in replies] == [503] * 3
    stuck.release()
    eventually(lambda: gateway.in_flight() == 0, "over")


def test_b10_descriptors_are_shared(make_gateway: Make, upstream: Upstream, stuck: Upstream) -> None:
    """A process with few descriptors: the stuck provider takes most of them, never all."""
    stuck.clear()
    stuck.script("hold")
    few = ["sh", "-c", 'ulimit -n 160; exec "$@"', "sh"]
    gateway = make_gateway(both(upstream, stuck, max_connections=512), wrap=few)
    with asked(gateway, 45, model="stuck") as wires:
        stuck.wait(lambda: stuck.busy >= 30)
        assert gateway.chat(nonce="beside").content == "beside"
        assert stuck.busy < 45
        told = Counter(reply.status for reply in answers(wires))
    assert set(told) == {503, 504}
    assert gateway.chat(nonce="after").content == "after"


def test_b13_every_address_of_a_name(make_gateway: Make, upstream: Upstream) -> None:
    """`localhost` may be two addresses of which one has a server: it is found."""
    upstream.clear()
    gateway = make_gateway(settings(upstream.url.replace("127.0.0.1", "localhost")))
    for _ in range(3):
        assert gateway.chat(nonce="by name").content == "by name"
        upstream.reset_all()


def test_b13_a_name_that_is_none(make_gateway: Make, upstream: Upstream) -> None:
    """A typo in an address ends in words, and quickly; it does not hold up the others."""
    config = settings(upstream.url)
    config["providers"]["typo"] = {"kind": "openai", "base_url": "http://no.such.name.invalid/v1", "api_key": PROVIDER_KEY}
    config["models"]["typo"] = {"targets": ["typo/tiny"]}
    gateway = make_gateway(config)
    with asked(gateway, 20, model="typo") as wires:
        assert gateway.chat(nonce="beside").content == "beside"
        for reply in answers(wires):
            assert reply.status in {502, 504}
            assert b"no.such.name" not in reply.body

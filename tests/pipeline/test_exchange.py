"""An exchange begins with what is in force now, and nothing has happened to it."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import FrozenInstanceError

import pytest
from msgspec import structs

from harness.upstream import Upstream
from pipeline.by_hand import by_hand
from pipeline.inside import EPOCH_NS, Inside
from trunkline.canon.usage import NO_USAGE
from trunkline.canon.wire import WireRequest
from trunkline.credentials.credential import Spec


def test_a_fresh_exchange(inside: Inside) -> None:
    """What is not known yet must not look like something that happened: it would be settled as such."""
    exchange, _ = by_hand(inside, extra=b"a: b\r\n")
    assert exchange.started_ns == EPOCH_NS
    assert exchange.snapshot is inside.parts.live.snapshot
    assert exchange.extra == b"a: b\r\n"
    assert (exchange.ask, exchange.target, exchange.ticket, exchange.tap, exchange.error) == (None,) * 5
    assert (exchange.usage, exchange.cost_nano, exchange.first_byte, exchange.sent) == (NO_USAGE, None, 0.0, False)


def test_ids_differ(inside: Inside) -> None:
    """Two requests with one id would be one row."""
    assert by_hand(inside)[0].id != by_hand(inside)[0].id


def test_no_typing_mistake_makes_an_attribute(inside: Inside) -> None:
    """State that nobody reads is a bug that nobody sees; and slots keep an exchange small."""
    with pytest.raises(AttributeError):
        by_hand(inside)[0].finsh = "stop"  # type: ignore[attr-defined]


def test_the_parts_are_fixed(inside: Inside) -> None:
    """Only what is in `Live` may be swapped while requests run."""
    with pytest.raises(FrozenInstanceError):
        inside.parts.live = inside.parts.live  # type: ignore[misc]


class Held:
    """A credential that is not there until the test says so."""

    def __init__(self, name: bytes) -> None:
        self.asked, self.given = threading.Event(), threading.Event()
        self.secrets = (name,)

    async def lines(self, _: WireRequest) -> bytes:
        """Wait for it."""
        self.asked.set()
        assert await asyncio.to_thread(self.given.wait, 10)
        return b"Authorization: Bearer %b\r\n" % self.secrets

    def close(self) -> None:
        """Nothing is under way."""


class Signed(Spec, frozen=True):
    """What stands in a provider for a credential that is no fixed header."""


def test_what_runs_keeps_its_credentials(inside: Inside, upstream: Upstream) -> None:
    """A reload in the middle: the old request must not show the new credential to the old place, nor be left without one."""
    live = inside.parts.live
    before = live.snapshot, live.credentials
    old, new = Held(b"the-old-one"), Held(b"the-new-one")
    new.given.set()

    def swap(credential: Held) -> None:
        snapshot = before[0]
        lab = structs.replace(snapshot.providers["lab"], credential=Signed(), secrets=(), head=b"host: mock\r\n")
        live.snapshot = structs.replace(snapshot, providers={**snapshot.providers, "lab": lab}, remembered={})
        live.credentials = {"lab": credential}

    inside.do(lambda: swap(old))
    try:
        replies: list[int] = []
        first = threading.Thread(target=lambda: replies.append(inside.chat(model="lab/one").status))
        first.start()
        assert old.asked.wait(10)
        inside.do(lambda: swap(new))
        assert inside.chat(model="lab/two").status == 200
        old.given.set()
        first.join(10)
        assert replies == [200]
    finally:
        old.given.set()
        live.snapshot, live.credentials = before
    shown = {seen.fields["model"]: seen.header("authorization") for seen in upstream.requests}
    assert shown == {"one": "Bearer the-old-one", "two": "Bearer the-new-one"}

"""B11: a provider that is gone for a while under many clients, and is not brought down by them when it is back."""

from __future__ import annotations

import contextlib
import os
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from harness.client import Reply
from harness.gateway import KEY, PROVIDER_KEY, Gateway, Make
from harness.invariants import Case, eventually
from harness.upstream import Upstream

CLIENTS = 200
AWAY = float(os.environ.get("TRUNKLINE_OUTAGE_SECONDS", "3"))
"""Seconds that the provider is gone."""
BACK = 45.0
"""Seconds after which the gateway must have noticed that it is back."""
FIRST, LAST_RESORT = 5, 10
"""docs/errors.md: requests in the first second of a target that is back, and in each second where nobody else is left."""
FAST = 1.5
"""Seconds in which a client has its answer, whatever it is: nobody waits for what is known to be down."""


@dataclass
class Answer:
    """What one client got."""

    nonce: str
    at: float
    took: float
    reply: Reply | None


class Crowd:
    """Many clients that ask about once a second."""

    def __init__(self, gateway: Gateway) -> None:
        self.answers: list[Answer] = []
        self._gateway = gateway
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._one, args=(number,)) for number in range(CLIENTS)]

    def _one(self, client: int) -> None:
        dice, number = random.Random(client), 0
        self._stop.wait(dice.random())
        while not self._stop.is_set():
            nonce, number, begin, reply = f"{client}-{number}-", number + 1, time.monotonic(), None
            with contextlib.suppress(OSError), self._gateway.connect(timeout=20) as wire:
                wire.send(self._gateway.chat_bytes(nonce=nonce, stream=client % 2 == 0))
                reply = wire.read_reply()
            self.answers.append(Answer(nonce, begin, time.monotonic() - begin, reply))
            self._stop.wait(dice.uniform(0.7, 1.3))

    def start(self) -> None:
        """Begin to ask."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Ask no more, and wait for what is still to be answered."""
        self._stop.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join()

    def since(self, moment: float) -> list[Answer]:
        """Answers to what was asked from then on."""
        return [answer for answer in list(self.answers) if answer.at >= moment]


def config(main: Upstream, spare: Upstream | None) -> dict[str, Any]:
    """The model `m` at the first provider, and at the second where there is one."""
    places = {"main": main} | ({"spare": spare} if spare is not None else {})
    times = {"connect": "1s", "first_byte": "2s", "idle": "2s", "total": "20s"}
    fallbacks = ["spare/tiny"] if spare is not None else []
    return {
        "server": {"listen": "127.0.0.1:0", "admin": "127.0.0.1:0"},
        "providers": {name: {"kind": "openai", "base_url": one.url, "api_key": PROVIDER_KEY} for name, one in places.items()},
        "models": {"m": {"targets": ["main/tiny"], "fallbacks": fallbacks, "timeouts": times}},
        "keys": [{"name": "tester", "secret": KEY}],
    }


def shown(answer: Answer) -> bool:
    """Its client had seen a part of it: nobody else may go on with that."""
    return answer.reply is not None and b'"choices"' in answer.reply.body.partition(b'"error"')[0]


@contextmanager
def crowded(gateway: Gateway) -> Iterator[Crowd]:
    """The crowd, sent home however the test ends."""
    crowd = Crowd(gateway)
    try:
        crowd.start()
        yield crowd
    finally:
        crowd.stop()


def fail_and_return(main: Upstream, crowd: Crowd) -> tuple[float, float]:
    """All asking, then gone, then back on the same port. The times of both."""
    eventually(lambda: len(crowd.answers) >= 2 * CLIENTS, "a calm beginning", 20)
    gone = time.monotonic()
    main.close_listener()
    main.reset_all()
    time.sleep(AWAY)
    back = time.monotonic()
    main.reopen_listener()
    return gone, back


def asked(main: Upstream, begin: float, end: float = float("inf")) -> int:
    """Requests that the provider saw in this time."""
    return sum(1 for seen in list(main.requests) if begin <= seen.at < end)


def check_answers(answers: list[Answer]) -> None:
    """Each is the client's own, and came soon."""
    assert all(answer.reply is not None and answer.reply.complete for answer in answers)
    strangers = [a for a in answers if a.reply is not None and a.reply.status == 200 and a.nonce.encode() not in a.reply.body]
    assert strangers == [], "somebody else's answer"
    slow = sorted(answer.took for answer in answers)[-max(1, len(answers) // 100) :]
    assert slow[0] < FAST, f"one of a hundred waited for {slow[0]:.2f} s"


@pytest.mark.timeout(150 + AWAY)
def test_b11_with_a_fallback_no_client_notices(upstream: Upstream, make_gateway: Make) -> None:
    """Two hundred clients, their provider gone and back: not one error, and no herd that brings it down again."""
    with Upstream() as spare:
        gateway = make_gateway(config(upstream, spare))
        case = Case(gateway, upstream, others=(spare,))
        case.begin()
        upstream.script("sleep=30")
        spare.script("sleep=30")
        with crowded(gateway) as crowd:
            gone, back = fail_and_return(upstream, crowd)
            eventually(lambda: asked(upstream, back), "the provider is asked again", BACK)
            first = next(seen.at for seen in upstream.requests if seen.at >= back)
            time.sleep(max(0.0, first + 4.2 - time.monotonic()))
        errors = [answer.reply for answer in crowd.answers if answer.reply is None or answer.reply.status != 200]
        assert errors == []
        cut = [answer for answer in crowd.answers if b'"error"' in (answer.reply or Reply(0, [])).body]
        begun = [answer for answer in cut if answer.at <= gone <= answer.at + answer.took and shown(answer)]
        assert cut == begun, "only what had begun by then"
        check_answers(crowd.answers)
        counts = [asked(upstream, back, first + second) for second in (1, 2, 3, 4)]
        caps = [1 + FIRST * (2**second - 1) for second in (1, 2, 3, 4)]
        assert all(count <= cap for count, cap in zip(counts, caps, strict=True)), f"{counts} requests, of {caps}"
        assert counts[-1] > counts[0], "it is back, and nobody goes there"
        away = [answer for answer in crowd.since(gone + 0.5) if answer.at < back]
        assert all(answer.reply.header("x-trunkline-provider") == "spare" for answer in away if answer.reply is not None)
        once = [answer for answer in away if answer.reply is not None and answer.reply.header("x-trunkline-attempts") == "1"]
        assert len(once) >= len(away) * 0.9, "each request first asked a provider that is known to be down"
        case.rows = len(crowd.answers)
        case.check()


@pytest.mark.timeout(150 + AWAY)
def test_b11_without_one_everybody_is_told_at_once(upstream: Upstream, make_gateway: Make) -> None:
    """Nobody else to ask: errors that come soon and say when to come back, and a provider that may get up in peace."""
    gateway = make_gateway(config(upstream, None))
    case = Case(gateway, upstream)
    case.begin()
    upstream.script("sleep=30")
    with crowded(gateway) as crowd:
        gone, back = fail_and_return(upstream, crowd)
        eventually(lambda: any(one.reply is not None and one.reply.status == 200 for one in crowd.since(back)), "answers", BACK)
        first = next(seen.at for seen in upstream.requests if seen.at >= back)
        time.sleep(max(0.0, back + 2.2 - time.monotonic()))
        early = asked(upstream, back, first + 1)
        eventually(lambda: _well(crowd), "everybody is served again", BACK)
    assert early <= 2 * LAST_RESORT + 1, "as many as two of its seconds may hold, and a probe"
    before = [answer for answer in crowd.answers if answer.at < gone - 0.5]
    assert all(answer.reply is not None and answer.reply.status == 200 for answer in before)
    check_answers(crowd.answers)
    errors = [answer.reply for answer in crowd.answers if answer.reply is not None and answer.reply.status != 200]
    assert {reply.status for reply in errors} <= {502, 503}
    ours = [reply for reply in errors if reply.status == 503]
    assert ours, "all went to a provider that is down"
    assert all(1 <= int(reply.header("retry-after") or 0) <= 60 for reply in ours)
    assert all(reply.error["message"] for reply in errors)
    resting = sum(1 for reply in ours if reply.error["code"] == "providers_resting")  # refused before they were accepted
    case.rows = len(crowd.answers) - resting
    case.check()


def _well(crowd: Crowd) -> bool:
    """The last second's answers are all good."""
    last = crowd.since(time.monotonic() - 1.5)
    return len(last) > CLIENTS // 2 and all(answer.reply is not None and answer.reply.status == 200 for answer in last)

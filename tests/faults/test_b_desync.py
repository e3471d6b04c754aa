"""B9: a connection whose answer was not read to its end is never given to anybody else."""

from __future__ import annotations

import contextlib
import os
import random
import threading

import pytest

from harness.client import Stream, Wire
from harness.gateway import Gateway
from harness.invariants import Case

ROUNDS = int(os.environ.get("TRUNKLINE_DESYNC", "600"))
CLIENTS = 4
MOCKS = [
    "",
    "sleep=5",
    "frames=6",
    "frames=6;gap=2",
    "frames=4;gap=1;rst_at=3",
    "short",
    "status=500",
    "nodone",
    "size=3000;frames=9",
]


def one_client(gateway: Gateway, seed: int, rounds: int, wrong: list[str]) -> None:
    """Requests that are left at every possible moment, each followed by one that must get its own answer."""
    dice = random.Random(seed)
    for number in range(rounds):
        nonce = f"{seed}-{number}-"
        with contextlib.suppress(TimeoutError), gateway.connect(timeout=5) as wire:
            wire.send(gateway.chat_bytes(nonce=nonce, mock=dice.choice(MOCKS), stream=dice.random() < 0.6))
            leave_somewhere(wire, dice)
        try:
            reply = gateway.chat(model="patient", nonce=nonce + "next", timeout=10)
        except TimeoutError:
            wrong.append(f"seed {seed} round {number}: no answer")
            continue
        if reply.status != 200 or reply.content != nonce + "next":
            wrong.append(f"seed {seed} round {number}: {reply.status} {reply.body[:200]!r}")


def leave_somewhere(wire: Wire, dice: random.Random) -> None:
    """Leave after nothing, a moment, the head, or some events; by FIN or RST."""
    moment = dice.random()
    if moment < 0.4:
        threading.Event().wait(dice.uniform(0, 0.012))
    elif moment < 0.9:
        head = wire.read_head()
        if head is not None and head.header("transfer-encoding") == "chunked":
            stream = Stream(wire, head)
            for _ in range(dice.randint(0, 5)):
                if stream.next() is None:
                    break
    if dice.random() < 0.5:
        wire.reset()


@pytest.mark.timeout(60 + ROUNDS // 10)
def test_b9_nobody_gets_anothers_answer(case: Case) -> None:
    """The bug that showed users each other's chats. Seeded; the seed is shown; TRUNKLINE_DESYNC sets the rounds."""
    base = random.randrange(2**20)
    wrong: list[str] = []
    rounds = ROUNDS // CLIENTS
    clients = [
        threading.Thread(target=one_client, args=(case.gateway, base + number, rounds, wrong)) for number in range(CLIENTS)
    ]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    assert wrong == [], f"{wrong}; bytes out of turn: {case.upstream.strays[:2]}"
    case.rows_up_to = 2 * rounds * CLIENTS


def test_b9_left_at_every_frame(case: Case) -> None:
    """Every frame is a place to leave; the next answer on the same pool is its own."""
    gateway = case.gateway
    for frames in range(12):
        with gateway.stream(mock="frames=12;gap=1", nonce=f"left-{frames}-") as stream:
            for _ in range(frames):
                assert stream.next() is not None
        assert gateway.chat(nonce=f"mine-{frames}").content == f"mine-{frames}"
    assert len(case.upstream.requests) == 24

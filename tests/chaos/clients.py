"""One random client: asks what its plan says, reads as it says, leaves when it says, and tells what it saw.

What it should have seen belongs in `model`.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass

from chaos import speech
from chaos.model import Plan, Seen
from harness.client import Reply, Wire, request
from harness.gateway import KEY

PATIENCE = 30.0
"""Seconds until a client holds that it will never be answered: longer than any route's total deadline."""
_BEFORE = 0.3
"""A plan's `moment` up to which a client leaves without having read anything."""


@dataclass(frozen=True)
class Client:
    """Where to ask."""

    address: tuple[str, int]

    def play(self, plan: Plan) -> Seen:
        """Ask once, and be gone. What goes wrong is told in what was seen."""
        seen = Seen(began=time.monotonic())
        try:
            with Wire(self.address, timeout=PATIENCE, receive_buffer=4096 if plan.manner == "slow" else 0) as wire:
                self._ask(wire, plan, seen)
                if plan.manner == "resets":
                    wire.reset()
        except TimeoutError:
            seen.problem = f"nothing came for {PATIENCE:.0f} s"
        except (ValueError, KeyError, IndexError, TypeError, AssertionError) as error:
            seen.problem = f"what came cannot be read: {error!r}"
        except OSError as error:
            seen.problem = f"the connection failed: {error!r}"
        seen.ended = time.monotonic()
        return seen

    def _ask(self, wire: Wire, plan: Plan, seen: Seen) -> None:
        wire.send(bytes_of(plan))
        if plan.manner == "half_closes":
            wire.half_close()
        leaves = plan.manner in {"leaves", "resets"}
        if plan.bad == "cut body" or (leaves and plan.moment < _BEFORE):
            time.sleep(plan.moment / 2)
            seen.ending = "left" if leaves else "none"
            return
        reply = wire.read_head()
        if reply is None:
            return
        seen.status, seen.headers, seen.headed = reply.status, dict(reply.headers), time.monotonic()
        _read(wire, reply, plan, int((plan.moment - _BEFORE) * 20) if leaves else None)
        if leaves:
            seen.ending = "left"
            seen.text = speech.stream(plan.dialect, reply.body).text if plan.stream and reply.status == 200 else ""
        else:
            _understand(plan, reply, seen)
            if plan.manner == "reads" and plan.moment < _BEFORE and reply.complete:
                _stay(wire)


def _stay(wire: Wire) -> None:
    """The next request on the same connection, if it is still open. Raises AssertionError where its answer is not its own."""
    try:
        wire.send(request("GET", "/v1/models", [("authorization", f"Bearer {KEY}")]))
        reply = wire.read_reply()
    except (BrokenPipeError, ConnectionResetError):
        return
    assert reply is None or (reply.status == 200 and reply.json["object"] == "list"), f"the next on the connection: {reply}"


def _read(wire: Wire, reply: Reply, plan: Plan, pieces: int | None) -> None:
    """The body, or so many pieces of it; a slow client rests between them."""
    if reply.header("transfer-encoding") != "chunked":
        length = int(reply.header("content-length") or 0)
        found = b"" if pieces is not None else wire.exactly(length)
        reply.body, reply.complete = found or b"", found is not None
        return
    read: list[bytes] = []
    while (pieces is None or len(read) < pieces) and (piece := wire.chunk()) is not None:
        if piece == b"":
            reply.complete = True
            break
        read.append(piece)
        if plan.manner == "slow" and len(read) < 40:
            time.sleep(0.01)
    reply.body = b"".join(read)


def _understand(plan: Plan, reply: Reply, seen: Seen) -> None:
    if not reply.complete:
        seen.ending = "cut"
    elif reply.status != 200:
        seen.ending = "error"
        seen.told = speech.refusal(plan.dialect, reply.body)
        if not seen.told:
            seen.problem = f"an error in no shape of its dialect: {reply.body[:200]!r}"
    else:
        told = speech.stream(plan.dialect, reply.body) if plan.stream else speech.whole(plan.dialect, reply.body)
        seen.text, seen.ending = told.text, told.ending


def bytes_of(plan: Plan) -> bytes:
    """The request; a bad client's with what is wrong with it."""
    model = "unheard-of" if plan.bad == "no model" else plan.route
    path, fields = speech.question(plan.dialect, model, plan.nonce, stream=plan.stream)
    if plan.bad == "no messages":
        for name in ("messages", "contents", "input"):
            fields.pop(name, None)
    body = b'{"chaos' if plan.bad == "no json" else json.dumps(fields).encode()
    key = [] if plan.bad == "no key" else [("authorization", f"Bearer {KEY}")]
    sent = request("POST", path, [*key, ("content-type", "application/json")], body)
    return sent[: -len(body) // 2] if plan.bad == "cut body" else sent

"""Alive, and ready to serve: the two answers that supervisors and load balancers ask for."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from trunkline.edge.reply import Reply
from trunkline.gateway.endpoints import Job

_TYPE = b"content-type: application/json\r\ncache-control: no-store\r\n"


def answer(job: Job, reply: Reply, *, ready: bool) -> None:
    """`/healthz` is 200 while the process lives; `/readyz` is 503 until it serves, and again while it drains;
    `/` says that a server is there, as Ollama's clients ask.
    """
    if job == "alive":
        reply.send(200, b"content-type: text/plain\r\n", b"Trunkline is running")
    elif job == "ready" and not ready:
        reply.send(503, _TYPE + b"retry-after: 1\r\n", b'{"status":"not ready"}')
    else:
        reply.send(200, _TYPE, b'{"status":"ok"}' if job == "health" else b'{"status":"ready"}')


def answer_of_several(reply: Reply, serving: int, workers: int, failing: Sequence[int]) -> None:
    """`/readyz` of several workers: ready where one of them is; those that are missing, or end again and again, are told of."""
    told: dict[str, object] = {"status": "ready" if serving else "not ready"}
    if serving < workers:
        told |= {"serving": serving, "workers": workers, "failing": failing}
    reply.send(200 if serving else 503, _TYPE if serving else _TYPE + b"retry-after: 1\r\n", msgspec.json.encode(told))

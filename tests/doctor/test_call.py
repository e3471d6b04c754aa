"""A client's request as the contracts make it."""

from __future__ import annotations

import asyncio

import pytest

from doctor.standin import told
from harness.upstream import Upstream
from trunkline.doctor.call import Answer, Call
from trunkline.doctor.finding import Broken
from trunkline.edge.client import Client
from trunkline.edge.timers import Sweep


def answer(body: bytes, **headers: bytes) -> Answer:
    return Answer(200, {name.replace("_", "-").encode(): value for name, value in headers.items()}, body)


def test_what_can_be_read() -> None:
    """The contracts would judge something else than what was sent."""
    assert answer(b'{"a": 1}').json() == {"a": 1}
    assert answer(b'event: x\ndata: {"a":1}\n\ndata: [DONE]\n\n').events() == [("x", {"a": 1}), ("", "[DONE]")]
    assert answer(b'{"a":1}\n\n{"b":2}\n').lines() == [{"a": 1}, {"b": 2}]
    assert answer(b"", x_trunkline_dropped=b"n, tools[1]").dropped() == ["n", "tools[1]"]
    assert answer(b"").dropped() == []


@pytest.mark.parametrize(
    ("body", "read"), [(b"<html>", "json"), (b"<html>", "events"), (b"data: {\n\n", "events"), (b"{\n", "lines"), (b"", "json")]
)
def test_what_cannot_be_read(body: bytes, read: str) -> None:
    """A gateway in front that answers with a page would end the doctor."""
    with pytest.raises(Broken):
        getattr(answer(body), read)()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"error":{"message":"no"}}', "no"),
        (b'{"error":"no"}', "no"),
        (b'{"a":1}', '{"a":1}'),
        (b" ", "nothing"),
        (b"\xff", "\ufffd"),
    ],
)
def test_what_is_shown_of_an_error(body: bytes, said: str) -> None:
    """A person wants the words, not the JSON around them."""
    assert answer(body).start() == said


def test_requests() -> None:
    """The key must be sent, a path given as it is, and what is not 200 told."""

    async def main(gateway: Upstream) -> Call:
        loop = asyncio.get_running_loop()
        client = Client(loop, Sweep(loop))
        call = Call(client, f"http://{gateway.host}:{gateway.port}", "tl-key", "a b/c:d")
        await call.post("/v1/x", {"a": 1}, "x-more: 1")
        with pytest.raises(Broken, match="/v1/y is answered 404: mock says no"):
            await call.get("/v1/y?z=1")
        client.close()
        return call

    with Upstream() as gateway:
        gateway.then([told({}, x_trunkline_dropped="n")], "status=404")
        call = asyncio.run(main(gateway))
        posted, got = gateway.requests
    assert (posted.target, posted.fields, got.target) == ("/v1/x", {"a": 1}, "/v1/y?z=1")
    assert (posted.header("authorization"), posted.header("x-more")) == ("Bearer tl-key", "1")
    assert (list(call.dropped), call.path_model) == (["n"], "a%20b/c:d")

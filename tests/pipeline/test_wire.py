"""What goes out to a provider, whole."""

from __future__ import annotations

import asyncio

from trunkline.canon.wire import Deadlines, Origin, WireRequest
from trunkline.credentials.credential import Spec
from trunkline.dialects.dialect import Outgoing
from trunkline.pipeline.wire import wire
from trunkline.providers.provider import Provider

HEAD = b"Host: h\r\n"
PLACED = Outgoing("/v1/x", b"{}", b"a: 1\r\n", method="GET")
BOUNDS = (Deadlines(), 7)


class Signing:
    """Signs what it sees."""

    async def lines(self, request: WireRequest) -> bytes:
        """The path and how much stands before the signature."""
        return b"signed: %b %d\r\n" % (request.path.encode(), len(request.head))

    secrets = ()

    def close(self) -> None:
        """Nothing to give up."""


def test_an_ordinary_key_stands_in_the_providers_head():
    """A request would go out without what the client or the dialect put into its head."""
    provider = Provider("p", "openai", Origin("http", "h", 1), {"openai_chat": "/v1"}, head=HEAD)
    request = asyncio.run(wire(provider, {}, PLACED, b"b: 2\r\n", BOUNDS))
    assert (request.path, request.method, request.body, request.limit) == ("/v1/x", "GET", b"{}", 7)
    assert request.head == b"Host: h\r\na: 1\r\nb: 2\r\n"


def test_a_signature_is_over_the_whole_request():
    """A provider that signs would refuse a request whose head was changed afterwards."""
    provider = Provider("p", "bedrock", Origin("http", "h", 1), {"bedrock": ""}, head=HEAD, credential=Spec())
    request = asyncio.run(wire(provider, {"p": Signing()}, PLACED, b"b: 2\r\n", BOUNDS))
    assert request.head == b"Host: h\r\na: 1\r\nb: 2\r\nsigned: /v1/x 21\r\n"

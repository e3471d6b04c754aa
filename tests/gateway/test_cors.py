"""Which pages may call from a browser."""

from __future__ import annotations

import pytest

from trunkline.edge.request import Request
from trunkline.gateway.cors import Cors


def request(method: str = "POST", **headers: str) -> Request:
    """A request with these header fields."""
    made = Request("127.0.0.1", 0.0)
    made.method = method
    made.headers = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    return made


@pytest.mark.parametrize(
    ("origins", "origin", "allowed"),
    [
        ((), "https://app.example", False),
        (("https://app.example",), "https://app.example", True),
        (("https://app.example",), "https://app.example:8443", False),
        (("https://app.example",), "http://app.example", False),
        (("https://app.example",), "https://app.example.evil.test", False),
        (("https://app.example",), "null", False),
        (("https://app.example",), None, False),
        (("*",), "https://any.test", True),
        (("*",), None, False),
    ],
)
def test_only_named_pages(origins: tuple[str, ...], origin: str | None, allowed: bool) -> None:
    """A page that is not named must not be able to read an answer; one that is must."""
    lines = Cors(origins).headers(request(**({"origin": origin} if origin else {})))
    expected = f"access-control-allow-origin: {origin}\r\nvary: origin\r\n".encode()
    refused = b"vary: origin\r\n" if origins else b""  # a shared cache must not give one page's answer to another
    assert lines.startswith(expected) if allowed else lines == refused
    assert (b"x-request-id" in lines) is allowed


@pytest.mark.parametrize(
    ("asked", "told"),
    [("authorization, x-stainless-os", b"authorization, x-stainless-os"), (None, b"authorization, content-type")],
)
def test_a_preflight_allows_what_it_asks_for(asked: str | None, told: bytes) -> None:
    """SDKs in browsers send header fields of their own; a preflight that names others would block every call."""
    headers = {"origin": "https://app.example"} | ({"access_control_request_headers": asked} if asked else {})
    lines = Cors(["https://app.example"]).headers(request("OPTIONS", **headers))
    assert b"access-control-allow-headers: %b\r\n" % told in lines
    assert b"access-control-allow-methods: GET, POST, OPTIONS\r\n" in lines
    assert b"expose" not in lines

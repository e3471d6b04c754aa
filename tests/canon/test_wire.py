"""Plain values of one exchange with a provider."""

from __future__ import annotations

from trunkline.canon.wire import Deadlines, Origin, Proxy, WireRequest


def test_a_proxy_shows_its_place_and_not_its_credential() -> None:
    """Origins stand in logs and tracebacks; the proxy's password must not."""
    origin = Origin(scheme="https", host="api.example", port=443, proxy=Proxy("proxy.example", 3128, b"Basic c2VjcmV0"))
    assert "proxy.example:3128" in repr(origin)
    assert "c2VjcmV0" not in repr(origin)


def test_equal_origins_share_a_pool() -> None:
    """Origins are keys of connection pools; two equal ones must find the same one."""
    assert {Origin("http", "h", 1): "pool"}[Origin("http", "h", 1)] == "pool"


def test_a_request_shows_where_it_goes_and_nothing_of_what() -> None:
    """Its head holds a credential and its body a prompt; tracebacks and logs show `repr`."""
    request = WireRequest(Origin("https", "api.example", 443), "/v1/x", b"authorization: sk\r\n", b"prompt", Deadlines(), 1)
    assert repr(request) == "WireRequest(https://api.example:443/v1/x)"

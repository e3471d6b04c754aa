"""Which proxy, by setting and by environment."""

from __future__ import annotations

import pytest

from trunkline.config import values
from trunkline.config.proxy import is_loopback, proxy_for

P = values.proxy("http://p:3128")
EXPLICIT = values.proxy("http://mine:1")


@pytest.mark.parametrize(
    ("url", "setting", "environ", "expected"),
    [
        ("https://a.com", None, {}, None),
        ("https://a.com", None, {"HTTPS_PROXY": "http://p:3128"}, P),
        ("https://a.com", None, {"https_proxy": "http://p:3128", "HTTPS_PROXY": "http://other:1"}, P),
        ("https://a.com", None, {"https_proxy": "", "HTTPS_PROXY": "p:3128"}, P),
        ("https://a.com", None, {"HTTP_PROXY": "http://p:3128"}, None),
        ("http://a.com", None, {"HTTP_PROXY": "http://p:3128"}, P),
        ("http://a.com", None, {"http_proxy": "http://p:3128"}, P),
        ("https://a.com", "none", {"HTTPS_PROXY": "http://p:3128"}, None),
        ("https://a.com", EXPLICIT, {"HTTPS_PROXY": "http://p:3128", "NO_PROXY": "*"}, EXPLICIT),
        # loopback: never by the environment, but by an explicit setting
        ("http://127.0.0.1:9", None, {"HTTP_PROXY": "http://p:3128"}, None),
        ("http://[::1]:9", None, {"HTTP_PROXY": "http://p:3128"}, None),
        ("http://localhost", None, {"HTTP_PROXY": "http://p:3128"}, None),
        ("http://x.localhost.", None, {"HTTP_PROXY": "http://p:3128"}, None),
        ("http://127.0.0.1:9", EXPLICIT, {}, EXPLICIT),
        # exceptions
        ("https://a.com", None, {"HTTPS_PROXY": "http://p:3128", "NO_PROXY": "*"}, None),
        ("https://a.com", None, {"HTTPS_PROXY": "http://p:3128", "NO_PROXY": "b.com, A.com"}, None),
        ("https://x.a.com", None, {"HTTPS_PROXY": "http://p:3128", "no_proxy": "a.com"}, None),
        ("https://x.a.com.", None, {"HTTPS_PROXY": "http://p:3128", "no_proxy": ".a.com"}, None),
        ("https://x.a.com", None, {"HTTPS_PROXY": "http://p:3128", "no_proxy": "*.a.com"}, None),
        ("https://xa.com", None, {"HTTPS_PROXY": "http://p:3128", "no_proxy": "a.com"}, P),
        ("https://a.com:444", None, {"HTTPS_PROXY": "http://p:3128", "no_proxy": "a.com:444"}, None),
        ("https://a.com", None, {"HTTPS_PROXY": "http://p:3128", "no_proxy": "a.com:444"}, P),
        ("https://a.com", None, {"HTTPS_PROXY": "http://p:3128", "no_proxy": "a.com", "NO_PROXY": "b.com"}, None),
        ("https://10.1.2.3", None, {"HTTPS_PROXY": "http://p:3128", "no_proxy": "10.0.0.0/8"}, None),
        ("https://10.1.2.3", None, {"HTTPS_PROXY": "http://p:3128", "no_proxy": "10.1.2.3"}, None),
        ("https://11.1.2.3", None, {"HTTPS_PROXY": "http://p:3128", "no_proxy": "10.0.0.0/8"}, P),
        ("https://[fd00::1]", None, {"HTTPS_PROXY": "http://p:3128", "no_proxy": "[fd00::1]"}, None),
        ("https://a.com", None, {"HTTPS_PROXY": "http://p:3128", "no_proxy": ","}, P),
        ("https://a.com", None, {"HTTPS_PROXY": "http://p:3128", "no_proxy": "."}, P),
        # a variable that cannot be used matters only where it would be used
        ("http://127.0.0.1", None, {"HTTP_PROXY": "socks5://p"}, None),
    ],
)
def test_which_proxy(url: str, setting, environ: dict[str, str], expected):
    """Requests, with their keys, would go to the wrong machine or not leave the house."""
    assert proxy_for(values.endpoint(url), setting, environ) == expected


def test_a_variable_that_cannot_be_used_is_named():
    """Falling back to no proxy in silence would send keys around the operator's wall."""
    with pytest.raises(ValueError, match=r"the environment variable HTTPS_PROXY only http:// proxies"):
        proxy_for(values.endpoint("https://a.com"), None, {"HTTPS_PROXY": "socks5://user:hunter2@p"})


def test_loopback():
    """A name that only looks like this machine would be reached without the proxy."""
    assert is_loopback("127.9.9.9")
    assert not is_loopback("localhost.example.com")
    assert not is_loopback("10.0.0.1")

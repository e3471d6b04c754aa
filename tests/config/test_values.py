"""The written forms of single values, taken and refused."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.config import values
from trunkline.config.values import Address, Endpoint, ProxyAddress

GOOD = [
    (values.duration, "200ms", 0.2),
    (values.duration, "5s", 5.0),
    (values.duration, "10m", 600.0),
    (values.duration, "1h", 3600.0),
    (values.duration, "1.5", 1.5),
    (values.duration, 5, 5.0),
    (values.duration, "30d", 30 * 86400.0),
    (values.duration_or_zero, "0s", 0.0),
    (values.retention, "90d", 90 * 86400),
    (values.retention, "52 w", 364 * 86400),
    (values.retention, "36525d", 36525 * 86400),
    (values.size, "64KiB", 65536),
    (values.size, "1 MiB", 1 << 20),
    (values.size, "1024GiB", 1 << 40),
    (values.size, "17", 17),
    (values.size, "17B", 17),
    (values.count, "1", 1),
    (values.count, 10_000_000, 10_000_000),
    (values.address, "127.0.0.1:4000", Address("127.0.0.1", 4000)),
    (values.address, "[::1]:0", Address("::1", 0)),
    (values.address, "LocalHost:65535", Address("localhost", 65535)),
    (values.endpoint, "https://api.openai.com/v1/", Endpoint("https", "api.openai.com", 443, "/v1")),
    (values.endpoint, "http://[::1]:81", Endpoint("http", "::1", 81, "")),
    (values.endpoint, "HTTP://EXAMPLE.com/a/b~c", Endpoint("http", "example.com", 80, "/a/b~c")),
    (values.endpoint, "http://xn--bcher-kva.example/", Endpoint("http", "xn--bcher-kva.example", 80, "")),
    (values.endpoint, "http://my_service.lan.:8080", Endpoint("http", "my_service.lan.", 8080, "")),
    (values.proxy, "http://p:3128", ProxyAddress("p", 3128, None, "")),
    (values.proxy, "http://u%40x:p%3Aw@p/", ProxyAddress("p", 80, "u@x", "p:w")),
    (values.proxy, "http://u@p", ProxyAddress("p", 80, "u", "")),
    (values.origin, "*", "*"),
    (values.origin, "https://App.example.com:8443", "https://app.example.com:8443"),
    (values.slug, "lab-1.x_y", "lab-1.x_y"),
    (values.model, "meta-llama/Llama 3", "meta-llama/Llama 3"),
    (values.model, "a..b/...", "a..b/..."),
    (values.header_name, "X-Title", "x-title"),
    (values.header_value, " a b ", "a b"),
    (values.api_key, "sk-1", "sk-1"),
    (values.client_secret, "x" * 16, "x" * 16),
    (values.digest, "sha256:" + "aB" * 32, bytes.fromhex("ab" * 32)),
    (values.api_version, "2026-10-21", "2026-10-21"),
    (values.api_version, "", ""),
    (values.label, "us-East5", "us-east5"),
    (values.label, "a", "a"),
    (values.project, "example.com:lab-1", "example.com:lab-1"),
    (values.project, 123, "123"),
    (values.beta, "context-1m-2025-08-07", "context-1m-2025-08-07"),
    (values.beta, "*", "*"),
]

BAD = [
    *((values.duration, bad) for bad in ("", "s", "-1s", "5 parsecs", "1e3", "inf", "0", "31d", "9" * 400, "٣s", None, [1])),
    *((values.retention, bad) for bad in ("", "0d", "36526d", "90", "12h", "-1d", "1.5d", "1y", "٣d", 90, None)),
    *((values.duration_or_zero, bad) for bad in ("-0", "nan", True)),
    *((values.size, bad) for bad in ("", "0", "1.5MiB", "5MB", "1025GiB", "9" * 99, "-1", {})),
    *((values.count, bad) for bad in ("0", "-1", "1.0", "99999999", "x", None)),
    *((values.address, bad) for bad in ("", "4000", ":4000", "::1:4000", "a:b", "a:65536", "[a]:x", "[a]:1", "1.2.3:4")),
    *(
        (values.endpoint, bad)
        for bad in (
            "", "api.openai.com", "ftp://a", "http://", "http://u:p@h", "http://u@h", "http://@h", "http://h?x", "http://h/#", "http://h:0",
            "http://h:65536", "http://h:", "http://h:x", "http://a b", "http://h/a b", "http://h/\r\nX: y", "http://h/\x00",
            "http://h\\x", "http://h/../v1", "http://h//v1", "http://h/./v1", "http://bücher", "http://[::1", "http://::1/", "http://[h]",
            "http://256.1.1.1", "http://-a", "http://h/ü", 'http://h/"', "https:h", None, "http://" + "a" * 300,
        )
    ),
    *((values.proxy, bad) for bad in ("p:1", "https://p", "socks5://p:1", "http://p/x", "http://p?x", "http://u%0a:p@p", "http://")),
    *((values.origin, bad) for bad in ("https://a/", "https://a/b", "a", "null", "")),
    *((values.slug, bad) for bad in ("", "a/b", "-a", "a b", "a" * 65, "é", "a\n", None)),
    *((values.model, bad) for bad in ("", " a", "a\n", ".", "..", "a/../b", "./a", "a/..", "x" * 257, "\x7f", None, "\udc80")),
    *((values.header_name, bad) for bad in ("", "a b", "a:", "a\r", None, "é")),
    *((values.header_value, bad) for bad in ("a\r\nb: c", "\x00", "é", "x" * 8193, None)),
    *((values.api_key, bad) for bad in ("", "a b", "a\n", "é", None, "x" * 8193)),
    *((values.client_secret, bad) for bad in ("x" * 15, "x" * 513, "x" * 15 + " ", "é" * 16, None, "x" * 16 + "\n")),
    *((values.api_version, bad) for bad in ("2026 10", "1\r\nx: y", "x" * 33, "é", None)),
    *((values.label, bad) for bad in ("", "-a", "a-", "a.b", "a/b", "é", "x" * 64, None)),
    *((values.project, bad) for bad in ("", "a/b", "A b", "../x", "-a", None, "x" * 129)),
    *((values.beta, bad) for bad in ("", "a,b", "a b", "a\n", "x" * 129, None)),
    *((values.digest, bad) for bad in ("", "ab" * 32, "sha256:" + "ab" * 31, "sha256:" + "xy" * 32, "sha1:" + "ab" * 32, None)),
    *((values.digest, "sha256:" + hashlib.sha256(word).hexdigest()) for word in (b"", b"\n", b"test", b"changeme\n")),
]  # fmt: skip


@pytest.mark.parametrize(("read", "written", "value"), GOOD)
def test_forms_that_are_taken(read, written, value):
    """What the documentation promises would be refused."""
    assert read(written) == value


@pytest.mark.parametrize(("read", "written"), BAD)
def test_forms_that_are_refused_without_repeating_them(read, written):
    """A broken value would reach a socket or a header, or a secret would be printed."""
    with pytest.raises(ValueError) as refusal:
        read(written)
    assert refusal.value.args
    if isinstance(written, str) and len(written) > 10:
        assert written not in str(refusal.value)


@given(st.text(max_size=60).map(lambda text: f"http://{text}"))
def test_an_endpoint_never_smuggles(url: str):
    """A host or path from the file could end the request line and begin a header."""
    try:
        endpoint = values.endpoint(url)
    except ValueError:
        return
    assert endpoint.host.isascii()
    assert not set(endpoint.host + endpoint.path) & set(' \r\n\t\0@?#\\"')
    assert 0 < endpoint.port < 65536


def test_a_proxy_does_not_show_its_password():
    """A log of the settings would hold the password."""
    assert "hunter2" not in repr(values.proxy("http://u:hunter2@p:1"))


@pytest.mark.parametrize(
    ("check", "text", "value"),
    [
        (values.dollars, "2", 2 * 10**9),
        (values.dollars, "$0.000000001", 1),
        (values.dollars, "9999999.999999999", 9_999_999_999_999_999),
        (values.portion, "50%", 500_000),
        (values.portion, "0.5", 500_000),
        (values.portion, "12.5%", 125_000),
        (values.portion, "0", 0),
        (values.portion, "1000%", 10_000_000),
        (values.moment, "1970-01-02", 86_400 * 10**9),
        (values.moment, "1970-01-01T01:00:00+01:00", 0),
        (values.moment, "1970-01-01 00:00:05", 5 * 10**9),
    ],
)
def test_money_and_moments(check, text, value):
    """A price that is read as another one is charged for a month before anybody looks."""
    assert check(text) == value


@pytest.mark.parametrize(
    ("check", "text"),
    [
        *((values.dollars, text) for text in ("", "-1", "1e3", "1,5", "0.0000000001", "99999999", "two", "$")),
        *((values.portion, text) for text in ("", "-1", "1001%", "11", "50 percent")),
        *((values.moment, text) for text in ("", "tomorrow", "1969-12-31", "2026-13-01", "9999-01-01")),
    ],
)
def test_what_is_neither_money_nor_moment(check, text):
    """It is told instead of guessed at."""
    with pytest.raises(ValueError, match="must be"):
        check(text)

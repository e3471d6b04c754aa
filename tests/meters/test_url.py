"""Redis's URL: what is understood, what is refused, and that no password is ever shown."""

from __future__ import annotations

import pytest

from trunkline.meters.url import RedisUrl, parse, prefix


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("redis://localhost", RedisUrl("localhost", 6379, 0, "", "", False)),
        ("redis://10.0.0.1:7000/3", RedisUrl("10.0.0.1", 7000, 3, "", "", False)),
        ("redis://[::1]:7000/", RedisUrl("::1", 7000, 0, "", "", False)),
        ("redis://:p%40ss@h", RedisUrl("h", 6379, 0, "", "p@ss", False)),
        ("rediss://me:pass@h/1", RedisUrl("h", 6379, 1, "me", "pass", True)),
        ("rediss://h?ssl_ca_certs=/etc/ca.pem", RedisUrl("h", 6379, 0, "", "", True, "/etc/ca.pem")),
        ("unix:///run/redis.sock", RedisUrl("/run/redis.sock", 6379, 0, "", "", False)),
        ("unix://me:pass@/run/redis.sock?db=2", RedisUrl("/run/redis.sock", 6379, 2, "me", "pass", False)),
    ],
)
def test_what_is_understood(written: str, found: RedisUrl) -> None:
    """The forms that redis-py and redis-cli take, and that managed services hand out."""
    assert parse(written) == found


@pytest.mark.parametrize(
    "written",
    [
        "",
        "localhost:6379",
        "http://h",
        "redis://",
        "redis://h:99999",
        "redis://h/x",
        "redis://h/1234567",
        "redis://h?db=1",
        "redis://h?ssl_ca_certs=/x",
        "redis://user@h",
        "redis://:a%00b@h",
        "redis://:canary@h:port",
        "http://:canary@h",
        "redis://h#x",
        "unix:///x?database=1",
        "unix://",
        "redis://h?=",
        7,
    ],
)
def test_what_is_refused(written: object) -> None:
    """A word that is wrong must be told with the form that is right, and never repeated: a password may be in it."""
    with pytest.raises(ValueError, match=r"must be|must hold") as refused:
        parse(written)
    assert "canary" not in str(refused.value)


def test_no_password_is_shown() -> None:
    """In logs and messages stands where Redis is, and nothing that lets anybody in."""
    url = parse("rediss://me:se%2Fcret@h:7000/1")
    assert str(url) == "h:7000"
    assert "cret" not in repr(url)
    assert url.secrets() == (b"se%2Fcret", b"se/cret")
    assert str(parse("redis://[::1]")) == "[::1]:6379"
    assert str(parse("unix:///run/redis.sock")) == "/run/redis.sock"


@pytest.mark.parametrize("written", ["a b", "ü:", "x" * 65, "a\n", 5])
def test_prefixes(written: object) -> None:
    """A prefix becomes part of every key: it must be readable in every tool."""
    assert prefix("{house}:") == "{house}:"
    with pytest.raises(ValueError, match="at most 64"):
        prefix(written)

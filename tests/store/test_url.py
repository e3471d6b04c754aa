"""Where a store on a server is, as written: taken apart as libpq would, refused in words, its password never shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.store.url import StoreUrl, is_local, parse


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("postgresql://u:p@db.example/x", StoreUrl("db.example", 5432, "x", "u", "p", "verify-full")),
        ("postgres://u@localhost:6000/x", StoreUrl("localhost", 6000, "x", "u", "", "disable")),
        ("postgresql://u:p@[::1]:5433/x", StoreUrl("::1", 5433, "x", "u", "p", "disable")),
        ("postgresql://u%40b:p%2F%3A%25@127.0.0.1/a%20b", StoreUrl("127.0.0.1", 5432, "a b", "u@b", "p/:%", "disable")),
        ("postgresql://u:p@h/x?sslmode=require", StoreUrl("h", 5432, "x", "u", "p", "require")),
        (
            "postgresql://u:p@h/x?sslmode=verify-ca&sslrootcert=ca.pem",
            StoreUrl("h", 5432, "x", "u", "p", "verify-ca", "ca.pem"),
        ),
        ("postgresql://u@/x?host=/var/run/pg", StoreUrl("/var/run/pg", 5432, "x", "u", "", "disable")),
        ("postgresql://u@%2Frun%2FPg/x", StoreUrl("/run/Pg", 5432, "x", "u", "", "disable")),
        ("postgresql://u@[fe80::1%25eth0]/x", StoreUrl("fe80::1%eth0", 5432, "x", "u", "", "verify-full")),
        ("postgresql://u@localhost/x?sslrootcert=system", StoreUrl("localhost", 5432, "x", "u", "", "verify-full")),
        ("postgresql://u@h/x?sslmode=verify-full&sslrootcert=system", StoreUrl("h", 5432, "x", "u", "", "verify-full")),
        ("  postgresql://u:p@h/x  ", StoreUrl("h", 5432, "x", "u", "p", "verify-full")),
    ],
)
def test_a_url_is_taken_apart(text, expected):
    """What works for psql works here; beyond this machine, nobody is trusted without a certificate."""
    assert parse(text) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "must be postgresql://"),
        (5, "must be postgresql://"),
        ("mysql://u:p@h/x", "must be postgresql://"),
        ("postgresql+pg8000://u:p@h/x", "must be postgresql://"),
        ("sqlite:///x.db", "SQLite is used where this is absent"),
        ("postgresql://h/x", "must be postgresql://"),
        ("postgresql://u:p@h", "must be postgresql://"),
        ("postgresql://u:p@/x", "must be postgresql://"),
        ("postgresql://u:p@h:port/x", "must be postgresql://"),
        ("postgresql://u:p@h:99999/x", "must be postgresql://"),
        ("postgresql://u:p@[h/x", "must be postgresql://"),
        ("postgresql://u:p#q@h/x", "# as %23"),
        ("postgresql://u:p%00@h/x", "must be postgresql://"),
        ("postgresql://u:p@h/x?sslmode=prefer", "sslmode must be one of disable, require, verify-ca, verify-full"),
        ("postgresql://u:p@h/x?connect_timeout=3", "but not 'connect_timeout'"),
        ("postgresql://u:p@h/x?sslmode=require&sslrootcert=system", "sslrootcert=system is for sslmode=verify-full"),
        ("postgresql://u:p@h/x?a&b", "must be postgresql://"),
        ("postgresql://u:p@h/x?host=elsewhere", "begins with /"),
    ],
)
def test_what_is_no_such_url_is_refused_in_words(text, words):
    """The operator learns what to write, and the log does not learn the password."""
    with pytest.raises(ValueError, match=words) as caught:
        parse(text)
    assert "u:p" not in str(caught.value)


@given(st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF, exclude_categories=["C", "Z"]), min_size=8))
def test_the_password_is_never_shown(password):
    """A message, a log line or a traceback of this must let nobody in; every form of it is told for masking."""
    url = StoreUrl("h", 5432, "x", "somebody", password, "verify-full")
    shown = f"{url} {url!r} {[url]}"
    assert shown == "'x' at h:5432 StoreUrl('x' at h:5432) [StoreUrl('x' at h:5432)]"
    assert password.encode() in url.secrets()


def test_an_escaped_password_is_masked_as_written_too():
    """A driver's message may quote the URL as it was written."""
    assert parse("postgresql://u:a%2Fb%40c@h/x").secrets() == (b"a%2Fb%40c", b"a/b%40c", b"a/b@c")
    assert parse("postgresql://u@h/x").secrets() == ()


def test_only_this_machine_is_local():
    """TLS is left out by itself only where nobody can listen in."""
    assert all(map(is_local, ("localhost", "127.0.0.1", "127.1.2.3", "::1", "/run/pg")))
    assert not any(map(is_local, ("localhost.example", "10.0.0.1", "db", "1270.example", "127.example")))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://u%20u:p@h/x", "postgresql://u%20u@h:5432/x?sslmode=verify-full&sslrootcert=system"),
        ("postgresql://u:p@[::1]:6000/x", "postgresql://u@[::1]:6000/x?sslmode=disable"),
        (
            "postgresql://u:p@h/x?sslmode=verify-ca&sslrootcert=c.pem",
            "postgresql://u@h:5432/x?sslmode=verify-ca&sslrootcert=c.pem",
        ),
        ("postgresql://u@[fe80::1%25eth0]/x?sslmode=require", "postgresql://u@[fe80::1%25eth0]:5432/x?sslmode=require"),
        ("postgresql://u@/x?host=/run/pg", "postgresql://u@:5432/x?sslmode=disable&host=%2Frun%2Fpg"),
    ],
)
def test_a_url_for_other_programs(text, shown):
    """`pg_dump` must reach the same database the same way, and ask for the password itself."""
    assert parse(text).without_password() == shown
    assert parse(shown) == parse(text.replace(":p@", "@"))

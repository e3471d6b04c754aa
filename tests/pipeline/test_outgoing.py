"""What we add to an answer, and the credential that must not be in one."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from harness.gateway import PROVIDER_KEY
from pipeline.by_hand import by_hand
from pipeline.inside import Inside
from trunkline.canon.errors import GatewayError, Kind, Upstream
from trunkline.pipeline.outgoing import head, retry_after, scrub, scrub_json, unescaped

SECRET = PROVIDER_KEY.encode()


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (GatewayError(Kind.OVERLOADED, ""), b""),
        (GatewayError(Kind.OVERLOADED, "", retry_after=5.0), b"retry-after: 5\r\n"),
        (GatewayError(Kind.OVERLOADED, "", retry_after=1.2), b"retry-after: 2\r\n"),
        (GatewayError(Kind.OVERLOADED, "", retry_after=0.0), b"retry-after: 1\r\n"),
        (GatewayError(Kind.UPSTREAM_FAILED, "", upstream=Upstream(429, b"")), b""),
        (GatewayError(Kind.UPSTREAM_FAILED, "", upstream=Upstream(429, b"", retry_after="7")), b"retry-after: 7\r\n"),
        (
            GatewayError(Kind.UPSTREAM_FAILED, "", upstream=Upstream(429, b"", retry_after="Fri, 31 Dec 1999 23:59:59 GMT")),
            b"retry-after: Fri, 31 Dec 1999 23:59:59 GMT\r\n",
        ),
        (
            GatewayError(Kind.UPSTREAM_FAILED, "", retry_after=3, upstream=Upstream(429, b"", retry_after="9")),
            b"retry-after: 9\r\n",
        ),
        (GatewayError(Kind.UPSTREAM_FAILED, "", upstream=Upstream(429, b"", retry_after="9 é")), b"retry-after: 9 ?\r\n"),
    ],
)
def test_when_to_try_again(error: GatewayError, line: bytes) -> None:
    """Too early a retry is refused again: the provider's own word counts, ours is rounded up, and never zero."""
    assert retry_after(error) == line


@given(st.binary(max_size=60), st.binary(max_size=60), st.integers(0, 3))
@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_credential_is_said_back(inside: Inside, before: bytes, after: bytes, times: int) -> None:
    """Some providers repeat the key they were shown; a client of ours must not get ours."""
    exchange, _ = by_hand(inside)
    exchange.target = inside.parts.live.snapshot.routes["m"].targets[0]
    body = before + PROVIDER_KEY.encode() * times + after
    assert PROVIDER_KEY.encode() not in scrub(exchange, body)
    assert (scrub(exchange, body) == body) is (PROVIDER_KEY.encode() not in body)


def test_a_token_that_went_out_is_hidden_too(inside: Inside) -> None:
    """One that is renewed is in no configuration; a client that read it could use it for its hour."""
    exchange, _ = by_hand(inside)
    exchange.target = inside.parts.live.snapshot.routes["m"].targets[0]
    exchange.secrets = (b"ya29.token",)
    assert scrub(exchange, b"Bearer ya29.token and " + SECRET) == b"Bearer *** and ***"


def test_before_a_target_there_is_no_secret(inside: Inside) -> None:
    """Refused at admission: nothing to hide, nothing to fail on."""
    exchange, _ = by_hand(inside)
    assert scrub(exchange, b"any") == b"any"


@pytest.mark.parametrize("how", ["plain", "first", "every", "capital"])
def test_escapes_hide_no_credential(inside: Inside, how: str) -> None:
    """JSON may write any letter as an escape, and PHP writes every slash as one; a client's parser would read our key."""
    exchange, _ = by_hand(inside)
    exchange.target = inside.parts.live.snapshot.routes["m"].targets[0]
    escapes = {
        "plain": PROVIDER_KEY,
        "first": f"\\u{ord(PROVIDER_KEY[0]):04x}{PROVIDER_KEY[1:]}",
        "every": "".join(f"\\u{ord(char):04x}" for char in PROVIDER_KEY),
        "capital": "".join(f"\\u{ord(char):04X}" for char in PROVIDER_KEY),
    }
    told = b'{"error":"bad key ' + escapes[how].encode() + b'"}'
    shown = scrub_json(exchange, told, b"ours, " + SECRET)
    assert SECRET not in unescaped(shown)
    assert shown == (b'{"error":"bad key ***"}' if how == "plain" else b"ours, ***")


@pytest.mark.parametrize(
    ("text", "read"),
    [
        (rb"a\/b", b"a/b"),
        (rb"\u002f\u0041", b"/A"),
        ("é \\u00e9".encode(), "é \\u00e9".encode()),
        (rb"\n\"", rb"\n\""),
    ],
)
def test_unescaped(text: bytes, read: bytes) -> None:
    """Only what could spell a credential: slashes and ASCII."""
    assert unescaped(text) == read


@pytest.mark.parametrize(
    ("dropped", "line"),
    [
        ((), b""),
        (("seed",), b"x-trunkline-dropped: seed\r\n"),
        (("seed", "a\r\nb: c", "é"), b"x-trunkline-dropped: seed, a??b: c, ?\r\n"),
        (("a" * 1000, "b" * 100, "c"), b"x-trunkline-dropped: " + b"a" * 1000 + b", and 2 more\r\n"),
        (("a" * 2000,), b"x-trunkline-dropped: , and 1 more\r\n"),
    ],
)
def test_losses_in_a_header(inside: Inside, dropped: tuple[str, ...], line: bytes) -> None:
    """Names of fields are a client's own words: none may end the line, and a long history must not make a head too long."""
    exchange, _ = by_hand(inside)
    route = inside.parts.live.snapshot.routes["m"]
    exchange.turn_to(route.targets[0], route.deadlines)
    exchange.dropped = dropped
    assert head(exchange).endswith(b"x-trunkline-attempts: 1\r\n" + line)

"""What providers say of their rate limits, as they were seen to say it."""

from __future__ import annotations

import json
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.recordings import ROOT
from trunkline.providers.allowances import Told, read

NOW = 1_800_000_000.0  # 2027-01-15T08:00:00Z
DAY = 86_400.0


def said(lines: str) -> dict[bytes, bytes]:
    """Headers, one to a line."""
    pairs = (line.strip().split(": ", 1) for line in lines.splitlines() if line.strip())
    return {name.encode(): value.encode() for name, value in pairs}


OPENAI = """
    x-ratelimit-limit-requests: 500
    x-ratelimit-limit-tokens: 30000
    x-ratelimit-remaining-requests: 499
    x-ratelimit-remaining-tokens: 29900
    x-ratelimit-reset-requests: 120ms
    x-ratelimit-reset-tokens: 6m0s
"""
ANTHROPIC = """
    anthropic-ratelimit-requests-limit: 50
    anthropic-ratelimit-requests-remaining: 49
    anthropic-ratelimit-requests-reset: 2027-01-15T08:00:02Z
    anthropic-ratelimit-input-tokens-limit: 1000
    anthropic-ratelimit-input-tokens-remaining: 900
    anthropic-ratelimit-input-tokens-reset: 2027-01-15T09:00:07+01:00
    anthropic-ratelimit-output-tokens-limit: 500
    anthropic-ratelimit-output-tokens-remaining: 100
    anthropic-ratelimit-output-tokens-reset: 2027-01-15T08:00:50
    anthropic-ratelimit-tokens-limit: 1500
    anthropic-ratelimit-tokens-remaining: 1000
    anthropic-ratelimit-tokens-reset: 2027-01-15T08:00:50Z
"""
AZURE = """
    x-ratelimit-limit-requests: 50
    x-ratelimit-remaining-requests: 49
    x-ratelimit-remaining-tokens: 49974
    x-ratelimit-renewalperiod-requests: 60
    x-ratelimit-reset-requests: 1
    x-ratelimit-reset-tokens: 0
"""
MISTRAL = """
    x-ratelimit-limit-req-minute: 100
    x-ratelimit-limit-tokens-minute: 100000
    x-ratelimit-remaining-req-minute: 97
    x-ratelimit-remaining-tokens-minute: 98156
"""
CEREBRAS = """
    x-ratelimit-limit-requests-day: 14400
    x-ratelimit-limit-tokens-minute: 60000
    x-ratelimit-remaining-requests-day: 14399
    x-ratelimit-remaining-tokens-minute: 59000
    x-ratelimit-reset-requests-day: 33011.382867
    x-ratelimit-reset-tokens-minute: 11.38
"""
OPENROUTER = """
    x-ratelimit-limit: 20
    x-ratelimit-remaining: 0
    x-ratelimit-reset: 1800000012500
"""
TOGETHER = """
    x-ratelimit-limit: 10
    x-ratelimit-remaining: 9
    x-ratelimit-reset: 1
    x-tokenlimit-limit: 3000
    x-tokenlimit-remaining: 2990
"""
XAI = """
    x-ratelimit-limit-requests: 480
    x-ratelimit-remaining-requests: 459
    x-ratelimit-limit-tokens: 18446744073709551615
    x-ratelimit-remaining-tokens: 18446744073709545011
"""


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        pytest.param(OPENAI, Told(499, 0.12, 29900, 360.0, 500, 30000, refills=True), id="openai"),
        pytest.param(ANTHROPIC, Told(49, 2.0, 100, 50.0, 50, 500, refills=True), id="anthropic"),
        pytest.param(AZURE, Told(49, 1.0, 49974, 0.0, 50, None), id="azure"),
        pytest.param(MISTRAL, Told(97, None, 98156, None, 100, 100_000), id="mistral"),
        pytest.param(CEREBRAS, Told(14399, 33011.382867, 59000, 11.38, 14400, 60000), id="cerebras"),
        pytest.param(OPENROUTER, Told(0, 12.5, None, None, 20, None), id="openrouter"),
        pytest.param(TOGETHER, Told(9, 1.0, 2990, None, 10, 3000), id="together"),
        pytest.param(XAI, Told(459, None, None, None, 480, None), id="xai has no limit on tokens"),
        pytest.param("ratelimit-remaining: 3\nratelimit-reset: 1800000009", Told(3, 9.0), id="the draft, with a date"),
        pytest.param("x-ratelimit-remaining-tokens: 5", Told(tokens_left=5), id="tokens alone"),
        pytest.param(
            "anthropic-ratelimit-tokens-remaining: 5", Told(tokens_left=5, refills=True), id="anthropic's tokens alone"
        ),
        pytest.param("x-ratelimit-remaining-tokens-minute: 5", Told(tokens_left=5), id="a minute's tokens alone"),
        pytest.param("x-ratelimit-remaining: 5\nx-ratelimit-limit: 0", Told(5, requests_limit=0), id="a limit of none"),
        pytest.param("content-type: text/html\nretry-after: 3", None, id="nothing"),
    ],
)
def test_each_way_to_say_it(lines: str, told: Told | None) -> None:
    """A provider's limits would be run into although it tells them with each answer."""
    assert read(said(lines), NOW) == told


@pytest.mark.parametrize(
    ("reset", "seconds"),
    [
        ("12ms", 0.012),
        ("6m0s", 360.0),
        ("1h2m3.5s", 3723.5),
        ("0s", 0.0),
        ("1m6.779s", 66.779),
        ("2h", 7200.0),
        ("1m30ms", 60.03),
        ("250us", 0.00025),
        ("250µs", 0.00025),
        ("7", 7.0),
        ("7.25", 7.25),
        ("1800000060", 60.0),
        ("1800000060000", 60.0),
        ("1799999940", -60.0),
        ("2027-01-15T08:01:00Z", 60.0),
        ("2027-01-15t08:01:00.5+00:00", 60.5),
        ("1970-01-01T00:00:00Z", -NOW),
        ("2027-13-15T08:01:00Z", None),
        ("2027-01-15T\xff", None),
        ("soon", None),
        ("", None),
        ("-5", None),
        ("5, 5", None),
        ("1e9", None),
        ("nan", None),
        ("5 s", None),
        ("3s2m", None),
        ("9" * 400, None),
        ("1s" * 400, None),
    ],
)
def test_how_resets_are_written(reset: str, seconds: float | None) -> None:
    """A target would be left alone for the wrong time, or an answer lost to a strange header."""
    told = read({b"x-ratelimit-remaining": b"1", b"x-ratelimit-reset": reset.encode()}, NOW)
    assert told is not None
    assert told.requests_reset == (None if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize("left", [b"", b"-1", b"many", b"1.5", b"5, 5", b"9" * 16, "\u0663".encode()])
def test_nonsense_is_not_a_number_that_is_left(left: bytes) -> None:
    """A header that makes no sense would stop a target, or the answer it came with."""
    assert read({b"x-ratelimit-remaining-requests": left}, NOW) is None


@given(
    st.dictionaries(
        st.sampled_from([*said(OPENAI), *said(ANTHROPIC), *said(MISTRAL), *said(CEREBRAS), *said(TOGETHER)]),
        st.binary(max_size=30) | st.sampled_from([b"0", b"9", b"1s", b"2027-01-15T08:01:00Z", b"9999-12-31T23:59:59-23:59"]),
    )
)
def test_no_header_is_an_exception(headers: dict[bytes, bytes]) -> None:
    """A provider's bug would be the gateway's."""
    told = read(headers, NOW)
    assert told is None or told.requests_left is not None or told.tokens_left is not None


@cache
def recorded() -> list[tuple[str, dict[str, str]]]:
    """The headers of all recorded answers that tell of rate limits, in lower case."""
    index = ROOT / "index.json"
    rows = json.loads(index.read_text()) if index.exists() else []
    answers = [(row["id"], json.loads((ROOT / row["file"]).read_text())["response"]["headers"]) for row in rows]
    lower = [(name, {key.lower(): value for key, value in headers.items()}) for name, headers in answers]
    return [(name, headers) for name, headers in lower if any("ratelimit" in key and "remaining" in key for key in headers)]


def test_all_that_was_recorded_is_read() -> None:
    """What a provider really sends would go unnoticed."""
    if not recorded():
        pytest.skip(f"no recordings at {ROOT} (set TRUNKLINE_WIRE)")
    for name, headers in recorded():
        told = read({key.encode(): value.encode() for key, value in headers.items()}, NOW)
        assert told is not None, name
        for kind, left, limit, reset in (
            ("req", told.requests_left, told.requests_limit, told.requests_reset),
            ("tokens", told.tokens_left, told.tokens_limit, told.tokens_reset),
        ):
            lines = {key: value for key, value in headers.items() if "ratelimit" in key and kind in key and len(value) < 25}
            numbers = {int(value) for key, value in lines.items() if "remaining" in key and len(value) < 16}
            assert left in numbers or (left is None and not numbers), (name, kind)
            assert limit is None or str(limit) in lines.values(), (name, kind)
            assert (reset is not None) is any("reset" in key for key in lines), (name, kind)
            assert reset is None or reset < DAY, (name, kind)

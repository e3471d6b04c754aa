"""What providers say about trying again, in all their ways."""

from __future__ import annotations

import pytest

from trunkline.pipeline.patience import retry_after, should_retry

NOW = 1_795_268_682.0  # Sat, 21 Nov 2026 13:44:42 GMT


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({b"retry-after": b"47"}, 47.0),
        ({b"retry-after": b" 1.5 "}, 1.5),
        ({b"retry-after": b"Sat, 21 Nov 2026 13:45:12 GMT"}, 30.0),
        ({b"retry-after": b"Sat, 21 Nov 2026 13:44:12 GMT"}, None),
        # our clock is wrong, back and on
        ({b"retry-after": b"Sat, 21 Nov 2026 14:45:12 GMT", b"date": b"Sat, 21 Nov 2026 14:44:42 GMT"}, 30.0),
        ({b"retry-after": b"Sat, 21 Nov 2026 12:45:12 GMT", b"date": b"Sat, 21 Nov 2026 12:44:42 GMT"}, 30.0),
        ({b"retry-after": b"Sat, 21 Nov 2026 13:45:12 GMT", b"date": b"today"}, 30.0),
        ({b"retry-after": b"7", b"date": b"Sat, 21 Nov 2026 12:44:42 GMT"}, 7.0),
        ({b"retry-after-ms": b"250", b"retry-after": b"1"}, 0.25),
        ({b"retry-after-ms": b"0", b"retry-after": b"1"}, None),
        ({b"retry-after-ms": b"soon", b"retry-after": b"1"}, 1.0),
        ({b"retry-after": b"0"}, None),
        ({b"retry-after": b"-5"}, None),
        ({b"retry-after": b"nan"}, None),
        ({b"retry-after": b"1e400"}, None),
        ({b"retry-after": b"99999999999"}, None),
        ({b"retry-after": b"tomorrow"}, None),
        ({b"retry-after": b"\xff"}, None),
        ({b"retry-after": b"Sat, 99 Nov 2026 13:45:12 GMT"}, None),
        ({b"retry-after": b""}, None),
    ],
)
def test_when(headers: dict[bytes, bytes], seconds: float | None) -> None:
    """A provider would be asked before it can answer, or not for years."""
    assert retry_after(headers, NOW) == seconds


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ({}, None),
        ({b"x-should-retry": b"true"}, True),
        ({b"x-should-retry": b" False"}, False),
        ({b"x-should-retry": b"1"}, None),
    ],
)
def test_whether(headers: dict[bytes, bytes], told: bool | None) -> None:
    """A provider knows best which of its failures last."""
    assert should_retry(headers) is told

"""The `date` header line."""

from __future__ import annotations

import pytest

from trunkline.edge import date as module
from trunkline.edge.date import Date


def test_the_date_is_made_once_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 9110 section 5.6.7's form, and not formatted for each request."""
    now = 784_111_777_000_000_000
    monkeypatch.setattr(module.time, "time_ns", lambda: now)
    date = Date()
    assert date() == b"date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
    assert date() is date()
    now += 1_000_000_000
    assert date() == b"date: Sun, 06 Nov 1994 08:49:38 GMT\r\n"

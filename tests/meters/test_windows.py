"""Days, weeks and months where clocks are set, skip and repeat hours."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.meters.windows import FOREVER, Period, Window, window

SECOND = 1_000_000_000


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * SECOND


def told(found: Window) -> tuple[str, str]:
    begin, end = (datetime.fromtimestamp(one // SECOND, UTC).isoformat()[:16] for one in found)
    return begin, end


@pytest.mark.parametrize(
    ("period", "zone", "when", "begin", "end"),
    [
        ("day", "UTC", "2026-03-01T00:00:00+00:00", "2026-03-01T00:00", "2026-03-02T00:00"),
        ("day", "UTC", "2026-03-01T23:59:59+00:00", "2026-03-01T00:00", "2026-03-02T00:00"),
        ("week", "UTC", "2026-03-01T12:00:00+00:00", "2026-02-23T00:00", "2026-03-02T00:00"),  # a Sunday
        ("week", "UTC", "2026-03-02T00:00:00+00:00", "2026-03-02T00:00", "2026-03-09T00:00"),
        ("month", "UTC", "2024-02-29T12:00:00+00:00", "2024-02-01T00:00", "2024-03-01T00:00"),
        ("month", "UTC", "2026-12-31T23:59:59+00:00", "2026-12-01T00:00", "2027-01-01T00:00"),
        ("month", "UTC", "2026-01-31T12:00:00+00:00", "2026-01-01T00:00", "2026-02-01T00:00"),
        ("day", "Europe/Berlin", "2026-03-29T12:00:00+02:00", "2026-03-28T23:00", "2026-03-29T22:00"),  # 23 hours
        ("day", "Europe/Berlin", "2026-10-25T12:00:00+01:00", "2026-10-24T22:00", "2026-10-25T23:00"),  # 25 hours
        ("day", "Asia/Kathmandu", "2026-05-05T00:00:00+05:45", "2026-05-04T18:15", "2026-05-05T18:15"),
        ("day", "Australia/Lord_Howe", "2026-04-05T12:00:00+10:30", "2026-04-04T13:00", "2026-04-05T13:30"),  # half an hour
        ("day", "America/Sao_Paulo", "2018-11-04T12:00:00-02:00", "2018-11-04T03:00", "2018-11-05T02:00"),  # no midnight
        ("day", "Pacific/Apia", "2011-12-29T12:00:00-10:00", "2011-12-29T10:00", "2011-12-30T10:00"),
        ("day", "Pacific/Apia", "2011-12-31T12:00:00+14:00", "2011-12-30T10:00", "2011-12-31T10:00"),  # no 30th
        ("month", "Pacific/Apia", "2011-12-31T12:00:00+14:00", "2011-12-01T10:00", "2011-12-31T10:00"),
    ],
)
def test_windows_of_the_calendar(period: Period, zone: str, when: str, begin: str, end: str) -> None:
    """A budget of a day that begins an hour late, or lasts twice, is somebody's bill."""
    assert told(window(period, zone, at(when))) == (begin, end)


def test_in_all_never_ends() -> None:
    """A budget for ever has one window."""
    assert window("total", "Europe/Berlin", at("2026-03-29T12:00:00+02:00")) == FOREVER


@given(
    moment=st.integers(631_152_000, 2_143_238_400),
    zone=st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Pacific/Apia", "Australia/Lord_Howe"]),
    period=st.sampled_from(["day", "week", "month"]),
)
def test_every_moment_lies_in_its_window_and_windows_follow_each_other(moment: int, zone: str, period: Period) -> None:
    """A moment in no window would be spent on nothing, one in two would be spent twice."""
    when = moment * SECOND
    found = window(period, zone, when)
    assert found.begin <= when < found.end
    assert window(period, zone, found.end).begin == found.end
    assert window(period, zone, found.begin) == found
    assert window(period, zone, found.end - 1) == found
    local = datetime.fromtimestamp(found.begin // SECOND, ZoneInfo(zone))
    assert period != "week" or local.weekday() == 0 or zone == "Pacific/Apia"
    assert found.end - found.begin <= timedelta(days=32).total_seconds() * SECOND

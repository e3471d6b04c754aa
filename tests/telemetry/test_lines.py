"""How lines look, in both forms: every request one parseable line, whatever the client sent."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.telemetry.lines import EventLine, Json, Pretty, RequestLine
from trunkline.telemetry.mask import Mask

NOON = 1_769_860_800_123_456_789
LINE = RequestLine(
    ts_ns=NOON,
    request_id="req_1",
    key="laptop",
    method="POST",
    path="/v1/chat/completions",
    endpoint="chat.completions",
    model="smart",
    provider="openai",
    target="gpt-4.1",
    status=200,
    outcome="ok",
    stream=True,
    duration_us=12_345,
    first_byte_us=2_345,
    input_tokens=100,
    output_tokens=20,
    cost_nano=123_000,
    client="127.0.0.1:5555",
    bytes_out=4321,
)


def test_a_request_as_json() -> None:
    """A log pipeline that reads these names would find nothing under them."""
    assert json.loads(Json(Mask()).request(LINE)) == {
        "ts": "2026-01-31T12:00:00.123Z",
        "level": "info",
        "event": "request",
        "request_id": "req_1",
        "key": "laptop",
        "method": "POST",
        "path": "/v1/chat/completions",
        "endpoint": "chat.completions",
        "model": "smart",
        "provider": "openai",
        "target": "gpt-4.1",
        "status": 200,
        "outcome": "ok",
        "error": "",
        "stream": True,
        "duration_ms": 12.345,
        "first_byte_ms": 2.345,
        "input_tokens": 100,
        "output_tokens": 20,
        "cost_usd": 0.000123,
        "attempts": 1,
        "client": "127.0.0.1:5555",
        "bytes_out": 4321,
        "detail": "",
    }


def test_a_request_as_text() -> None:
    """A person at the terminal would miss what happened, to whom, how long it took and what it cost."""
    assert Pretty(Mask(), colour=False).request(LINE).decode() == (
        "2026-01-31T12:00:00.123Z INFO    200 POST /v1/chat/completions smart -> openai/gpt-4.1 key=laptop"
        " 12.3ms first=2.3ms tokens=100+20 $0.000123 id=req_1\n"
    )


def test_a_failure_as_text_says_what_failed() -> None:
    """A person at the terminal would see a status and have to guess the rest."""
    failed = msgspec.structs.replace(
        LINE,
        status=502,
        outcome="upstream_error",
        error="upstream_failed",
        detail="boom",
        attempts=2,
        cost_nano=None,
        stream=False,
    )
    text = Pretty(Mask(), colour=False).request(failed).decode()
    assert " WARNING 502 " in text
    assert text.endswith("attempts=2 upstream_error upstream_failed id=req_1 detail=boom\n")


def test_a_refusal_before_routing_leaves_out_what_it_never_had() -> None:
    """A 401 would be shown with an arrow to nowhere."""
    refused = RequestLine(NOON, "r", "", "GET", "/x", "", "", "", "", 401, "refused", "unauthenticated", input_tokens=0)
    text = Pretty(Mask(), colour=False).request(refused).decode()
    assert text == "2026-01-31T12:00:00.123Z INFO    401 GET /x 0.0ms refused unauthenticated id=r\n"
    named = msgspec.structs.replace(refused, model="gone", key="laptop")
    assert " gone key=laptop " in Pretty(Mask(), colour=False).request(named).decode()


@pytest.mark.parametrize(
    ("status", "outcome", "error", "level"),
    [
        (200, "ok", "", "info"),
        (401, "refused", "unauthenticated", "info"),
        (499, "client_cancelled", "client_gone", "info"),
        (429, "upstream_error", "upstream_failed", "warning"),
        (200, "upstream_broken", "upstream_broken", "warning"),
        (503, "refused", "overloaded", "warning"),
        (500, "error", "internal", "error"),
    ],
)
def test_the_level_says_whose_affair_it_is(status: int, outcome: str, error: str, level: str) -> None:
    """An alert on `error` would fire for a client's typing mistake, or stay silent on our own fault."""
    assert msgspec.structs.replace(LINE, status=status, outcome=outcome, error=error).level == level


def test_colour_only_where_asked_and_only_around_the_line() -> None:
    """A file full of escape sequences; or a warning nobody sees on the screen."""
    warning = EventLine(NOON, "warning", "careful", {})
    assert Pretty(Mask(), colour=True).event(warning) == b"\x1b[33m2026-01-31T12:00:00.123Z WARNING careful\x1b[0m\n"
    assert b"\x1b" not in Pretty(Mask(), colour=True).request(LINE)


def test_an_event_keeps_its_fields_types_and_its_own_head() -> None:
    """A field named `level` would hide an error from every filter."""
    line = EventLine(
        NOON, "info", "listening", {"address": "127.0.0.1:4000", "count": 3, "ok": True, "none": None, "level": "x"}
    )
    shown = json.loads(Json(Mask()).event(line))
    assert shown == {
        "ts": "2026-01-31T12:00:00.123Z",
        "level": "info",
        "event": "listening",
        "address": "127.0.0.1:4000",
        "count": 3,
        "ok": True,
        "none": None,
    }
    assert list(shown)[:3] == ["ts", "level", "event"]
    text = Pretty(Mask(), colour=False).event(EventLine(NOON, "info", "listening", {"address": "a:1", "count": 3}))
    assert text.endswith(b"INFO    listening address=a:1 count=3\n")


def test_a_traceback_keeps_its_end_and_other_objects_are_written_as_text() -> None:
    """The line that names the exception would be the one cut off."""
    fields = {"exception": "x" * 9000 + "ValueError: the end", "place": ("a", 1)}
    shown = json.loads(Json(Mask()).event(EventLine(NOON, "error", "failed", fields)))  # type: ignore[arg-type]
    assert shown["exception"].endswith("ValueError: the end")
    assert shown["place"] == "('a', 1)"


HOSTILE = st.text(max_size=700) | st.sampled_from(
    [
        '"}\n{"event":"request","status":200',
        "\x1b]0;owned\x07",
        "a\r\nHTTP/1.1 200 OK",
        "sk-canary-abcdefgh",
        "Bearer abcdefgh",
        "\ud800",
    ]
)


@given(model=HOSTILE, path=HOSTILE, detail=HOSTILE, client=HOSTILE)
def test_every_request_is_one_parseable_line(model: str, path: str, detail: str, client: str) -> None:
    """A client could forge log lines, command a terminal, or plant its neighbour's key in the log (docs/faults.md S11, S12)."""
    line = msgspec.structs.replace(LINE, model=model, path=path, detail=detail, client=client)
    written = Json(Mask()).request(line)
    assert written.count(b"\n") == 1
    text = written.decode()
    assert len(text.splitlines()) == 1
    assert json.loads(text)["status"] == 200
    pretty = Pretty(Mask(), colour=False).request(line)
    assert pretty.count(b"\n") == 1
    for canary in (b"sk-canary", b"Bearer abcdefgh", b"\x1b"):
        assert canary not in written + pretty
    assert len(written) < 30_000


def test_every_line_says_which_worker() -> None:
    """Where there are several, an operator asks which of them; a field of that name does not take its place."""
    event = EventLine(NOON, "info", "x", {"worker": 7})
    for line in (Json(Mask(()), worker=2).request(LINE), Json(Mask(()), worker=2).event(event)):
        assert json.loads(line)["worker"] == 2
    assert "worker" not in json.loads(Json(Mask(())).request(LINE))
    assert b"INFO    [2] 200 POST" in Pretty(Mask(()), colour=False, worker=2).request(LINE)
    assert b"INFO    x" in Pretty(Mask(()), colour=False).event(EventLine(NOON, "info", "x", {}))

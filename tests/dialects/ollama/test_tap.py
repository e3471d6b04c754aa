"""The tap: bytes pass unchanged, and what they report is read, however they are sliced."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.recordings import Recording, parameters
from dialects.ollama import samples
from dialects.ollama.samples import GENERATED, STREAM, ask, line, slices
from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.usage import NO_USAGE
from trunkline.dialects.ollama.tap import HOLD, OllamaTap


class Told(NamedTuple):
    """What a stream must tell."""

    body: bytes
    output: int = 7
    finish: str = "stop"
    opened: bool = True
    complete: bool = True
    error: str = ""
    unread: int = 0


ERROR = b'{"error":"the model is gone"}\n'
CASES = {
    "chat": Told(STREAM),
    "generate": Told(GENERATED),
    "a last line without its end": Told(STREAM.rstrip(b"\n")),
    "a load": Told(line({}, done=True, done_reason="load"), 0, "load"),
    "one whole answer": Told(samples.WHOLE.rstrip(b"\n")),
    "blank lines and CRLF": Told(b"\n" + STREAM.replace(b"\n", b"\r\n") + b"\n"),
    "an error first": Told(ERROR + line({"content": "x"}), 0, "", opened=False, complete=False, error="the model is gone"),
    "an error midway": Told(
        line({"content": "x"}) + ERROR + b'{"error":"again"}\n', 0, "", complete=False, error="the model is gone"
    ),
    "cut short": Told(STREAM[: STREAM.index(b'"done": true')], 0, "", complete=False, unread=1),
    "not JSON": Told(b"<html>\n" + STREAM, unread=1),
    "of another shape": Told(b'{"message":"hi"}\n' + STREAM, unread=1),
    "nothing": Told(b"", 0, "", opened=False, complete=False),
}


def run(pieces: list[bytes]) -> tuple[bytes, tuple[Any, ...]]:
    """What goes out, and all that was read."""
    tap = OllamaTap(ask(), hide_usage=True)
    out = b"".join(map(tap.feed, pieces)) + tap.close()
    error = tap.error and (tap.error.kind, tap.error.message)
    return out, (tap.usage, tap.raw_usage, tap.finish, tap.opened, tap.complete, tap.ended, error, tap.unread, tap.estimate())


@pytest.mark.parametrize("told", CASES.values(), ids=CASES)
def test_every_stream_is_read_and_passes_unchanged(told: Told) -> None:
    """The client must see the provider's own bytes, the ledger the provider's numbers."""
    tap = OllamaTap(ask(), hide_usage=False)
    assert tap.feed(told.body) + tap.close() == told.body
    assert (tap.usage.output, tap.finish, tap.opened) == (told.output, told.finish, told.opened)
    assert (tap.complete, tap.ended, tap.unread) == (told.complete, told.complete, told.unread)
    assert (tap.error.message if tap.error else "") == told.error
    assert (tap.usage is NO_USAGE) == (tap.raw_usage == "") == (told.output == 0)


@pytest.mark.parametrize("told", CASES.values(), ids=CASES)
def test_slicing_changes_nothing(told: Told) -> None:
    """A network cuts where it likes: every single cut, and byte by byte."""
    whole = run([told.body])
    assert run([told.body[at : at + 1] for at in range(len(told.body))]) == whole
    for cut in range(len(told.body)):
        assert run([told.body[:cut], told.body[cut:]]) == whole


@pytest.mark.parametrize("recording", parameters(samples.RECORDED))
def test_recordings_pass_and_are_counted(recording: Recording) -> None:
    """Real streams and whole answers, by the tap: one line or many."""
    out, told = run([recording.body])
    last = json.loads(recording.body.strip().splitlines()[-1])
    assert out == recording.body
    assert told[0].output == last["eval_count"]
    assert told[0].input == last.get("prompt_eval_count", 0)
    assert (told[2], told[4], told[6], told[7]) == (last["done_reason"], True, None, 0)


PIECES = st.sampled_from(
    [*STREAM.splitlines(keepends=True), ERROR, b"{}", b"\n", b"\r\n", b"\xff", b'{"done":true}\n', b'{"message":1}\n']
)


@given(st.lists(PIECES, max_size=12).map(b"".join) | st.binary(max_size=60), st.lists(st.integers(0, 3000), max_size=8))
def test_any_bytes_in_any_slices_read_the_same(body: bytes, cuts: list[int]) -> None:
    """No bytes may crash the tap, change on the way, or count differently by chance."""
    whole = run([body])
    assert run(slices(body, cuts)) == whole
    assert whole[0] == body


LONG = [b"x" * 7, b"\n", b"\n\n", line({"content": "a"}), line({}, **samples.LAST), b"y" * HOLD, b"z" * (HOLD - 7)]


@given(st.lists(st.sampled_from(range(len(LONG))), max_size=6), st.lists(st.integers(0, 4 * HOLD), max_size=4))
def test_lines_too_long_to_hold_change_nothing_either(pieces: list[int], cuts: list[int]) -> None:
    """Pictures come in lines of megabytes: they pass, unread, and what follows is read again, in every slicing."""
    body = b"".join(LONG[piece] for piece in pieces)
    assert run(slices(body, cuts)) == run([body])
    assert run([body])[0] == body


def test_a_line_too_long_to_hold_passes_as_it_comes() -> None:
    """Memory per stream is bounded, and the next line counts."""
    tap = OllamaTap(ask(), hide_usage=False)
    assert tap.feed(b"x" * HOLD) == b""
    assert len(tap.feed(b"y")) == HOLD + 1
    assert (tap.opened, tap.unread) == (True, 1)
    assert tap.feed(b"z") == b"z"
    assert tap.feed(b"\n" + STREAM) == b"\n" + STREAM
    assert (tap.usage.output, tap.unread) == (7, 1)


def test_one_line_is_handed_on_as_the_same_object() -> None:
    """The commonest read costs no copy."""
    data = line({"content": "a"})
    assert OllamaTap(ask(), hide_usage=False).feed(data) is data


@pytest.mark.parametrize(
    ("before", "closed", "separator"),
    [
        (b"", False, b""),
        (line({"content": "a"}), False, b""),
        (line({"content": "a"}) + b'{"half', False, b""),
        (b"x" * (HOLD + 1), False, b"\n"),
        (b"x" * (HOLD + 1) + b"\n" + line({"content": "a"}), False, b""),
        (line({"content": "a"}) + b'{"half', True, b"\n"),
        (line({"content": "a"}), True, b""),
    ],
)
def test_a_broken_stream_ends_on_a_line_of_its_own(before: bytes, closed: bool, separator: bytes) -> None:
    """A client that reads lines must find the error, never half a line with an error behind it."""
    tap = OllamaTap(ask(), hide_usage=False)
    tap.feed(before)
    if closed:
        tap.close()
    assert tap.fail(GatewayError(Kind.UPSTREAM_BROKEN, "gone")) == separator + b'{"error":"gone"}\n'


def test_output_is_guessed() -> None:
    """A token for each piece, or a quarter of the characters where pieces are long."""
    tap = OllamaTap(ask(), hide_usage=False)
    tap.feed(line({"content": "a"}) * 3 + line({"thinking": "b"}) + line({}))
    assert tap.estimate() == 4
    tap.feed(line({"content": "x" * 400}))
    assert tap.estimate() == 101

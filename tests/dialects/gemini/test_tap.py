"""The tap: bytes pass in the client's framing, and what they report is read, however they are sliced."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.recordings import Recording, parameters, recordings
from conformance.said import objects
from dialects.gemini.samples import BLOCKED, CALLS, COUNTS, ERROR, TEXTS, array, ask, chunk, slices, sse
from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.usage import NO_USAGE
from trunkline.dialects.gemini import tap as tap_module
from trunkline.dialects.gemini.tap import GeminiTap

STREAMS: list[tuple[Any, ...]] = [TEXTS, CALLS, BLOCKED, TEXTS[:2], (*TEXTS[:2], ERROR), (ERROR,)]
FRAMES = {"sse": sse, "array": array}


def run(pieces: list[bytes], form: str = "sse") -> tuple[bytes, tuple[Any, ...]]:
    """What goes out, and all that was read."""
    tap = GeminiTap(ask(form=form))
    out = b"".join(map(tap.feed, pieces)) + tap.close()
    error = tap.error and (tap.error.kind, tap.error.status, tap.error.message)
    return out, (tap.usage, tap.raw_usage, tap.finish, tap.opened, tap.complete, tap.ended, error, tap.unread, tap.estimate())


@pytest.mark.parametrize("told", STREAMS)
@pytest.mark.parametrize("framing", ["sse", "array"])
def test_bytes_of_the_clients_own_framing_pass_untouched(framing: str, told: tuple[Any, ...]) -> None:
    """What need not be written anew is not: fields that nobody here knows reach the client."""
    body = FRAMES[framing](*told)
    out, read = run([body], framing)
    assert out == body
    for cut in range(len(body)):
        assert run([body[:cut], body[cut:]], framing) == (out, read)


@pytest.mark.parametrize("told", STREAMS)
@pytest.mark.parametrize(("framing", "form"), [("sse", "array"), ("array", "sse")])
def test_the_other_framing_is_written_anew(framing: str, form: str, told: tuple[Any, ...]) -> None:
    """A client that asked for events cannot read an array, whatever the provider makes of `alt=sse`."""
    body = FRAMES[framing](*told)
    out, read = run([body], form)
    assert read == run([body], framing)[1]
    assert run([body[at : at + 1] for at in range(len(body))], form) == (out, read)
    if form == "sse":
        assert list(objects(out)) == list(told)
        assert out.count(b"\r\n\r\n") == len(told)
    elif told == TEXTS[:2]:  # not complete: what ends it is said by `fail`
        assert json.loads(out + b"]") == list(told)
    else:
        assert json.loads(out) == list(told)


@pytest.mark.parametrize("form", ["sse", "array"])
def test_a_whole_answer_is_a_stream_of_one(form: str) -> None:
    """A provider may not stream at all, and the client asked for a stream."""
    told = chunk({"text": "Hi"}, finish="STOP", usage=COUNTS)
    out, read = run([json.dumps(told, indent=1).encode()], form)
    assert list(objects(out)) == [told]
    assert read[4]
    assert (json.loads(out) == [told]) if form == "array" else out.startswith(b"data: ")


def test_what_is_reported_is_read() -> None:
    """The ledger holds the last chunk's counts, the metrics the finish, and only a finished stream is complete."""
    tap = GeminiTap(ask(form="sse"))
    body = sse(*TEXTS)
    tap.feed(body[:-10])
    assert (tap.opened, tap.complete, tap.usage.input) == (True, False, 8)
    tap.feed(body[-10:])
    assert (tap.complete, tap.ended, tap.finish) == (True, False, "STOP")
    tap.close()
    assert (tap.ended, tap.usage.input, tap.usage.output, tap.usage.reasoning) == (True, 9, 8, 5)


def test_every_candidate_must_finish() -> None:
    """Two answers were asked for: one that is whole is not all."""
    first, second = chunk({"text": "a"}, finish="STOP"), chunk({"text": "b"}, index=1)
    assert not run([sse(first, second)])[1][4]
    assert run([sse(first, second, chunk({"text": "c"}, index=1, finish="MAX_TOKENS"))])[1][4]


def test_an_unspecified_finish_is_none() -> None:
    """Protobuf's default may be spelled out."""
    assert run([sse(chunk({"text": "a"}, finish="FINISH_REASON_UNSPECIFIED"))])[1][2:5] == ("", True, False)


def test_an_error_before_anything_leaves_the_stream_unopened() -> None:
    """It can still be answered with a status, and tried again."""
    for body in (sse(ERROR), array(ERROR), json.dumps(ERROR).encode()):
        read = run([body, sse(*TEXTS)])[1]
        assert (read[3], read[6][:2]) == (False, (Kind.UPSTREAM_FAILED, 503))


def test_an_array_that_lacks_its_end_gets_one() -> None:
    """The provider stopped after the last element: the client's JSON must end all the same."""
    out, read = run([array(*TEXTS)[:-2]], "array")
    assert (json.loads(out), read[4]) == (list(TEXTS), True)


@pytest.mark.parametrize("form", ["sse", "array"])
@pytest.mark.parametrize("count", [0, 2])
def test_a_broken_stream_ends_in_an_error(form: str, count: int) -> None:
    """A broken stream must never look like a clean end, and an array must be one."""
    tap = GeminiTap(ask(form=form))
    out = tap.feed(FRAMES[form](*TEXTS[:2], TEXTS[2])[: -60 if count else 0] if count else b"")
    told = list(objects(out + tap.fail(GatewayError(Kind.UPSTREAM_BROKEN, "Gone."))))
    assert (told[:-1], told[-1]["error"]["message"]) == (list(TEXTS[:count]), "Gone.")


def test_what_cannot_be_read_passes_unread() -> None:
    """A new shape must not cost the answer; what is known of it is read."""
    odd = {"candidates": [{"content": "new"}], "usageMetadata": COUNTS}
    body = sse(odd, *TEXTS[1:]) + b"data: [DONE]\r\n\r\n"
    out, read = run([body])
    assert (out, read[7], read[0].input) == (body, 2, 9)
    assert json.loads(run([body], "array")[0]) == [odd, *TEXTS[1:]]


def test_a_feedback_without_a_block_says_nothing() -> None:
    """Ratings of the prompt stand in the first chunk of ordinary streams."""
    read = run([sse({"promptFeedback": {"safetyRatings": []}}, {"promptFeedback": 1}, {"usageMetadata": {"x": 1}})])[1]
    assert (read[0], read[2], read[4]) == (NO_USAGE, "", False)


def test_output_is_guessed_by_what_was_said() -> None:
    """A stream that broke before its counts came is charged by a guess, and signatures are no words."""
    long = chunk({"text": "x" * 400, "thoughtSignature": "y" * 4000}, {"functionCall": {"name": "f"}}, {"inlineData": {}})
    assert run([sse(long)])[1][8] == (400 + len('{"name": "f"}') - 2) // 4
    assert run([sse(chunk({"text": "a"}), chunk({"text": "b"}), chunk({"text": ""}))])[1][8] == 2


@pytest.mark.parametrize("slice_at", [10, 3000, 10**6])
def test_an_overlong_event_passes_unread(monkeypatch: pytest.MonkeyPatch, slice_at: int) -> None:
    """It must not fill the memory, and where it is cut must make no difference."""
    monkeypatch.setattr(tap_module, "LIMIT", 2000)
    body = sse(TEXTS[0], chunk({"text": "x" * 3000}), *TEXTS[1:])
    pieces = [body[at : at + slice_at] for at in range(0, len(body), slice_at)]
    out, read = run(pieces)
    assert (out, read[7], read[4]) == (body, 1, True)


def test_a_stream_that_breaks_in_an_overlong_event_still_ends_in_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half an event went out: the error must stand in one of its own."""
    monkeypatch.setattr(tap_module, "LIMIT", 2000)
    tap = GeminiTap(ask(form="sse"))
    out = tap.feed(b"data: " + b"x" * 3000) + tap.fail(GatewayError(Kind.UPSTREAM_BROKEN, "Gone."))
    assert json.loads(out.rpartition(b"data: ")[2])["error"]["message"] == "Gone."
    assert b"\r\n\r\ndata: " in out


@pytest.mark.parametrize(("framing", "form"), [("sse", "array"), ("array", "sse"), ("array", "array")])
@pytest.mark.parametrize("slice_at", [10, 10**6])
def test_an_overlong_piece_that_cannot_pass_is_an_error(
    monkeypatch: pytest.MonkeyPatch, framing: str, form: str, slice_at: int
) -> None:
    """It would have to be held to be framed; what was said before it stands."""
    monkeypatch.setattr(tap_module, "LIMIT", 2000)
    body = FRAMES[framing](TEXTS[0], chunk({"text": "x" * 3000}), *TEXTS[1:])
    out, read = run([body[at : at + slice_at] for at in range(0, len(body), slice_at)], form)
    told = list(objects(out))
    assert (told[0], told[1]["error"]["code"], len(told)) == (TEXTS[0], 502, 2)
    assert (read[4], read[6][0]) == (False, Kind.UPSTREAM_PROTOCOL)


PIECES = st.sampled_from(
    [
        *(sse(one) for one in (*TEXTS, *CALLS, *BLOCKED, ERROR)),
        *(json.dumps(one).encode() for one in (*TEXTS, ERROR)),
        *(
            b"[",
            b"]",
            b",\r\n",
            b"{",
            b"}",
            b'"',
            b"data: ",
            b"data: [DONE]\r\n\r\n",
            b": c\n",
            b"\n\n",
            b"\xff",
            b'{"candidates":[{"content":1}]}',
        ),
    ]
)


@given(st.lists(PIECES, max_size=12).map(b"".join) | st.binary(max_size=60), st.lists(st.integers(0, 2000), max_size=8))
def test_any_bytes_in_any_slices_read_the_same(body: bytes, cuts: list[int]) -> None:
    """No bytes may crash the tap, or count differently by chance."""
    for form in ("sse", "array"):
        assert run(slices(body, cuts), form) == run([body], form)


@pytest.mark.parametrize(
    "recording", parameters([one for one in recordings("gemini.stream_generate_content") if one.status == 200])
)
def test_recorded_streams_pass(recording: Recording) -> None:
    """What Google really sends, in its own framing and in the other, in many slices."""
    body = recording.body
    framing = "array" if body.startswith(b"[") else "sse"
    other = "sse" if framing == "array" else "array"
    told = list(objects(body))
    read = run([body], framing)
    assert read[0] == body
    assert read[1][4]
    assert list(objects(run([body], other)[0])) == told
    step = max(1, len(body) // 40)
    for cut in range(0, len(body), step):
        assert run([body[:cut], body[cut:]], framing) == read
    assert run([body[at : at + 97] for at in range(0, len(body), 97)], other) == run([body], other)


@pytest.mark.parametrize(
    ("chunks", "filtered"),
    [
        (BLOCKED, True),
        ([{"candidates": [{"finishReason": "PROHIBITED_CONTENT"}]}], True),
        ([{"candidates": [{"finishReason": "STOP"}]}], False),
        ([{"candidates": [{"content": {"parts": [{"text": "I"}]}}]}, {"candidates": [{"finishReason": "SAFETY"}]}], False),
        ([{"candidates": []}], False),
    ],
)
def test_a_stream_that_a_filter_ends_at_once(chunks: list[dict[str, Any]], filtered: bool) -> None:
    """Before a word was said it may go to another provider; not after one."""
    tap = GeminiTap(ask(form="sse"))
    tap.feed(sse(*chunks))
    assert tap.filtered() is filtered

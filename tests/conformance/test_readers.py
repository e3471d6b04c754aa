"""Every recorded answer through the dialects themselves, under every slicing, into the words of every client API.

What the real process does with the same recordings is in `test_answers`; here every cut is tried, which sockets cannot.
"""

from __future__ import annotations

import random
from itertools import product

import pytest

from conformance.recordings import Recording, combined, parameters
from conformance.said import said
from conformance.stage import CLIENT_DIALECTS, CLIENT_ENDPOINTS, DIALECTS, all_recordings, is_array, spoken, streams, wanted
from conformance.test_answers import check_content, finishes, shown, spoken_text
from conformance.words import Said, Spent, finish_of
from trunkline.canon.chat import Reply, Text, Thinking, ToolCall
from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.stream import Delta, End, Event, Fail, Fold, unfold
from trunkline.dialects.dialect import Ask, Frame, ProviderDialect
from trunkline.dialects.table import DIALECTS as TABLE
from trunkline.dialects.table import SPOKEN

GOOD = [one for one in all_recordings() if one.status == 200]
STREAMS = [one for one in GOOD if streams(one)]
WHOLE = [one for one in GOOD if not streams(one)]
SEED = "seed"
_EVERY_CUT = 2500
"""Bodies up to this size are cut at every byte; longer ones at random places."""


def dialect_of(recording: Recording) -> ProviderDialect:
    """The provider's."""
    return SPOKEN[DIALECTS[spoken(recording.endpoint)]]


def is_translated(recording: Recording, client: str) -> bool:
    """An answer that came to its end, for a client of another API; broken ones are in `test_answers`."""
    return spoken(recording.endpoint) != client and not wanted(recording).error


def slicings(body: bytes) -> list[list[bytes]]:
    """Byte by byte, in two at every place or at some, and at random places."""
    dice = random.Random(body)
    places = range(1, len(body)) if len(body) <= _EVERY_CUT else sorted(dice.sample(range(1, len(body)), 100))
    found = [[body[at : at + 1] for at in range(len(body))], *([body[:cut], body[cut:]] for cut in places)]
    for _ in range(10):
        cuts = sorted(dice.sample(range(len(body)), dice.randint(1, 12)))
        found.append([body[start:end] for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True)])
    return found


def events_of(dialect: ProviderDialect, pieces: list[bytes]) -> list[Event]:
    """What a reader makes of these pieces."""
    reader = dialect.reader(SEED)
    return [event for piece in pieces for event in reader.feed(piece)] + reader.close()


def folded(dialect: ProviderDialect, events: list[Event]) -> Reply:
    """The answer that a stream tells."""
    fold = Fold(dialect.name)
    fold.add(events)
    return fold.reply()


def told(reply: Reply) -> Said:
    """What canon holds of an answer, in the yardstick's words."""
    choice = reply.choices[0]
    text = "".join(part.text for part in choice.parts if isinstance(part, Text))
    thinking = "".join(part.text for part in choice.parts if isinstance(part, Thinking))
    calls = [part for part in choice.parts if isinstance(part, ToolCall)]
    usage = reply.usage
    written = usage.cache_write_5m + usage.cache_write_1h
    spent = Spent(usage.input, usage.cache_read, written, usage.output, usage.reasoning) if usage.basis == "reported" else None
    finish = finish_of(choice.finish, bool(calls))
    return Said(text, thinking, tuple((one.name, one.arguments) for one in calls), finish, spent)  # type: ignore[arg-type]


def check_canon(recording: Recording, reply: Reply) -> None:
    """Canon holds what the recording says."""
    want, got = wanted(recording), told(reply)
    assert got._replace(calls=(), finish=got.finish.replace("stop_sequence", "stop")) == want._replace(
        calls=(), seals=(), error="", refusal=""
    )
    assert len(got.calls) == len(want.calls)
    for part, call in zip([part for part in reply.choices[0].parts if isinstance(part, ToolCall)], want.calls, strict=True):
        assert part.name == call.name
        assert part.id
        assert not call.id or part.id == call.id


@pytest.mark.parametrize("recording", parameters(STREAMS))
def test_any_slicing_gives_the_same_events(recording: Recording) -> None:
    """The same bytes in other packets must not lose a letter."""
    dialect = dialect_of(recording)
    events = events_of(dialect, [recording.body])
    expected = list(map(repr, events))
    for pieces in slicings(recording.body):
        assert list(map(repr, events_of(dialect, pieces))) == expected  # errors are equal only to themselves
    failed = bool(wanted(recording).error)
    assert isinstance(events[-1], Fail if failed else End)
    assert all(event.text or event.logprobs for event in events if isinstance(event, Delta)), "an empty delta"
    if not failed:
        check_canon(recording, folded(dialect, events))


@pytest.mark.parametrize("recording", parameters([one for one in STREAMS if DIALECTS[spoken(one.endpoint)] in TABLE]))
def test_any_slicing_leaves_a_same_dialect_stream_as_it_is(recording: Recording) -> None:
    """To the byte for the client, to the token for the ledger."""
    dialect, want = TABLE[DIALECTS[spoken(recording.endpoint)]], wanted(recording)
    ask = Ask({}, "m", stream=True, include_usage=True, form="array" if is_array(recording) else "sse")
    for pieces in [[recording.body], *slicings(recording.body)]:
        tap = dialect.tap(ask, hide_usage=False)
        assert b"".join(map(tap.feed, pieces)) + tap.close() == recording.body
        usage = tap.usage
        spent = Spent(usage.input, usage.cache_read, usage.cache_write_5m + usage.cache_write_1h, usage.output, usage.reasoning)
        assert (spent if usage.basis == "reported" else None) == want.spent
        assert (str(tap.error) if tap.error else "") == want.error
        assert tap.unread == 0
        assert bool(want.error) or tap.complete


@pytest.mark.parametrize("recording", parameters(WHOLE))
def test_a_whole_answer_is_read_right(recording: Recording) -> None:
    """Canon holds it, and the shallow way counts the same."""
    dialect, want = dialect_of(recording), wanted(recording)
    reply = dialect.read_answer(recording.body, SEED)
    check_canon(recording, reply)
    if dialect.name not in TABLE:
        return
    shallow = TABLE[dialect.name].read_reply(recording.body)
    assert shallow.usage == reply.usage
    assert finish_of(shallow.finish, bool(want.calls)) == want.finish


@combined(
    "recording, client, way",
    ((one, who, way) for one in GOOD for who in CLIENT_DIALECTS for way in ("whole", "stream") if is_translated(one, who)),
)
def test_it_is_written_whole_or_streamed_for_every_client(recording: Recording, client: str, way: str) -> None:
    """Both ways, whichever way the provider answered; to its own clients its bytes pass."""
    dialect, writes, want, stream = dialect_of(recording), TABLE[DIALECTS[client]], wanted(recording), way == "stream"
    came = streams(recording)
    reply = folded(dialect, events_of(dialect, [recording.body])) if came else dialect.read_answer(recording.body, SEED)
    frame = Frame(Ask({}, "m", stream, include_usage=True, form="sse" if stream and client == "gemini" else ""), "id-1", 1)
    if stream:
        writer = writes.writer(frame)
        events = events_of(dialect, [recording.body]) if came else unfold(reply)
        body = b"".join(writer.write([event]) for event in events)
        at_once = said(CLIENT_ENDPOINTS[client], 200, writes.writer(frame).write(events))
        assert said(CLIENT_ENDPOINTS[client], 200, body) == at_once, "how events are handed over must not matter"
    else:
        body = writes.write_answer(reply, frame)
    got = said(CLIENT_ENDPOINTS[client], 200, body)
    check_content(want, got, client, same=False)
    assert got.finish in finishes(client, want)
    if want.spent is not None:
        assert got.spent is not None or not any(want.spent)
        assert shown(client, got.spent or Spent()) == shown(client, want.spent)


@combined("recording, client", product(STREAMS, CLIENT_DIALECTS))
def test_a_stream_cut_short_is_no_clean_end(recording: Recording, client: str) -> None:
    """A client that takes half an answer for a whole one stores it."""
    dialect, writes = dialect_of(recording), TABLE[DIALECTS[client]]
    body = recording.body[: len(recording.body) // 3]
    events = dialect.reader(SEED).feed(body)
    assert not any(isinstance(event, End) for event in events_of(dialect, [body]))
    frame = Frame(Ask({}, "m", stream=True, include_usage=True, form="sse" if client == "gemini" else ""), "id-1", 1)
    writer = writes.writer(frame)
    out = writer.write(events)
    out += writer.fail(GatewayError(Kind.UPSTREAM_BROKEN, "The provider hung up."))
    got, want = said(CLIENT_ENDPOINTS[client], 200, out), wanted(recording)
    assert "hung up" in got.error
    assert want.text.startswith(spoken_text(got))
    assert want.thinking.startswith(got.thinking)
    assert not got.spent or not want.spent or got.spent.output <= want.spent.output

"""What answers of all families tell in passing, without a byte being changed."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.usage import NO_USAGE, Usage
from trunkline.dialects.passing import PassingTap, read_answer, read_usage


def reported(**counts: int) -> Usage:
    """As a provider tells it."""
    return Usage(**counts, basis="reported")


USAGES: dict[str, tuple[Any, Usage]] = {
    "transcription in tokens": (
        {"type": "tokens", "input_tokens": 14, "input_token_details": {"audio_tokens": 10}, "output_tokens": 45},
        reported(input=14, audio_input=10, output=45),
    ),
    "transcription in seconds": ({"type": "duration", "seconds": 9}, NO_USAGE),
    "an edited picture": (
        {"input_tokens": 50, "input_tokens_details": {"text_tokens": 10, "image_tokens": 40}, "output_tokens": 4160},
        reported(input=50, output=4160),
    ),
    "a compacted conversation": (
        {
            "input_tokens": 9,
            "input_tokens_details": {"cached_tokens": 4},
            "output_tokens": 5,
            "output_tokens_details": {"reasoning_tokens": 3},
        },
        reported(input=9, cache_read=4, output=5, reasoning=3),
    ),
    "Mistral's transcription": (
        {"prompt_audio_seconds": 203, "prompt_tokens": 4, "completion_tokens": 635, "total_tokens": 3264},
        reported(input=4, output=635),
    ),
    "Jina's ranking": ({"total_tokens": 38}, reported(input=38)),
    "a ranking in searches": ({"search_units": 1}, NO_USAGE),
    "parts larger than the whole": (
        {
            "input_tokens": 3,
            "output_tokens": 2,
            "input_token_details": {"audio_tokens": 9, "cached_tokens": 2},
            "output_token_details": {"audio_tokens": 9},
        },
        reported(input=3, cache_read=2, audio_input=1, output=2, audio_output=2),
    ),
    "strange counts": ({"input_tokens": -1, "output_tokens": "5", "total_tokens": True, "input_token_details": []}, NO_USAGE),
}  # fmt: skip


@pytest.mark.parametrize("case", USAGES)
def test_every_family_s_way_to_count_is_read(case: str) -> None:
    """What was used must be on the bill, whatever it is counted in; its own words are kept in any case."""
    told, expected = USAGES[case]
    text = json.dumps(told)
    assert read_usage(msgspec.Raw(text.encode())) == (expected, text)
    assert read_answer(json.dumps({"text": "hello", "usage": told}).encode()) == (expected, text)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"meta":{"billed_units":{"search_units":1}}}', (NO_USAGE, '{"search_units":1}')),
        (b'{"meta":{"billed_units":{"input_tokens":3}}}', (reported(input=3), '{"input_tokens":3}')),
        (b'{"meta":{}}', (NO_USAGE, "")),
        (b'{"meta":5}', (NO_USAGE, "")),
        (b'{"usage":null}', (NO_USAGE, "")),
        (b"{}", (NO_USAGE, "")),
        (b"[]", (NO_USAGE, "")),
        (b"RIFF", (NO_USAGE, "")),
        (b'{"usage":{"total_tokens":1,"pad":"' + b"x" * 5000 + b'"}}', (reported(input=1), "{}")),
    ],
)
def test_answers_tell_it_in_different_places(body: bytes, expected: tuple[Usage, str]) -> None:
    """Cohere has a place of its own; an answer that tells nothing costs nothing that we know."""
    assert read_answer(body) == expected


@pytest.mark.parametrize(
    ("body", "images", "output"),
    [
        (b'{"data":[{"b64_json":"AA"},{"url":"x"}],"usage":{"output_tokens":9}}', 2, 9),
        (b'{"data":[{}]}', 1, 0),
        (b'{"data":5,"usage":{"output_tokens":9}}', 0, 9),
        (b'{"usage":{"output_tokens":9}}', 0, 9),
    ],
)
def test_pictures_are_counted(body: bytes, images: int, output: int) -> None:
    """Where they are paid for by the piece, their number is all there is to account for."""
    usage, _ = read_answer(body, pictures=True)
    assert (usage.images, usage.output) == (images, output)
    assert read_answer(body)[0].images == 0


def event(value: Any, name: str = "") -> bytes:
    """One server-sent event."""
    return (b"event: " + name.encode() + b"\n" if name else b"") + b"data: " + json.dumps(value).encode() + b"\n\n"


STREAM = (
    b": ping\n\n"
    + event({"type": "transcript.text.delta", "delta": "hello"})
    + event({"type": "transcript.text.delta", "delta": "the usage of an error"}, "transcript.text.delta")
    + event({"type": "transcript.text.done", "text": "x", "usage": {"input_tokens": 3, "output_tokens": 2}})
)


@given(st.lists(st.integers(0, len(STREAM)), max_size=10))
def test_a_stream_passes_and_tells_its_usage(cuts: list[int]) -> None:
    """A transcription that is streamed is paid for like any other."""
    tap = PassingTap()
    edges = [0, *sorted(cuts), len(STREAM)]
    out = b"".join(tap.feed(STREAM[start:end]) for start, end in pairwise(edges)) + tap.close()
    assert out == STREAM
    assert (tap.usage, tap.complete, tap.opened, tap.error) == (reported(input=3, output=2), True, True, None)
    assert json.loads(tap.raw_usage) == {"input_tokens": 3, "output_tokens": 2}


def test_what_was_counted_before_is_not_counted_again() -> None:
    """A stored answer may be looked at any number of times."""
    tap = PassingTap(counted=False)
    assert tap.feed(STREAM) == STREAM
    assert (tap.usage, tap.raw_usage) == (NO_USAGE, "")


def test_a_stream_s_last_event_may_lack_its_end() -> None:
    """Some servers leave out the last blank line; what it says counts all the same."""
    tap = PassingTap()
    assert tap.feed(STREAM[:-2]) + tap.close() == STREAM[:-2]
    assert tap.usage.input == 3


@pytest.mark.parametrize("data", [event({"error": {"message": "no", "code": "x"}}), event("gone", "error")])
def test_an_error_inside_a_stream_is_known(data: bytes) -> None:
    """The ledger must not call a failed stream good. The client gets the provider's own words."""
    tap = PassingTap()
    assert tap.feed(data) == data
    if b"message" in data:
        assert tap.error is not None
        assert (tap.error.kind, tap.error.message) == (Kind.UPSTREAM_PROTOCOL, "no") or tap.error.message == "no"
    else:
        assert tap.unread == 1


def test_broken_words_pass() -> None:
    """What cannot be read is not ours to judge."""
    tap = PassingTap()
    data = b'data: {"usage":\n\n' + b'data: "usage"\n\n' + b': "usage"\n\n' + b'data: {"usage":null}\n\n'
    assert tap.feed(data) == data
    assert (tap.usage, tap.unread) == (NO_USAGE, 2)


def test_an_event_beyond_all_bounds_is_not_held() -> None:
    """A provider that never ends an event must not fill our memory."""
    tap = PassingTap()
    huge = b"data: " + b"x" * (16 * 1024 * 1024 + 1)
    out = tap.feed(huge)
    assert len(out) > 16 * 1024 * 1024
    error = GatewayError(Kind.UPSTREAM_BROKEN, "cut")
    assert tap.fail(error).startswith(b"\n\ndata: ")
    assert out + tap.feed(b"\n\n" + STREAM) + tap.close() == huge + b"\n\n" + STREAM
    assert tap.usage.input == 3
    assert tap.fail(error).startswith(b"data: ")

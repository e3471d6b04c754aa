"""Something odd in any place of a provider's answer: it is an answer or a failure to every client, never anything else."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from dialects.odd import ODD, answer_all, changed, each, paths, stream_all
from dialects.openai_responses.told import OUTPUT, answer, whole_stream
from trunkline.dialects.openai_responses.dialect import OpenAIResponses

DIALECT = OpenAIResponses()
EVENTS: list[dict[str, Any]] = [
    json.loads(line[6:])
    for line in whole_stream().split(b"\n")
    if line.startswith(b"data: ") and b"response.created" not in line
]
_EACH = 3


def as_stream(told: bytes) -> bytes:
    """A list of events as a stream of them; as it is where it is no JSON."""
    try:
        found = json.loads(told)
    except ValueError:
        return b"data: " + told + b"\n\n"
    return b"".join(b"data: " + json.dumps(one).encode() + b"\n\n" for one in found)


def test_any_value_in_any_place_of_a_whole_answer() -> None:
    """One odd field of a server's must not be a 500."""
    for body in each(answer(*OUTPUT)):
        answer_all(DIALECT, body)


def test_any_value_in_any_place_of_a_stream() -> None:
    """The same, event by event; some values for each place."""
    for place in range(len(list(paths(EVENTS)))):
        for number in range(_EACH):
            stream_all(DIALECT, as_stream(changed(EVENTS, [(place, ODD[(place * _EACH + number) % len(ODD)])])))


@given(st.lists(st.tuples(st.integers(0, 10**4), st.sampled_from(ODD)), min_size=2, max_size=6))
def test_several_at_once(changes: list[tuple[int, str]]) -> None:
    """A provider that gets one thing wrong gets others wrong."""
    answer_all(DIALECT, changed(answer(*OUTPUT), changes))
    stream_all(DIALECT, as_stream(changed(EVENTS, changes)))

"""A provider's whole answer read into canon: the same rules as for a streamed one, with all that is said told at once."""

from __future__ import annotations

from trunkline.canon.chat import Reply
from trunkline.canon.stream import Begin, Count, Event, Fold
from trunkline.dialects.errors import protocol
from trunkline.dialects.openai_responses.assembly import Assembly
from trunkline.dialects.openai_responses.items import plain_text
from trunkline.dialects.openai_responses.reply import Answer, decode, finish_of
from trunkline.dialects.openai_responses.usage import read_usage
from trunkline.dialects.openai_responses.words import NAME

_LATEST = 2**53
_BEGUN = ("queued", "in_progress")
"""Statuses of an answer that is made in the background, which only a client of this API can ask for and fetch later."""


def read_answer(body: bytes, seed: str) -> Reply:
    """A 2xx whole answer. Raises `GatewayError` as `read_reply` does. `seed` is unique to the request."""
    answer = decode(body)
    if answer.status in _BEGUN:
        raise protocol("The provider's answer is not finished.", body)
    assembly = Assembly(seed)
    events: list[Event] = [begin(answer), Count(*read_usage(answer.usage, answer.service_tier))]
    assembly.rest(answer.output, events)
    assembly.finish(finish_of(answer), incomplete=answer.status == "incomplete", out=events)
    fold = Fold(NAME)
    fold.add(events)
    return fold.reply()


def begin(answer: Answer) -> Begin:
    """What an answer is called."""
    created = answer.created_at
    known = type(created) in {int, float} and 0 < created < _LATEST
    return Begin(plain_text(answer.id), plain_text(answer.model), int(created) if known else 0)

"""What a tap of any OpenAI-shaped stream does, whatever its choices say.

What chat's and completions' say is tested with them.
"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from trunkline.canon.errors import GatewayError, Kind
from trunkline.dialects.openai_shape.tap import ABSENT, ChunkTap, text_size
from trunkline.dialects.watch import HOLD


class _Choice(msgspec.Struct):
    said: str = ""
    index: Any = 0
    finish_reason: Any = None


class _Chunk(msgspec.Struct):
    choices: list[_Choice] | None = None
    usage: msgspec.Raw = ABSENT
    error: Any = None
    x_groq: msgspec.Raw = ABSENT
    service_tier: Any = None


def made(*, hide: bool = False) -> ChunkTap:
    """A tap of a form of our own."""
    return ChunkTap(msgspec.json.Decoder(_Chunk).decode, lambda choice: len(choice.said), hide_usage=hide)


def test_choices_are_measured_by_their_dialect() -> None:
    """The guess at a broken stream's price hangs on it."""
    tap = made()
    tap.feed(b'data: {"choices":[{"said":"12345678"},{"said":"12345678","index":1}]}\n\n')
    assert tap.estimate() == 4


def test_choices_of_an_unknown_shape_do_not_hide_usage() -> None:
    """What a client was charged must be known even where we cannot read what was said."""
    tap = made()
    event = b'data: {"choices":[[5]],"usage":{"prompt_tokens":3,"completion_tokens":2}}\n\n'
    assert tap.feed(event) == event
    assert (tap.usage.input, tap.usage.output, tap.unread) == (3, 2, 1)


@pytest.mark.parametrize(("hide", "shown"), [(True, False), (False, True)])
def test_the_chunk_that_only_we_asked_for(hide: bool, shown: bool) -> None:
    """It is hidden, alone or among others; one with choices never is."""
    extra = b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}\n\n'
    last = b'data: {"choices":[{"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2}}\n\n'
    tap = made(hide=hide)
    assert tap.feed(last) == last
    assert tap.feed(extra) == (extra if shown else b"")
    assert tap.feed(extra + last) == (extra + last if shown else last)
    assert (tap.complete, tap.usage.input) == (True, 3)


def test_too_long_to_hold() -> None:
    """It passes unread, and an error after its beginning stands on a line of its own."""
    tap = made()
    out = tap.feed(b"data: " + b"x" * HOLD)
    assert out
    assert tap.opened
    assert tap.fail(GatewayError(Kind.UPSTREAM_BROKEN, "gone")).startswith(b"\n\ndata: ")
    assert (out + tap.feed(b"\n\n")).endswith(b"\n\n")
    assert (tap.feed(b"data: [DONE]\n\n"), tap.ended) == (b"data: [DONE]\n\n", True)


@pytest.mark.parametrize(
    ("raw", "size"), [(ABSENT, 0), (msgspec.Raw(b"null"), 0), (msgspec.Raw(b'""'), 0), (msgspec.Raw(b'"abc"'), 3)]
)
def test_a_texts_size(raw: msgspec.Raw, size: int) -> None:
    """Its quotes are not part of it."""
    assert text_size(raw) == size

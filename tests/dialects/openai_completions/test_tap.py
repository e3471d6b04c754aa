"""The tap: bytes pass unchanged, and what they report is read, however they are sliced."""

from __future__ import annotations

from typing import Any

import pytest

from dialects.openai_completions.samples import HIDDEN, STREAM, chunk, event
from trunkline.dialects.dialect import Ask
from trunkline.dialects.openai_completions.tap import tap

ASK = Ask({}, "m", stream=True, include_usage=False)


def run(pieces: list[bytes], *, hide: bool) -> tuple[bytes, tuple[Any, ...]]:
    """What goes out, and what was read."""
    one = tap(ASK, hide_usage=hide)
    out = b"".join(map(one.feed, pieces)) + one.close()
    return out, (one.usage, one.raw_usage, one.finish, one.opened, one.complete, one.ended, one.unread, one.estimate())


@pytest.mark.parametrize("hide", [False, True])
def test_it_passes_unchanged_however_it_is_cut(hide: bool) -> None:
    """The client sees the provider's own bytes, less the one chunk that only we asked for; the ledger its numbers."""
    out, seen = run([STREAM], hide=hide)
    assert out == (STREAM.replace(HIDDEN, b"") if hide else STREAM)
    usage, raw, *rest = seen
    assert (usage.input, usage.output, usage.basis, bool(raw)) == (4, 3, "reported", True)
    assert rest == ["length", True, True, True, 0, 3]
    for cut in range(len(STREAM)):
        assert run([STREAM[:cut], STREAM[cut:]], hide=hide) == (out, seen)


def test_what_was_streamed_is_guessed_where_nobody_counts() -> None:
    """A stream that breaks is still charged."""
    one = tap(ASK, hide_usage=False)
    one.feed(event(chunk("x" * 400)) + event(chunk("y" * 400)) + event(chunk("")))
    assert (one.estimate(), one.complete) == (200, False)

"""What every tap knows of its stream, whatever the dialect."""

from __future__ import annotations

import pytest

from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.usage import NO_USAGE
from trunkline.dialects.watch import HOLD, EventWatch, Watch


@pytest.mark.parametrize(
    ("sizes", "tokens"),
    [([], 0), ([0, -2], 0), ([1, 1, 1], 3), ([40], 10), ([40, 2], 10), ([1, 0, 43], 11)],
)
def test_a_broken_stream_is_guessed_by_its_pieces_or_its_size(sizes: list[int], tokens: int) -> None:
    """Providers stream about a token a piece, some many in one: the books must not say less than what was seen."""
    watch = Watch()
    for size in sizes:
        watch._weigh(size)
    assert watch.estimate() == tokens


def test_what_was_passed_over_opens_a_stream() -> None:
    """The client has seen something then: a failure behind it cannot be an ordinary error any more."""
    watch = Watch()
    assert (watch.opened, watch.complete, watch.ended, watch.error, watch.finish) == (False, False, False, None, "")
    watch._skip()
    assert (watch.opened, watch.unread) == (True, 1)


def test_an_error_that_came_first_leaves_a_stream_unopened() -> None:
    """Whatever follows it in the same read: it becomes a status, or another provider is tried."""
    watch = Watch()
    watch.error = GatewayError(Kind.UPSTREAM_FAILED, "busy")
    watch._skip()
    assert (watch.opened, watch.unread) == (False, 1)


def test_an_event_too_long_to_be_held_goes_out_once_counted() -> None:
    """Memory per stream is bounded; the event counts as one however many pieces it comes in."""
    watch = EventWatch()
    assert (watch.usage, watch.raw_usage) == (NO_USAGE, "")
    sent = b""
    for piece in (b"x" * (HOLD + 1), b"y" * 10, b"z"):
        assert watch._cut.feed(piece) == []
        sent += watch._loosened()
    assert (watch.unread, watch.opened) == (1, True)
    assert sent + watch._cut.release() == b"x" * (HOLD + 1) + b"y" * 10 + b"z"


def test_without_a_word_for_it_nothing_is_filtered() -> None:
    """Another provider would be asked, and paid, for nothing."""
    watch = Watch()
    assert not watch.filtered()
    watch.finish = "content_filter"
    assert not watch.filtered()

"""Token counts as one value."""

from __future__ import annotations

import msgspec

from trunkline.canon.usage import NO_USAGE, Usage


def test_no_usage_is_all_zero_and_says_so() -> None:
    """An exchange that spent nothing must cost nothing and not pose as reported."""
    assert Usage() == NO_USAGE
    assert NO_USAGE.basis == "none"
    assert sum(value for value in msgspec.structs.astuple(NO_USAGE) if isinstance(value, int)) == 0


def test_usage_survives_the_journal() -> None:
    """The ledger writes it as msgpack and replays it after a crash."""
    usage = Usage(input=7, cache_read=3, output=5, reasoning=2, basis="reported")
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(usage), type=Usage) == usage

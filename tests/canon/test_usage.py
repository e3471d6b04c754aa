"""Token counts as one value."""

from __future__ import annotations

import msgspec
import pytest

from trunkline.canon.usage import NO_USAGE, Usage, total


def test_no_usage_is_all_zero_and_says_so() -> None:
    """An exchange that spent nothing must cost nothing and not pose as reported."""
    assert Usage() == NO_USAGE
    assert NO_USAGE.basis == "none"
    assert sum(value for value in msgspec.structs.astuple(NO_USAGE) if isinstance(value, int)) == 0


def test_usage_survives_the_journal() -> None:
    """The ledger writes it as msgpack and replays it after a crash."""
    usage = Usage(input=7, cache_read=3, output=5, reasoning=2, basis="reported")
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(usage), type=Usage) == usage


def test_several_together() -> None:
    """Whoever pays for several exchanges pays for all of them."""
    one = Usage(input=7, cache_read=3, output=5, reasoning=2, basis="reported")
    assert total([one, NO_USAGE, one]) == Usage(input=14, cache_read=6, output=10, reasoning=4, basis="reported")


@pytest.mark.parametrize(
    ("parts", "basis"),
    [([], "none"), (["none"], "none"), (["none", "reported"], "reported"), (["estimated", "reported"], "estimated")],
)
def test_what_is_guessed_in_part_is_a_guess(parts: list[str], basis: str) -> None:
    """A sum must not look surer than what it is made of."""
    assert total(Usage(input=1, basis=part) for part in parts).basis == basis  # type: ignore[arg-type]

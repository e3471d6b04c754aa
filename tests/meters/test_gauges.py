"""What is counted begins with nothing."""

from __future__ import annotations

from trunkline.meters.gauges import Bucket, Purse, Slots
from trunkline.meters.rule import Rule
from trunkline.meters.windows import FOREVER


def test_all_begin_empty_and_known_by_nobody() -> None:
    """A new purse must not look as if Redis had told of it: what was never known spends nothing."""
    purse = Purse(Rule("key:k", "money", 5), FOREVER)
    assert (purse.spent, purse.reserved, purse.others, purse.unsent, purse.seen, purse.seed) == (0, 0, 0, 0, None, b"")
    assert (Slots("a").busy, Slots("a").others, Bucket().full_at) == (0, 0, 0)

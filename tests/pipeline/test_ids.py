"""The ids of requests."""

from __future__ import annotations

import time

from trunkline.pipeline.ids import STOCK, Ids


def test_ids_sort_by_time() -> None:
    """Rows are found and paged by id: 128 bits, the first of them the time; none comes twice."""
    new_id, count = Ids(), 3 * STOCK
    before = time.time_ns() // 1_000_000
    ids = [new_id() for _ in range(count)]
    assert len(set(ids)) == count
    assert {len(one) for one in ids} == {32}
    times = [int(one[:12], 16) for one in ids]
    assert times == sorted(times)
    assert before <= times[0]
    assert times[-1] <= time.time_ns() // 1_000_000

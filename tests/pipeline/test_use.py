"""What stands in rows: few bytes, and readable by every later version."""

from __future__ import annotations

import msgspec

from trunkline.pipeline.use import Estimate, Spent, Step


def test_a_step_tells_only_what_there_is_to_tell() -> None:
    """Millions of rows carry it: what is not known takes no room, and what older versions wrote is read."""
    plain = Step("lab", "tiny", 1, 20)
    assert msgspec.json.encode(plain) == b'{"provider":"lab","model":"tiny","began_ms":1,"took_ms":20}'
    assert msgspec.json.decode(msgspec.json.encode(plain), type=Step) == plain
    used = msgspec.json.decode(b'{"provider":"lab","model":"tiny","began_ms":1,"took_ms":20,"input":3,"nano":9}', type=Step)
    assert (used.input, used.output, used.nano) == (3, 0, 9)


def test_nothing_is_spent_at_first() -> None:
    """A request that was not asked anywhere costs nothing."""
    assert (Spent().usage.basis, Spent().nano, Spent().asked) == ("none", None, False)
    assert Estimate(1, 2).unpriced == ""

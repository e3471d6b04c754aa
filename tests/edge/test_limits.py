"""The server's bounds are numbers somebody may rely on without setting any."""

from __future__ import annotations

from trunkline.edge.limits import ServerLimits


def test_every_bound_is_set_by_default() -> None:
    """A bound that defaults to nothing would leave every unconfigured gateway open to floods and slow clients."""
    limits = ServerLimits()
    values = {name: getattr(limits, name) for name in limits.__struct_fields__}
    assert values.pop("max_connections_per_ip") is None  # many clients behind one address are ordinary
    assert all(value > 0 for value in values.values())


def test_a_body_in_time() -> None:
    """docs/faults.md A5: nothing is asked of it in its grace, an average afterwards, and that it began."""
    limits = ServerLimits(body_grace=10.0, body_min_rate=100.0)
    asked = [(0, 9.9), (0, 10.0), (1, 10.0), (100, 11.0), (99, 11.0)]
    assert [limits.too_slow(size, age) for size, age in asked] == [False, True, False, False, True]


def test_the_promised_defaults() -> None:
    """docs/faults.md A5 and A4 promise operators 10 s for a head and 60 s for a stalled reader."""
    limits = ServerLimits()
    assert (limits.header_timeout, limits.body_grace, limits.stall_timeout) == (10.0, 10.0, 60.0)
    assert limits.body_min_rate == 1024

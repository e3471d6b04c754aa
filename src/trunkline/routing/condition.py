"""How a target is doing, in numbers for people: what `explain`, `status` and the metrics show of a `Standing`.

Pure: the clock is handed in. What follows from it belongs in `choose`.
"""

from __future__ import annotations

import msgspec

from trunkline.routing.health import State
from trunkline.routing.standing import Standing


class Condition(msgspec.Struct, frozen=True):
    """One target's: a model behind one credential of one provider. Times in seconds. As it stands here: nobody asked it yet."""

    state: State = "closed"
    """Its credential's, where that was refused."""
    rests: float = 0.0
    """Until it should be asked again; 0.0 where it may be now."""
    failed: float = 0.0
    """The part of its requests of about the last half a minute that failed, from 0 to 1."""
    busy: int = 0
    """Requests in flight."""
    served: int = 0
    """Requests it answered since the start."""
    first_p50: float | None = None
    """Within which half of the recent first tokens of streams came, rounded up by at most 19 %; None where none was seen."""
    first_p95: float | None = None
    """The same of 19 of 20; None where too few were seen."""
    requests_left: int | None = None
    """What the provider said is left of its limit, less what was sent since; None where it said nothing."""
    tokens_left: int | None = None


def condition(standing: Standing, now: float) -> Condition:
    """What a standing tells at this moment."""
    requests, tokens = (None, None) if standing.allowance is None else standing.allowance.known(now)
    return Condition(
        state=standing.state(now),
        rests=round(standing.rests(0, now), 3),
        failed=round(standing.circuit.share_failed(now), 3),
        busy=standing.busy,
        served=standing.served,
        first_p50=_rounded(standing.pace.median()),
        first_p95=_rounded(standing.pace.p95()),
        requests_left=None if requests is None else int(requests),
        tokens_left=None if tokens is None else int(tokens),
    )


def _rounded(seconds: float | None) -> float | None:
    """To the millisecond."""
    return None if seconds is None else round(seconds, 3)

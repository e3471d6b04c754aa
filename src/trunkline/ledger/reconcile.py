"""What a provider says it charged against what the ledger says it cost: day by day, model by model, and why they differ.

How an export is read belongs in `exports`; where rows come from is the caller's. Money is nano-dollars; drift is ours less
theirs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import msgspec

from trunkline.ledger.exports import Charge
from trunkline.ledger.reprice import day_of

CENT = 10_000_000
"""A model's drift below this says nothing: providers round."""
_DATED = re.compile(r"[-@]20\d{2}-?\d{2}-?\d{2}(?=$|:)")

Cause = Literal["unaccounted", "uncharged", "requests", "tokens", "price", "unexplained"]
"""All of it is missing here; all of it is missing there; one side has more requests; the same requests have other tokens; the
same tokens another price (or another mix of input, output and cache); the export says too little to tell.
"""


class Ours(msgspec.Struct):
    """What the ledger has of a model on a day."""

    requests: int = 0
    input: int = 0
    output: int = 0
    nano: int = 0
    unpriced: int = 0
    """Requests whose cost is not known, and not in `nano`."""
    estimated: int = 0
    """Requests whose tokens were guessed: the client left, or the stream broke, before the provider told them."""
    estimated_nano: int = 0
    interrupted: int = 0
    """Requests that a crash of the gateway cut off: nothing is known of them."""

    def add(self, other: Ours) -> None:
        """Add another's numbers."""
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


class Line(msgspec.Struct):
    """One model on one day, or a total."""

    day: str
    model: str
    ours: Ours
    theirs: Charge
    causes: list[tuple[Cause, int]] = []
    """What the drift is made of; the parts add up to it."""

    @property
    def drift(self) -> int:
        """Nano-dollars, ours less theirs; of an export without money, tokens."""
        if self.theirs.nano is None:
            return self.ours.input + self.ours.output - (self.theirs.tokens or 0)
        return self.ours.nano - self.theirs.nano

    @property
    def measure(self) -> int:
        """What the drift is a part of: theirs."""
        return (self.theirs.tokens or 0) if self.theirs.nano is None else self.theirs.nano

    def beyond(self, tolerance_ppm: int) -> bool:
        """Whether the drift is more than so many millionths of theirs."""
        return abs(self.drift) * 1_000_000 > tolerance_ppm * abs(self.measure)


class Books:
    """The ledger's side, from its rows."""

    def __init__(self) -> None:
        self.found: dict[tuple[str, str], Ours] = {}
        self.names: dict[str, str] = {}
        """How a model is called here, by its plain name."""

    def add(self, row: Mapping[str, Any], *, one_model: bool) -> None:
        """Count a row. `one_model`: the export does not tell models apart."""
        model = "" if one_model else plain(row["target"])
        self.names.setdefault(model, row["target"] if model else "")
        ours = self.found.setdefault((day_of(row["started_ns"]), model), Ours())
        cost, estimated = row["cost_nano"], row["basis"] == "estimated"
        ours.add(
            Ours(
                requests=1,
                input=row["input_tokens"],
                output=row["output_tokens"],
                nano=cost or 0,
                unpriced=cost is None and row["basis"] != "none",
                estimated=estimated,
                estimated_nano=(cost or 0) if estimated else 0,
                interrupted=row["outcome"] == "interrupted",
            )
        )


def plain(model: str) -> str:
    """A model's name as it is compared: providers add dates, and write some names for people (`Claude Haiku 4.5`)."""
    return _DATED.sub("", model.strip().lower().replace(" ", "-").replace(".", "-"))


def reconcile(books: Books, charges: Iterable[Charge]) -> list[Line]:
    """Both sides of every day and model that either has, with what makes the difference."""
    theirs: dict[tuple[str, str], Charge] = {}
    names = dict(books.names)
    money = False
    for charge in charges:
        money = money or charge.nano is not None
        at = charge.day, plain(charge.model)
        names.setdefault(at[1], charge.model)
        theirs[at] = charge.plus(theirs[at]) if at in theirs else charge
    lines = []
    for day, model in sorted(books.found.keys() | theirs.keys()):
        nothing = Charge(day, model, nano=0 if money else None)
        line = Line(day, names[model], books.found.get((day, model), Ours()), theirs.get((day, model), nothing))
        line.causes = _causes(line, missing=(day, model) not in theirs)
        lines.append(line)
    return lines


def totals(lines: Iterable[Line]) -> list[Line]:
    """The same for each model over all days, and for all together, which comes last."""
    by_model: dict[str, Line] = {}
    everything: Line | None = None
    for line in lines:
        for at in (plain(line.model), None):
            total = everything if at is None else by_model.get(at)
            if total is None:
                total = Line("", "" if at is None else line.model, Ours(), Charge("", "", nano=None))
                total.theirs = msgspec.structs.replace(line.theirs)
                everything, by_model = (total, by_model) if at is None else (everything, by_model | {at: total})
            else:
                total.theirs = total.theirs.plus(line.theirs)
            total.ours.add(line.ours)
            total.causes = _together(total.causes, line.causes)
    return [*by_model.values(), *([everything] if everything is not None else [])]


def beyond(lines: Iterable[Line], tolerance_ppm: int) -> list[Line]:
    """Of `totals`, those that differ by more than is tolerated: all together, or a model by a cent or more."""
    *models, everything = lines
    found = [line for line in models if line.beyond(tolerance_ppm) and (line.theirs.nano is None or abs(line.drift) >= CENT)]
    return found + [everything] * everything.beyond(tolerance_ppm)


def _causes(line: Line, *, missing: bool) -> list[tuple[Cause, int]]:
    drift, ours, theirs = line.drift, line.ours, line.theirs
    if not drift:
        return []
    if not ours.requests:
        return [("unaccounted", drift)]
    if missing:
        return [("uncharged", drift)]
    by_requests = _share(line.measure, ours.requests, theirs.requests)
    if theirs.nano is None:
        return _parts(("requests", by_requests), ("tokens", drift - (by_requests or 0)))
    by_tokens = _share(theirs.nano, ours.input + ours.output, theirs.tokens)
    if by_tokens is None:
        return _parts(("requests", by_requests), ("unexplained", drift - (by_requests or 0)))
    return _parts(("requests", by_requests), ("tokens", by_tokens - (by_requests or 0)), ("price", drift - by_tokens))


def _share(whole: int, ours: int, theirs: int | None) -> int | None:
    """What ours would be more than `whole` if it went by these counts alone; None where theirs is not told."""
    if not theirs:
        return None
    part = abs(whole * (ours - theirs)) // theirs
    return part if (ours >= theirs) == (whole >= 0) else -part


def _parts(*parts: tuple[Cause, int | None]) -> list[tuple[Cause, int]]:
    return [(cause, part) for cause, part in parts if part]


def _together(one: list[tuple[Cause, int]], other: list[tuple[Cause, int]]) -> list[tuple[Cause, int]]:
    sums: dict[Cause, int] = {}
    for cause, part in (*one, *other):
        sums[cause] = sums.get(cause, 0) + part
    return list(sums.items())

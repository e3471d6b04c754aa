"""Prices that a person sets: what each is for, and which of several counts.

How one is written belongs in `config`; how it is kept in `store`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from fnmatch import fnmatchcase

import msgspec

from trunkline.ledger.price import Period

_WILD = "*?["


class Override(msgspec.Struct, frozen=True):
    """One price and what it is for."""

    provider: str
    """A provider's name, or a kind of provider; empty: any."""
    model: str
    """The model's name at the provider, in lower case; a glob."""
    period: Period

    def rank(self, provider: str, kind: str, model: str) -> tuple[bool, int, int] | None:
        """How closely it says that it is for this model (lower case); None where it is not.

        First the model counts, spelled out before a glob and a longer glob before a shorter; then the provider, its name
        before its kind, and its kind before any.
        """
        if not self.provider:
            closeness = 0
        elif self.provider == provider:
            closeness = 2
        elif self.provider == kind:
            closeness = 1
        else:
            return None
        exact = model == self.model
        if not exact and not fnmatchcase(model, self.model):
            return None
        return exact, sum(letter not in _WILD for letter in self.model), closeness


def marked(override: Override) -> Override:
    """The same with a mark of its own: a short digest of all that it says, for the records it prices."""
    bare = msgspec.structs.replace(override, period=msgspec.structs.replace(override.period, mark=""))
    mark = hashlib.sha256(msgspec.json.encode(bare)).hexdigest()[:6]
    return msgspec.structs.replace(override, period=msgspec.structs.replace(override.period, mark=mark))


def own_periods(overrides: Sequence[Override], provider: str, kind: str, names: Sequence[str]) -> tuple[Period, ...]:
    """What holds for a model, the one that counts most last. `names`: all of its own, in lower case.

    Of those that say it as closely, the one that holds since later counts, and of those the later in the list.
    """
    ranked = ((max(filter(None, (one.rank(provider, kind, name) for name in names)), default=None), one) for one in overrides)
    found = [(rank, one.period) for rank, one in ranked if rank is not None]
    return tuple(period for _, period in sorted(found, key=lambda entry: (entry[0], entry[1].since_ns)))

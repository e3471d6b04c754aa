"""Who may do what and spend how much: from what is said of keys, users, teams and organisations to what a request meets.

The same code for those of the file and those of the store. Whatever cannot be made sense of makes no key: it fails closed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple, cast
from weakref import WeakValueDictionary

import msgspec
from pydantic import ValidationError
from typing_extensions import override

from trunkline.config.mistakes import KeyPath
from trunkline.config.schema_holders import KINDS, SPECS, HolderSpec, KeySettings, Kind, LimitsSpec
from trunkline.config.validate import suggest, told
from trunkline.meters.rule import NO_RULES, Rule, Rules, What
from trunkline.policy.addresses import Networks
from trunkline.policy.endpoints import named
from trunkline.policy.keys import Principal
from trunkline.store.holders import StoredHolder
from trunkline.store.keys import LiveKey

_SOFT_ALERT = (100,)
_PER_MINUTE: tuple[tuple[str, What], ...] = (("rpm", "requests"), ("tpm", "tokens"), ("concurrent", "concurrent"))
_known: WeakValueDictionary[tuple[Rule, ...], Rules] = WeakValueDictionary()

Written = Mapping[Kind, Mapping[str, HolderSpec]]
"""The users, teams and organisations of a file."""
NOBODY: Written = {kind: {} for kind in KINDS}


class WrittenKey(msgspec.Struct, frozen=True):
    """A key of the file."""

    name: str
    digest: bytes
    spec: KeySettings
    where: str
    """Its file and line."""


class Unfit(ValueError):  # noqa: N818 - what is wrong, in a word and in a place
    """What is said of a key contradicts itself, or names somebody who is not there."""

    def __init__(self, field: str, message: str, *, missing: bool = False) -> None:
        """`missing`: it names somebody who may be in the store."""
        super().__init__(message)
        self.field = field
        self.missing = missing


class Roll(NamedTuple):
    """Everybody who has a key."""

    principals: tuple[Principal, ...]
    """Of two with one secret the later counts."""
    refused: Mapping[str, str]
    """Keys that open nothing, each with the reason."""
    shadowed: tuple[str, ...]
    """What stands in the store in vain, since the file has one of the same name: `key ci`, `team lab`."""
    chart: Chart
    """All users, teams and organisations."""
    made: Mapping[bytes, tuple[LiveKey, list[Principal]]]
    """What became of the store's keys, so that it need not be made again."""


def settings_of(kind: Kind | None, settings: Mapping[str, Any]) -> HolderSpec:
    """What the store has of a user, team or organisation, or (None) a key. Raises ValueError, whose words name every field."""
    spec = KeySettings if kind is None else SPECS[kind]
    try:
        return spec.model_validate(dict(settings))
    except ValidationError as error:
        within: KeyPath = ("keys", 0) if kind is None else (f"{kind}s", "")
        raise ValueError("; ".join(told(error, within))) from None


class Chart:
    """All users, teams and organisations, and what those who belong to them share."""

    def __init__(self, written: Written, stored: Iterable[StoredHolder] = ()) -> None:
        """Of two with one name that of the file counts."""
        self._specs: dict[Kind, dict[str, HolderSpec]] = {kind: dict(written[kind]) for kind in KINDS}
        self._broken: dict[tuple[Kind, str], str] = {}
        self._missing: dict[tuple[Kind, str], str] = {}
        """Words for those who are not there: to find a name that is like one takes a while, and a team has many keys."""
        self._above: dict[tuple[str, str, str], _Share] = {}
        self._read: dict[bytes, KeySettings] = {}
        """Settings of stored keys: many have the same."""
        self.shadowed: list[str] = []
        for one in stored:
            kind: Kind = one.kind
            if one.name in written[kind]:
                self.shadowed.append(f"{kind} {one.name}")
                continue
            try:
                self._specs[kind][one.name] = settings_of(kind, one.settings)
            except ValueError as error:
                self._broken[kind, one.name] = str(error)

    @override
    def __eq__(self, other: object) -> bool:
        """Whether whoever belongs to one of them is the same after both."""
        return isinstance(other, Chart) and (self._specs, self._broken) == (other._specs, other._broken)

    __hash__ = None  # type: ignore[assignment]

    def find(self, kind: Kind, name: str, field: str) -> HolderSpec:
        """One of them. Raises Unfit at `field` where there is none, or none that can be read."""
        found = self._specs[kind].get(name)
        if found is not None:
            return found
        if (why := self._broken.get((kind, name))) is not None:
            raise Unfit(field, f"the stored {kind} {name!r} cannot be read: {why}")
        told = self._missing.get((kind, name))
        if told is None:
            told = self._missing[kind, name] = f"there is no {kind} {name!r}{suggest(name, self._specs[kind])}"
        raise Unfit(field, told, missing=True)

    def has(self, kind: Kind, name: str) -> bool:
        """Whether there is such a one, be it one that cannot be read: whoever belongs to that must be refused."""
        return name in self._specs[kind] or (kind, name) in self._broken

    def settings(self, stored: Mapping[str, Any]) -> KeySettings:
        """What the store has of a key. Raises ValueError as `settings_of` does."""
        written = msgspec.json.encode(stored)
        found = self._read.get(written)
        if found is None:
            found = self._read[written] = cast("KeySettings", settings_of(None, stored))
        return found

    def place(self, spec: HolderSpec) -> dict[Kind, str]:
        """Whom it belongs to, as it says itself and as those say whom it names. Raises Unfit, at the field that leads there."""
        said: dict[Kind, _Said] = {}
        for at, kind in enumerate(KINDS, 1):
            own = spec.above(kind)
            if own is not None:
                _agree(said, kind, _Said(own, kind, "this"))
            if kind in said:
                name, field, _ = said[kind]
                holder = self.find(kind, name, field)
                for above in KINDS[at:]:
                    belongs = holder.above(above)
                    if belongs is not None:
                        _agree(said, above, _Said(belongs, field, f"the {kind} {name!r}"))
        return {kind: one.name for kind, one in said.items()}

    def principal(self, name: str, digest: bytes, spec: KeySettings, expires_ns: int | None = None) -> Principal:
        """What a key may do, after all that it belongs to, up to `expires_ns` at most. Raises Unfit."""
        place = self.place(spec)
        user, team, organisation = (place.get(kind, "") for kind in KINDS)
        share = self._above.get((user, team, organisation))
        if share is None:
            above = [(f"{kind}:{place[kind]}", self._specs[kind][place[kind]]) for kind in KINDS if kind in place]
            share = self._above[user, team, organisation] = _share(above)
        own = _share([(f"key:{name}", spec)])
        models = tuple(dict.fromkeys(own.models + share.models))
        tags = own.tags | share.tags
        return Principal(
            name,
            digest,
            models[0] if models else None,
            spec.aliases,
            tags,
            spec.priority,
            rules(own.rules + share.rules),
            user,
            team,
            organisation,
            _both(own.providers, share.providers),
            _both(own.endpoints, share.endpoints),
            min((end for end in (expires_ns, spec.expires) if end is not None), default=None),
            ",".join(sorted(tags)),
            also=models[1:],
            addresses=Networks(*own.addresses, *share.addresses) if own.addresses or share.addresses else None,
        )


class _Said(NamedTuple):
    """Whom something belongs to."""

    name: str
    field: str
    """Of whatever is placed, what leads there."""
    by: str
    """Who says so."""


def _agree(said: dict[Kind, _Said], kind: Kind, one: _Said) -> None:
    known = said.setdefault(kind, one)
    if known.name != one.name:
        raise Unfit(one.field, f"{one.by} belongs to the {kind} {one.name!r}, but {known.by} to {known.name!r}")


class _Share(NamedTuple):
    """What some holders say together."""

    models: tuple[frozenset[str], ...]
    providers: frozenset[str] | None
    endpoints: frozenset[str] | None
    addresses: tuple[tuple[str, ...], ...]
    tags: frozenset[str]
    rules: tuple[Rule, ...]


def _share(holders: Iterable[tuple[str, HolderSpec]]) -> _Share:
    found = _Share((), None, None, (), frozenset(), ())
    for ident, spec in holders:
        found = _Share(
            found.models + (() if spec.models is None else (frozenset(spec.models),)),
            _both(found.providers, None if spec.providers is None else frozenset(spec.providers)),
            _both(found.endpoints, _endpoints(spec)),
            found.addresses + (() if spec.addresses is None else (tuple(spec.addresses),)),
            found.tags | frozenset(spec.tags),
            found.rules + tuple(rules_of(ident, spec)),
        )
    return found


def _both(one: frozenset[str] | None, other: frozenset[str] | None) -> frozenset[str] | None:
    if one is None or other is None:
        return other if one is None else one
    return one & other


def _endpoints(spec: HolderSpec) -> frozenset[str] | None:
    return None if spec.endpoints is None else frozenset(name for glob in spec.endpoints for name in named(glob))


def rules_of(ident: str, spec: HolderSpec) -> Iterable[Rule]:
    """The limits and budgets of one holder, such as `team:lab`."""
    yield from _limits(ident, spec.limits)
    for budget in spec.budgets:
        marks = tuple(sorted(set(budget.alert_at))) if budget.alert_at is not None else _SOFT_ALERT if budget.soft else ()
        yield Rule(ident, "money", budget.usd, budget.per, budget.zone, not budget.soft, marks)


def limited(ident: str, limits: LimitsSpec) -> Rules:
    """The limits of a model or provider, such as `model:gpt-4.1`."""
    return rules(tuple(_limits(ident, limits)))


def _limits(ident: str, limits: LimitsSpec) -> Iterable[Rule]:
    for field, what in _PER_MINUTE:
        amount = getattr(limits, field)
        if amount is not None:
            yield Rule(ident, what, amount)


def rules(together: tuple[Rule, ...]) -> Rules:
    """The one group of these: as long as somebody is under it, whoever is under the same meets the same one."""
    if not together:
        return NO_RULES
    found = _known.get(together)
    if found is None:
        found = _known[together] = Rules(together)
    return found


def enrol(
    written: Written,
    keys: Collection[WrittenKey],
    stored: Iterable[LiveKey] = (),
    holders: Iterable[StoredHolder] = (),
    before: Roll | None = None,
) -> Roll:
    """Everybody who has a key: of the store, then of the file. `before`: the last ones; keys that are as they were are kept."""
    chart = Chart(written, holders)
    kept = before.made if before is not None and before.chart == chart else {}
    made: dict[bytes, tuple[LiveKey, list[Principal]]] = {}
    ours = {key.name for key in keys}
    principals: list[Principal] = []
    refused: dict[str, str] = {}
    shadowed = list(chart.shadowed)
    for one in stored:
        if one.name in ours:
            shadowed.append(f"key {one.name}")
            continue
        known = kept.get(one.digest)
        try:
            made[one.digest] = known if known is not None and known[0] == one else (one, _stored(chart, one))
            principals += made[one.digest][1]
        except ValueError as error:
            refused[one.name] = _reason(error)
    for key in keys:
        try:
            principals.append(chart.principal(key.name, key.digest, key.spec))
        except Unfit as error:
            refused[key.name] = f"{key.where}.{error.field}: {error}"
    return Roll(tuple(principals), refused, tuple(shadowed), chart, made)


def _stored(chart: Chart, key: LiveKey) -> list[Principal]:
    """A key of the store, and after a rotation the one that it was, for as long as that holds. Raises ValueError."""
    made = chart.principal(key.name, key.digest, chart.settings(key.settings), key.expires_ns)
    if key.previous is None:
        return [made]
    until = min(key.previous_until_ns, made.expires_ns or key.previous_until_ns)
    return [msgspec.structs.replace(made, digest=key.previous, expires_ns=until), made]


def _reason(error: ValueError) -> str:
    return f"{error.field}: {error}" if isinstance(error, Unfit) else str(error)

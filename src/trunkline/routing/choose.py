"""Which target a request goes to next. Pure: the dice and the clock are handed in.

Targets are chosen one at a time, when they are needed: nearly every request needs one. What follows when one fails belongs in
`retry`, what is known of each in `standing`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import inf, log2

from trunkline.canon.errors import GatewayError
from trunkline.providers.provider import Target
from trunkline.routing.course import Course
from trunkline.routing.pace import HALF_LIFE, Mean
from trunkline.routing.standing import Standing
from trunkline.routing.traits import Traits, misfit

ALIKE = 1.1
"""Times that differ by less are equal; else the quickest by a hair would get everything, until it is the quickest no more."""
QUICK_FOR = 1.0
"""Seconds for which it holds who is quick: about as long as a first token takes."""
WORTH = 2.0
"""So much slower may a target be that has a prompt in its cache."""
_ALIKE, _WORTH = log2(ALIKE), log2(WORTH)
_DIGITS = 2.0**20
_PLAIN = Traits()
_BARRED = "the key may not use its provider"
_OF_CREDENTIAL = frozenset({401, 402, 403, 429})
"""Refusals that another credential of the same provider may not meet."""


class Candidates:
    """The targets of one request, each at most once in a round."""

    __slots__ = ("_aside", "_fitting", "_key", "_open", "_sunk", "_traits", "_tried", "course")

    def __init__(
        self, course: Course, traits: Traits = _PLAIN, key: int | None = None, providers: frozenset[str] | None = None
    ) -> None:
        """`key`: 64 bits; requests with the same ones keep to one target while it is well. None: none is preferred.

        `providers`: whom alone it may go to, whatever happens to them; None: anybody.
        """
        self.course = course
        self._open: Sequence[int] | None = None
        """Who may be asked at all; None: everybody."""
        if providers is not None and not providers.issuperset(course.names):
            self._open = [at for at, target in enumerate(course.everyone) if target.provider.name in providers]
        self._traits = traits
        self._key = key
        self._tried: tuple[int, ...] = ()
        self._sunk: tuple[int, ...] = ()
        """Those that will hardly do better than one that was tried."""
        self._fitting: Sequence[int] = ()
        self._aside = False
        """Somebody who was not tried yet was no choice when `next` chose last."""

    @property
    def tokens(self) -> int:
        """Of the prompt, guessed."""
        return self._traits.tokens

    @property
    def may(self) -> Sequence[int]:
        """Everybody who may be asked, as places in `course.everyone`."""
        return range(len(self.course.everyone)) if self._open is None else self._open

    def next(self, now: float, dice: float) -> int | None:
        """Whom to ask next, as a place in `course.everyone`; None where nobody is left who may be asked.

        The targets come first, by the route's strategy, then its fallbacks in their order; those that are not well come last
        of all, and only as many requests a second go to them as `Standing.last_resort` lets.
        """
        course, traits = self.course, self._traits
        if not self._tried and self._open is None:
            at = self._choose(course.targets, now, dice)
            if course.standings[at].well(traits.tokens, now) and not (course.picky and misfit(course.everyone[at], traits)):
                self._aside = False
                return at
        left = [at for at in self._fit() if at not in self._tried]
        well = [at for at in left if course.standings[at].well(traits.tokens, now)]
        self._aside = len(well) + len(self._tried) < len(self.may)
        if not well:
            tight = self._tight(now)
            return tight if tight is not None else self._last_resort(left, now)
        fresh = [at for at in well if at not in self._sunk] or well
        if fresh[0] < course.first:
            return self._choose([at for at in fresh if at < course.first], now, dice)
        return self._among_equals(self._with_seats(fresh))

    def tried(self, at: int) -> None:
        """This one was asked."""
        self._tried += (at,)

    def failed(self, at: int, error: GatewayError) -> None:
        """It did not answer. Where that had nothing to do with the credential, the others of its provider come late."""
        if error.status not in _OF_CREDENTIAL:
            self._sunk += tuple(self.course.seats[at])

    def anew(self) -> None:
        """Another round: everyone may be asked again."""
        self._tried = self._sunk = ()

    def rests(self, now: float) -> float:
        """Seconds until the first of those who fit should be asked again."""
        return min(self.course.standings[at].rests(self._traits.tokens, now) for at in self._fit())

    def held(self) -> tuple[Target, float] | None:
        """Of those who fit, whom our own limits let be asked again first, and in how many seconds; None where they hold nobody
        back.
        """
        course, tokens = self.course, self._traits.tokens
        waits = [(wait, at) for at in self._fit() if (wait := course.standings[at].held(tokens))]
        return (course.everyone[min(waits)[1]], min(waits)[0]) if waits else None

    def passed_over(self, chosen: int, now: float, dice: float) -> list[tuple[Target, str]]:
        """Who might have been asked in place of `chosen`, as `next` just said with these dice, and why it was not. Nobody where
        the strategy's favourite was chosen; costs nothing where everyone is well.
        """
        first = not self._tried and self._open is None
        if not self._aside or (first and self._choose(self.course.targets, now, dice) == chosen):
            return []
        before = range(max(chosen, self.course.first))
        verdicts = list(self.verdicts(now))
        return [
            (verdicts[at][0], reason)
            for at in before
            if at in self.may and at not in self._tried and (reason := verdicts[at][2])
        ]

    def verdicts(self, now: float) -> Iterator[tuple[Target, Standing, str]]:
        """Every target with the reason why it is not asked, or not first; empty where there is none."""
        fit = self._fit()
        for at, (target, standing) in enumerate(zip(self.course.everyone, self.course.standings, strict=True)):
            reason = "" if at in fit else misfit(target, self._traits) if at in self.may else _BARRED
            yield target, standing, reason or standing.ill(self._traits.tokens, now)

    def _fit(self) -> Sequence[int]:
        """Those who can take it. Where nobody can, everyone: what they say themselves is a better answer than our guess."""
        everyone = self.may
        if not self.course.picky:
            return everyone
        if not self._fitting:
            self._fitting = [at for at in everyone if not misfit(self.course.everyone[at], self._traits)] or everyone
        return self._fitting

    def _tight(self, now: float) -> int | None:
        """One that is well and perhaps too small: sizes are guessed, and it says itself whether it is."""
        fit, tokens = self._fit(), self._traits.tokens
        for at, (target, standing) in enumerate(zip(self.course.everyone, self.course.standings, strict=True)):
            if (
                at not in fit
                and at in self.may
                and at not in self._tried
                and standing.well(tokens, now)
                and not misfit(target, self._traits, sized=False)
            ):
                return at
        return None

    def _last_resort(self, left: Sequence[int], now: float) -> int | None:
        """One of those that are not well: sooner one that has used up what it may than one that fails."""
        standings = self.course.standings
        may = [at for at in left if not standings[at].held(self._traits.tokens) and standings[at].last_resort(now)]
        limited = [at for at in may if standings[at].state(now) == "closed"]
        return self._among_equals(limited) if limited else may[0] if may else None

    def _choose(self, among: Sequence[int], now: float, dice: float) -> int:
        """Whom the strategy chooses of these targets."""
        equals: Sequence[int]
        if len(among) == 1:
            return among[0]
        course, strategy = self.course, self.course.route.strategy
        if strategy == "ordered":
            equals = course.seats[0] if among is course.targets else self._with_seats(among)
        elif strategy == "latency":
            equals = self._quickest(among, now) if self._key is None else self._quick_enough(among, now)
        elif strategy == "cost":
            equals = self._cheap(among, now)
        elif self._key is not None:
            equals = among
        elif strategy == "least_busy":
            return self._idlest(among, dice)
        else:
            return course.drawn(dice) if among is course.targets else self._drawn(among, dice)
        return self._among_equals(equals)

    def _with_seats(self, among: Sequence[int]) -> Sequence[int]:
        """The first of these, and those that differ from it by the credential alone."""
        return [at for at in self.course.seats[among[0]] if at in among]

    def _among_equals(self, equals: Sequence[int]) -> int:
        """The one that the key keeps to, as long as it is among these: what one leaves behind, the others share. Without a key
        the one that was not asked for longest.
        """
        if len(equals) == 1:
            return equals[0]
        if self._key is not None:
            return self.course.nearest(self._key, equals)
        standings = self.course.standings
        chosen = equals[0]
        least = standings[chosen].turn
        for at in equals:
            turn = standings[at].turn
            if turn < least:
                chosen, least = at, turn
        return chosen

    def _idlest(self, among: Sequence[int], dice: float) -> int:
        """The one with the fewest requests in flight for its weight: any that has none; where all have some, of equals the one
        that was not asked for longest.
        """
        standings, everyone, begin = self.course.standings, self.course.everyone, int(dice * len(among))
        for part in (among[begin:], among[:begin]):  # not all of them: it takes time to look at who was not looked at lately
            for at in part:
                if not standings[at].busy:
                    return at
        return min(among, key=lambda at: (standings[at].busy / everyone[at].weight, standings[at].turn))

    def _cheap(self, among: Sequence[int], now: float) -> Sequence[int]:
        """The cheapest for this request, as far as its size tells: an answer of which nothing is known is as long as it."""
        units, front = self.course.prices(now)
        able = front if among is self.course.targets else among
        if len(able) == 1:
            return able
        tokens = self._traits.tokens or 1
        output = self._traits.output or tokens
        costs = [tokens * units[at][0] + output * units[at][1] for at in able]
        least = min(costs)
        return [at for at, own in zip(able, costs, strict=True) if own == least]

    def _quickest(self, among: Sequence[int], now: float) -> Sequence[int]:
        """The quickest, and those that are as quick. One that was not heard of for a while is thought ever better of, until a
        request finds out: one at a time. Where there is none such, the answer holds for a moment.
        """
        course, stream = self.course, self._traits.stream
        until, quick = course.quick[stream]
        if now < until and among is course.targets:
            return quick
        near, old, found = inf, now - HALF_LIFE, list[tuple[float, int, bool]]()
        for at in among:
            standing = course.standings[at]
            mean = self._mean(standing)
            if mean.rank <= near and (mean.at >= old or not standing.busy):
                near = min(near, mean.rank + _ALIKE)
                found.append((mean.rank, at, mean.at >= old))
        quick = [at for rank, at, _ in found if rank <= near]
        if among is course.targets and quick and all(heard for rank, _, heard in found if rank <= near):
            course.quick[stream] = now + QUICK_FOR, quick
        return quick or among

    def _quick_enough(self, among: Sequence[int], now: float) -> Sequence[int]:
        """Those that are worth going to for what they have in their caches; of whom nothing was heard lately may be."""
        means = [(at, self._mean(self.course.standings[at])) for at in among]
        near = min((mean.rank for _, mean in means if mean.at >= now - HALF_LIFE), default=inf) + _WORTH
        return [at for at, mean in means if mean.rank <= near]

    def _mean(self, standing: Standing) -> Mean:
        """Of what such a request waits for."""
        return standing.pace.first_token if self._traits.stream else standing.pace.answer

    def _drawn(self, among: Sequence[int], dice: float) -> int:
        """One of these, as often as its weight is of all theirs."""
        everyone = self.course.everyone
        # these dice may have drawn somebody who is no choice: their further digits are as good as new ones
        left = dice * _DIGITS % 1.0 * sum(everyone[at].weight for at in among)
        for at in among[:-1]:
            left -= everyone[at].weight
            if left < 0:
                return at
        return among[-1]

"""Models as written into routes: targets with all credentials of their providers, fallbacks and rules resolved.

Which name means which route is decided in `snapshot`; what a route's fields do, in `routing`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from trunkline.canon.facts import Facts
from trunkline.config.holders import limited
from trunkline.config.mistakes import KeyPath
from trunkline.config.providers import deadlines
from trunkline.config.reach import Context
from trunkline.config.schema_models import ModelSpec, RuleSpec, TargetSpec
from trunkline.config.validate import suggest
from trunkline.config.values import is_model
from trunkline.providers.models import facts
from trunkline.providers.provider import Provider, Target
from trunkline.routing.retry import Retry
from trunkline.routing.route import Hedge, Route, Rule, When
from trunkline.routing.traits import asked_of, distinguishing, pattern

STAR = "*"
_MOST_TARGETS = 256
"""Of one model, all credentials and fallbacks counted: more are a mistake, or a circle of names nearly closed."""


class Pattern(msgspec.Struct, frozen=True):
    """A model's name with a star: what the star stands for in a client's name, it stands for in its targets."""

    before: str
    after: str
    route: Route
    given: Mapping[str, Any]
    """What its entry says of the models themselves."""

    def made(self, name: str) -> Route | None:
        """The route of a name that fits; None for any other."""
        if len(name) < len(self.before) + len(self.after) or not (name.startswith(self.before) and name.endswith(self.after)):
            return None
        meant = name[len(self.before) : len(name) - len(self.after)]
        targets, fallbacks = self._filled(self.route.targets, meant), self._filled(self.route.fallbacks, meant)
        everyone = (*targets, *fallbacks)
        if not meant or not all(is_model(target.model) for target in everyone):
            return None
        looks = self.route.looks | distinguishing(everyone)
        return msgspec.structs.replace(self.route, name=name, targets=targets, fallbacks=fallbacks, looks=looks)

    def _filled(self, targets: tuple[Target, ...], meant: str) -> tuple[Target, ...]:
        return tuple(self._target(target, meant) if STAR in target.model else target for target in targets)

    def _target(self, target: Target, meant: str) -> Target:
        model, provider = target.model.replace(STAR, meant), target.provider
        return msgspec.structs.replace(target, model=model, facts=_known(provider, model, self.given))


class Routes:
    """Compiles the models, each once, those first that others name."""

    def __init__(
        self, specs: Mapping[str, ModelSpec], providers: Mapping[str, Provider], names: frozenset[str], context: Context
    ) -> None:
        """`providers`: those without mistakes; `names`: of all of them."""
        self._specs = specs
        self._providers = providers
        self._names = names
        self._context = context
        self._made: dict[str, Route | None] = {}
        self._direct: dict[str, Route] = {}
        """Of `provider/model` names in rules: one for all rules that name it."""
        self._open: list[str] = []
        """Models that are being compiled, each named by the one before it."""

    def all(self) -> tuple[dict[str, Route], tuple[Pattern, ...]]:
        """The routes by every name they have, and those whose name has a star, the most particular first."""
        routes: dict[str, Route] = {}
        patterns: dict[str, Pattern] = {}
        for name, spec in self._specs.items():
            route = self._route(name)
            for at, called in enumerate((name, *spec.aliases)):
                path: KeyPath = ("models", name, "aliases", at - 1) if at else ("models", name)
                self._check_name(called, path, alias=at > 0)
                if route is None:
                    continue
                if called in routes or called in patterns:
                    self._context.report(path, "another model has this alias")
                elif STAR in called:
                    before, _, after = called.partition(STAR)
                    patterns[called] = Pattern(before, after, route, spec.facts.given())
                elif STAR in name:
                    self._context.report(path, f"must have a * as {name!r} has: what would it stand for?")
                else:
                    routes[called] = route if not at else msgspec.structs.replace(route, name=called)
        order = sorted(patterns.values(), key=lambda pattern: (-len(pattern.before), -len(pattern.after)))
        return routes, tuple(order)

    def _check_name(self, name: str, path: KeyPath, *, alias: bool) -> None:
        prefix, slash, _ = name.partition("/")
        if slash and prefix in self._names:
            self._context.report(
                path, f"this name already means the provider {prefix!r}: choose one that does not begin with it"
            )
        if name.count(STAR) > 1:
            self._context.report(path, "takes one * at most")
        if alias and name in self._specs:
            self._context.report(path, f"{name!r} is a model of its own")

    def _route(self, name: str) -> Route | None:
        """One model's route; None after its mistakes were reported."""
        if name not in self._made:
            self._open.append(name)
            self._made[name] = self._compile(name, self._specs[name])
            self._open.pop()
        return self._made[name]

    def _compile(self, name: str, spec: ModelSpec) -> Route | None:
        path: KeyPath = ("models", name)
        targets: list[Target] = []
        for at, written in enumerate(spec.targets):
            targets += self._targets(written, spec, (*path, "targets", at), star=STAR in name)
            if spec.strategy not in {"weighted", "least_busy"} and "weight" in written.model_fields_set:
                self._context.warn((*path, "targets", at, "weight"), "counts only with strategy: weighted or least_busy")
        fallbacks: list[Target] = []
        for at, written in enumerate(spec.fallbacks):
            fallbacks += self._fallbacks(written, spec, (*path, "fallbacks", at), star=STAR in name)
        rules = [rule for at, written in enumerate(spec.rules) if (rule := self._rule(written, (*path, "rules", at)))]
        everyone = (*targets, *fallbacks)
        if len(everyone) > _MOST_TARGETS:
            self._context.report(
                path, f"has {len(everyone)} targets and fallbacks in all; at most {_MOST_TARGETS} can be tried"
            )
        if not targets:
            return None
        # each target once, unless more is written: a request may cost money, and be charged for each time
        retry = Retry(**spec.retry.model_dump()) if spec.retry is not None else Retry(attempts=len(everyone))
        looks = distinguishing(everyone).union(*(asked_of(rule.when) | rule.use.looks for rule in rules))
        return Route(
            name,
            tuple(targets),
            deadlines(spec.timeouts, targets[0].provider.deadlines),
            retry,
            tuple(fallbacks),
            spec.strategy,
            rules=tuple(rules),
            affinity=spec.affinity,
            hedge=Hedge(spec.hedge.after, spec.hedge.share) if spec.hedge is not None else None,
            looks=looks | ({"size"} if spec.strategy == "cost" else set()),
            entry=name,
            limits=limited(f"model:{name}", spec.limits),
        )

    def _targets(self, written: TargetSpec, spec: ModelSpec, path: KeyPath, *, star: bool) -> list[Target]:
        """A target with each credential of its provider; none after a mistake was reported."""
        provider = self._provider(written.to, path, star=star)
        return [] if provider is None else seated(_target(written, provider, spec))

    def _fallbacks(self, written: TargetSpec, spec: ModelSpec, path: KeyPath, *, star: bool) -> list[Target]:
        """As targets; or all of a configured model's."""
        if written.to not in self._specs:
            return self._targets(written, spec, path, star=star)
        route = self._named(written.to, path)
        return [] if route is None else [*route.targets, *route.fallbacks]

    def _rule(self, written: RuleSpec, path: KeyPath) -> Rule | None:
        when = written.when
        conditions = When(
            when.images,
            when.tools,
            when.stream,
            when.tokens_over,
            when.tokens_under,
            frozenset(when.tags),
            tuple((name.encode("ascii"), pattern(glob)) for name, glob in when.headers.items()),
        )
        here = (*path, "use")
        if written.use in self._specs:
            route = self._named(written.use, here)
        else:
            provider = self._provider(written.use, here, star=False)
            route = None if provider is None else self._directly(provider, written.use)
        return None if route is None else Rule(conditions, route)

    def _directly(self, provider: Provider, name: str) -> Route:
        if name not in self._direct:
            self._direct[name] = direct(provider, name.partition("/")[2], name)
        return self._direct[name]

    def _named(self, name: str, path: KeyPath) -> Route | None:
        """Another model's route. A circle of names would send a request round for ever, and is reported where it closes."""
        if name in self._open:
            circle = " -> ".join([*self._open[self._open.index(name) :], name])
            self._context.report(path, f"leads back to where it began: {circle}")
            return None
        if STAR in name:
            self._context.report(path, "must be one model: what would * stand for here?")
            return None
        return self._route(name)

    def _provider(self, to: str, path: KeyPath, *, star: bool) -> Provider | None:
        """The provider that a target names, after what is wrong with it was reported."""
        name, slash, model = to.partition("/")
        if not slash or not is_model(model):
            self._context.report(path, f"must be provider/model{'' if slash else suggest(to, self._specs)}")
        elif name not in self._names:
            self._context.report(path, f"there is no provider {name!r}{suggest(name, self._names)}")
        elif STAR in model and (not star or model.count(STAR) > 1):
            self._context.report(path, "a * stands for what the one * of the model's own name stands for; there is none")
        return self._providers.get(name)


def _known(provider: Provider, model: str, given: Mapping[str, Any]) -> Facts:
    """What is known of a model, from the general to the particular: built in, by its provider, by its entry (`given`)."""
    return facts(provider.kind, model, (*provider.facts, (STAR, given)))


def _target(written: TargetSpec, provider: Provider, spec: ModelSpec) -> Target:
    model = written.to.partition("/")[2]
    strict = provider.strict if spec.unsupported is None else spec.unsupported == "strict"
    return Target(provider, model, written.weight, _known(provider, model, spec.facts.given()), strict)


def direct(provider: Provider, model: str, name: str) -> Route:
    """The route of a `provider/model` that no entry describes."""
    target = Target(provider, model, facts=facts(provider.kind, model, provider.facts), strict=provider.strict)
    targets = tuple(seated(target))
    return Route(name, targets, provider.deadlines, Retry(attempts=len(targets)))


def seated(target: Target) -> list[Target]:
    """A target once with each of its provider's credentials, which share its weight."""
    seats = (target.provider, *target.provider.others)
    weight = target.weight / len(seats)
    return [msgspec.structs.replace(target, provider=provider, weight=weight) for provider in seats]

"""Which provider a request of a family goes to that only passes: by its model, by the name of a provider, or the only one.

Which families a kind has is told in the catalogue; what a key may do belongs in `policy`.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from trunkline.canon.errors import GatewayError, Kind
from trunkline.providers.provider import Provider, Target
from trunkline.routing.route import Route

_SHOWN = 8
"""Providers that a message names at most."""
_OPENAI = ("openai_chat", "openai_responses", "openai_completions")


def speech(provider: Provider) -> str:
    """The dialect below whose base path the provider keeps its families: OpenAI's where it speaks that."""
    return next((name for name in _OPENAI if name in provider.speaks), provider.dialect)


def of_model(route: Route, family: str, shown: Iterable[Provider]) -> Route:
    """The route with those of its targets alone whose provider has the family; itself where all have it.

    Raises `GatewayError(BAD_REQUEST)` where none has, which names those `shown` that have it.
    """
    targets, fallbacks = _having(route.targets, family), _having(route.fallbacks, family)
    if len(targets) + len(fallbacks) == len(route.targets) + len(route.fallbacks):
        return route
    if not targets and not fallbacks:
        raise _refused(f"The provider {route.targets[0].provider.name!r} has no {family}.", family, shown)
    return msgspec.structs.replace(route, targets=targets or fallbacks, fallbacks=fallbacks if targets else ())


def _having(targets: tuple[Target, ...], family: str) -> tuple[Target, ...]:
    return tuple(target for target in targets if family in target.provider.families)


def of_none(family: str, named: str, providers: Iterable[Provider], shown: Iterable[Provider]) -> Provider:
    """The provider for a request that names no model. `named`: as the client asks for it, or empty.

    Raises `GatewayError(BAD_REQUEST)` that says what to name, of those `shown`.
    """
    able = {provider.name: provider for provider in providers if family in provider.families}
    if named in able:
        return able[named]
    if named:
        raise _refused(f"There is no provider {named[:64]!r} that has {family}.", family, shown)
    if len(able) == 1:
        return next(iter(able.values()))
    if not able:
        raise _refused(f"No configured provider has {family}.", family, ())
    raise _refused("This request names no model: say in the header x-trunkline-provider who is meant.", family, shown)


def _refused(problem: str, family: str, shown: Iterable[Provider]) -> GatewayError:
    able = [provider.name for provider in shown if family in provider.families]
    names = ", ".join(able[:_SHOWN]) + (", …" if len(able) > _SHOWN else "")
    return GatewayError(
        Kind.BAD_REQUEST, f"{problem} It is had from: {names}." if able else problem, code="unsupported_endpoint"
    )

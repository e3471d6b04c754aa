"""What of a request its way depends on: what it holds, how large it is, who sends it.

Reading it out of a body belongs in the dialects, fetching it in `pipeline`; who is chosen, in `choose`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from fnmatch import translate

import msgspec

from trunkline.providers.provider import Target
from trunkline.routing.route import Route, Trait, When

_NOTHING: frozenset[str] = frozenset()


class Traits(msgspec.Struct, frozen=True, gc=False):
    """One request's. What nobody looked for has its default."""

    tokens: int = 0
    """Of the prompt, guessed from its size."""
    output: int = 0
    """Tokens that the answer may have, where the client says it."""
    media: frozenset[str] = _NOTHING
    """Of image, document, audio, video: what it holds."""
    tools: bool = False
    schema: bool = False
    """Asks for output of a JSON Schema."""
    stream: bool = False
    tags: frozenset[str] = _NOTHING
    headers: Mapping[bytes, bytes] = {}


def follow(route: Route, traits: Traits) -> tuple[Route, tuple[int, ...]]:
    """The route that the rules lead to, and which rule of each was followed, counted from 1. Compiled rules have no circles."""
    ways: tuple[int, ...] = ()
    while route.rules:
        for number, rule in enumerate(route.rules, 1):
            if holds(rule.when, traits):
                ways += (number,)
                route = rule.use
                break
        else:
            break
    return route, ways


def holds(when: When, traits: Traits) -> bool:
    """Whether a request is of the kind that a rule asks for."""
    return (
        (when.images is None or when.images is ("image" in traits.media))
        and (when.tools is None or when.tools is traits.tools)
        and (when.stream is None or when.stream is traits.stream)
        and (when.tokens_over is None or traits.tokens > when.tokens_over)
        and (when.tokens_under is None or traits.tokens < when.tokens_under)
        and (not when.tags or not when.tags.isdisjoint(traits.tags))
        and (not when.headers or _sent(when.headers, traits.headers))
    )


def _sent(wanted: tuple[tuple[bytes, re.Pattern[bytes]], ...], headers: Mapping[bytes, bytes]) -> bool:
    for name, pattern in wanted:
        told = headers.get(name)
        if told is None or not pattern.match(told):
            return False
    return True


def pattern(glob: str) -> re.Pattern[bytes]:
    """What a header must be as a whole: `*` stands for anything, `?` for one character."""
    return re.compile(translate(glob.replace("[", "[[]")).encode("ascii"))


def misfit(target: Target, traits: Traits, *, sized: bool = True) -> str:
    """Why a target cannot take such a request, in a few words; empty where it can, as far as is known.

    `sized`: the request's size counts, which is a guess.
    """
    facts = target.facts
    if traits.tools and not facts.tools:
        return "takes no tools"
    if facts.media is not None and not traits.media <= facts.media:
        return f"takes no {min(traits.media - facts.media)}"
    if traits.schema and not facts.schema:
        return "takes no JSON Schema for its output"
    if (
        sized
        and facts.context is not None
        and traits.tokens + min(traits.output, facts.max_output or traits.output) > facts.context
    ):
        return f"has room for {facts.context} tokens, this request has about {traits.tokens}"
    return ""


def distinguishing(targets: tuple[Target, ...]) -> frozenset[Trait]:
    """What a request must be looked at for, since some of these targets take it and others do not."""
    facts = [target.facts for target in targets]
    told: dict[Trait, set[object]] = {
        "media": {fact.media for fact in facts},
        "tools": {fact.tools for fact in facts},
        "schema": {fact.schema for fact in facts},
        "size": {fact.context for fact in facts},
    }
    return frozenset(trait for trait, values in told.items() if len(values) > 1)


def asked_of(when: When) -> frozenset[Trait]:
    """What a rule must know of a request's body."""
    told: dict[Trait, bool] = {
        "media": when.images is not None,
        "tools": when.tools is not None,
        "size": when.tokens_over is not None or when.tokens_under is not None,
    }
    return frozenset(trait for trait, asked in told.items() if asked)

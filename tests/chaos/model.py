"""What a seed means, and what may come of it. Pure: no socket, no clock, no dice but those made of the seed.

`plan` says of one request, by the seed and its number alone, what its client does and what each provider would do to each
attempt. `judge` compares what was seen, at the client, at the providers and in the ledger, with what is allowed: health and
chance decide whom the gateway asks, so it is never one outcome only.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from chaos.plays import PLAYS, SURE
from chaos.speech import DIALECTS, Ending

Manner = Literal["reads", "slow", "half_closes", "leaves", "resets", "bad"]
"""What a client does. `leaves` closes, which looks like a half-close until something is written to it; `resets` is sure."""
BAD = ("no json", "no key", "no model", "no messages", "cut body")
"""What is wrong with a bad client's request: none of it reaches a provider, or the ledger."""
TOKENS_IN, TOKENS_OUT = 1200, 50
"""What every good answer says it cost (`real.tongues`)."""
TURNED_AWAY = "more to do than it can"
BESIDE = 0.15
"""Seconds that an answer may be on its way to the gateway, and be overtaken by its asking somebody else."""
LATE = 0.75
"""Seconds after a reset client in which the providers must be rid of it."""


@dataclass(frozen=True)
class Route:
    """A model name, as far as the model must know it."""

    name: str
    targets: tuple[str, ...]
    """Providers, each asked once in a round with each of its credentials."""
    attempts: int
    sure: bool
    """The last of them always answers well, and there are attempts enough to come to it."""
    hedged: bool = False
    """A second one may be asked beside the first."""


@dataclass(frozen=True)
class Plan:
    """One request."""

    nonce: str
    route: str
    dialect: str
    stream: bool
    manner: Manner
    bad: str
    moment: float
    """When a client leaves: below 0.3 before anything is read (then it is a time), else after so much of the answer."""
    size: int
    """How often an answer repeats its mark."""
    plays: Mapping[str, tuple[str, ...]]
    """Provider -> what it does to the first, second, … attempt; the last stays."""

    def play(self, provider: str, attempt: int) -> str:
        """The name of what `provider` does to its attempt, counted from 0."""
        own = self.plays[provider]
        return own[min(attempt, len(own) - 1)]


@dataclass
class Attempt:
    """One request as a provider saw it."""

    provider: str
    play: str
    mark: str
    at: float
    reused: bool
    """Its connection had served before."""
    ended: str = ""
    ended_at: float = 0.0
    clean: bool = True
    """It carried nothing that is no provider's business: a client's key."""


@dataclass
class Seen:
    """One request as its client saw it. Times are monotonic seconds."""

    began: float
    ended: float = 0.0
    status: int = 0
    """0: there was no head, or the client did not wait for it."""
    headers: dict[str, str] = field(default_factory=dict)
    text: str = ""
    ending: Ending | Literal["error", "left", "none"] = "none"
    problem: str = ""
    """What the client could not understand."""
    headed: float = 0.0
    """When its answer began; 0 where it did not."""
    told: str = ""
    """What an error said."""

    @property
    def turned_away(self) -> bool:
        """The gateway had more to do than it can, and did not look at the request."""
        return self.status == 503 and TURNED_AWAY in self.told


@dataclass(frozen=True)
class Span:
    """A time in which something was so; of one provider, or of the whole machine where it names none."""

    begin: float
    end: float
    provider: str = ""

    def meets(self, begin: float, end: float) -> bool:
        """Whether it overlaps."""
        return self.begin <= end and begin <= self.end


@dataclass(frozen=True)
class Weather:
    """What was so beside the plans."""

    outages: Sequence[Span] = ()
    """A provider's listener was closed; its connections were reset as it began."""
    lags: Sequence[Span] = ()
    """This machine stood still: nothing that depends on deadlines can be asked of the gateway."""

    def out(self, provider: str, begin: float, end: float) -> bool:
        """Whether the provider was away for a part of this time."""
        return any(span.provider == provider and span.meets(begin, end) for span in self.outages)

    def lagged(self, begin: float, end: float) -> bool:
        """Whether the machine stood still in this time."""
        return any(span.meets(begin, end) for span in self.lags)


def text(mark: str, size: int) -> str:
    """What an answer says: which request, provider and attempt it belongs to, again and again."""
    return " ".join([mark] * size)


def plan(seed: str, number: int, routes: Sequence[Route], flaky: Sequence[str], sure: str) -> Plan:
    """Request `number` of a run."""
    nonce = f"{seed}-{number}"
    dice = random.Random(f"trunkline chaos {nonce}")
    manner: Manner = dice.choices(["reads", "slow", "half_closes", "leaves", "resets", "bad"], [60, 6, 4, 6, 12, 5])[0]  # type: ignore[assignment]
    names, weights = list(PLAYS), [play.weight for play in PLAYS.values()]
    plays = {name: tuple(dice.choices(names, weights, k=3)) for name in flaky}
    plays[sure] = (dice.choice(SURE),)
    return Plan(
        nonce=nonce,
        route=dice.choice(routes).name,
        dialect=dice.choice(DIALECTS),
        stream=dice.random() < 0.6,
        manner=manner,
        bad=dice.choice(BAD) if manner == "bad" else "",
        moment=dice.random(),
        size=200 if dice.random() < 0.04 else dice.randint(18, 40),
        plays=plays,
    )


def judge(plan: Plan, route: Route, seen: Seen, attempts: Sequence[Attempt], weather: Weather) -> list[str]:
    """What is wrong with one request, in words; nothing where all is as it may be. `attempts` in order of time."""
    if seen.turned_away:
        return ["turned away without a time, or asked for all the same"] if attempts or not _says_when(seen) else []
    if plan.manner == "bad":
        return _bad(plan, seen, attempts)
    wrong = _tries(plan, route, seen, attempts, weather) + _begun_anew(seen, attempts, weather)
    if seen.problem:
        wrong.append(seen.problem)
    if seen.ending == "left" or (plan.manner == "leaves" and seen.ending == "none"):
        wrong += _left(plan, seen, attempts, weather)
    elif seen.ending == "none":
        wrong.append("there was no answer")
    elif seen.ending == "cut":
        wrong.append("the answer ends neither well nor with an error")
    elif seen.ending == "error":
        wrong += _failed(plan, route, seen, attempts, weather)
    else:
        wrong += _answered(plan, _winner(route, seen, attempts), seen, weather)
    return wrong


def _bad(plan: Plan, seen: Seen, attempts: Sequence[Attempt]) -> list[str]:
    wrong = ["a provider was asked for a request that is none"] if attempts else []
    wanted = {"no json": 400, "no key": 401, "no model": 404, "no messages": 400, "cut body": 0}[plan.bad]
    if plan.dialect == "gemini" and plan.bad == "no messages":
        wanted = 400
    if seen.status != wanted or (wanted and seen.ending != "error"):
        wrong.append(f"a request with {plan.bad!r} got {seen.status} ({seen.ending}), not {wanted}")
    return wrong


def least(attempts: Sequence[Attempt]) -> int:
    """How many attempts these requests were at the least: one that died without a byte on a used connection is repeated."""
    silent = sum(1 for one in attempts if one.reused and (PLAYS[one.play].silent or one.ended == "cut"))
    return len(attempts) - silent


def _shot(one: Attempt, weather: Weather) -> bool:
    """Its provider went away under it, so that it may have ended like any other accident."""
    return weather.out(one.provider, one.at - 0.05, (one.ended_at or one.at) + 0.05)


def _effects(one: Attempt, plan: Plan, weather: Weather) -> frozenset[str]:
    found = PLAYS[one.play].effects(stream=plan.stream)
    if _shot(one, weather) or weather.lagged(one.at, one.ended_at or one.at):
        found |= {"fail", "broken"} if plan.stream else {"fail"}
    return found


def _winner(route: Route, seen: Seen, attempts: Sequence[Attempt]) -> Attempt | None:
    """Whose answer it is: the last one's, or of two that ran beside each other the one whose words they are."""
    told = seen.headers.get("x-trunkline-provider")
    own = [one for one in attempts if (seen.text or one.mark).startswith(one.mark) and one.provider == told]
    return own[-1] if route.hedged and own else attempts[-1] if attempts else None


def _beside(one: Attempt, attempts: Sequence[Attempt]) -> bool:
    """Whether another ran at the same time, or nearly: it may have been asked before the first one's answer was read."""
    return any(
        one is not other and one.at <= other.ended_at + BESIDE and other.at <= one.ended_at + BESIDE for other in attempts
    )


def _begun_anew(seen: Seen, attempts: Sequence[Attempt], weather: Weather) -> list[str]:
    """Nothing is tried again once the client saw a byte."""
    if not seen.headed or weather.lagged(seen.headed, seen.headed + 2):
        return []
    late = [one for one in attempts if one.at > seen.headed + LATE]
    return [f"{one.provider} was asked {one.at - seen.headed:.2f} s after the client saw an answer begin" for one in late]


def _tries(plan: Plan, route: Route, seen: Seen, attempts: Sequence[Attempt], weather: Weather) -> list[str]:
    """Of the attempts themselves: not too many, none after a good one, none of strangers."""
    wrong = []
    if least(attempts) > route.attempts + route.hedged:
        wrong.append(f"{least(attempts)} attempts, where {route.attempts} are allowed")
    if strangers := {one.provider for one in attempts} - set(route.targets):
        wrong.append(f"asked {strangers}, which are no targets of {route.name}")
    if any(not one.clean for one in attempts):
        wrong.append("a provider saw the client's key")
    winner = _winner(route, seen, attempts)
    for one in attempts:
        if one is winner or (route.hedged and _beside(one, attempts)):
            continue
        if "fail" not in _effects(one, plan, weather) or (PLAYS[one.play].stops and not _shot(one, weather)):
            wrong.append(f"{one.provider} played {one.play!r}, and somebody was asked after it")
    if not attempts and seen.status == 200:
        wrong.append("an answer that no provider gave")
    return wrong


def _answered(plan: Plan, last: Attempt | None, seen: Seen, weather: Weather) -> list[str]:
    """Of a 200: it is the last attempt's, all of it or a beginning, and ends as that attempt may have."""
    if last is None:
        return []
    wanted, effects, wrong = text(last.mark, plan.size), _effects(last, plan, weather), []
    effect = "good" if seen.ending == "clean" else "broken"
    if effect not in effects:
        wrong.append(f"{last.provider} played {last.play!r}, and the client's answer ended {seen.ending}")
    if effect == "good" and seen.text != wanted:
        wrong.append(f"a whole answer that is not the last attempt's: {_shown(seen.text)} is not {_shown(wanted)}")
    if effect == "broken" and not wanted.startswith(seen.text):
        wrong.append(f"a broken answer that is no beginning of the last attempt's: {_shown(seen.text)}, {_shown(wanted)}")
    if seen.headers.get("x-trunkline-provider") != last.provider:
        wrong.append(f"{last.provider} answered, the header says {seen.headers.get('x-trunkline-provider')}")
    return wrong


def _failed(plan: Plan, route: Route, seen: Seen, attempts: Sequence[Attempt], weather: Weather) -> list[str]:
    """Of an error: it is the last attempt's or ours, and nobody who would have answered was left out."""
    begin, end = seen.began - 0.05, seen.ended + 0.05
    away = any(weather.out(name, begin, end) for name in route.targets)
    last = attempts[-1] if attempts else None
    excused = weather.lagged(begin, end) or any(PLAYS[one.play].stops for one in attempts)
    wrong = []
    if route.sure and not excused:
        wrong.append(f"an error ({seen.status}), where {route.targets[-1]} would have answered")
    told = {503}  # nobody is well, and who is not was asked often enough this second
    if away:
        told |= {502, 504}
    if last is not None:
        lasts = attempts if route.hedged else [last]
        if all("fail" not in _effects(one, plan, weather) for one in lasts) and not away:
            wrong.append(f"{last.provider} played {last.play!r}, and the client got {seen.status}")
        told = told.union(*(_statuses(one, weather) for one in lasts))
    if seen.status not in told and not weather.lagged(begin, end):
        wrong.append(f"status {seen.status}, where only {sorted(told)} explain it")
    ours = seen.status == 503 and all(503 not in _statuses(one, weather) for one in attempts)
    if ours and not _says_when(seen):
        wrong.append(f"503 of our own without a retry-after: {seen.headers}")
    return wrong


def _says_when(seen: Seen) -> bool:
    return seen.headers.get("retry-after", "").isdigit()


def _statuses(one: Attempt, weather: Weather) -> set[int]:
    play = PLAYS[one.play]
    found = {play.status} if play.status else {400, 429, 500, 502, 503, 504, 529}
    if _shot(one, weather):
        found |= {502, 504}
    return found


def _left(plan: Plan, seen: Seen, attempts: Sequence[Attempt], weather: Weather) -> list[str]:
    """Of a client that left: nothing is begun for it any more, and what ran was ended. A FIN alone says nothing."""
    wrong = []
    if seen.text and not any(text(one.mark, plan.size).startswith(seen.text) for one in attempts):
        wrong.append(f"what was read is no beginning of any attempt's: {_shown(seen.text)}")
    if plan.manner != "resets" or weather.lagged(seen.ended, seen.ended + 2):
        return wrong
    for one in attempts:
        if one.at > seen.ended + LATE:
            wrong.append(f"{one.provider} was asked {one.at - seen.ended:.2f} s after the client had left")
        if one.ended_at > max(seen.ended, one.at) + LATE:
            wrong.append(f"{one.provider} went on for {one.ended_at - seen.ended:.2f} s after the client had left")
    return wrong


def account(route: Route, seen: Seen, attempts: Sequence[Attempt], weather: Weather, row: Mapping[str, Any]) -> list[str]:
    """What is wrong with one request's row in the ledger."""
    wrong = []
    away = any(weather.out(name, seen.began - 0.05, seen.ended + 0.05) for name in route.targets)
    fewest, most, asked = least(attempts), len(attempts), row["attempts"]
    loose = seen.ending in {"left", "none"} or away or route.hedged or weather.lagged(seen.began, seen.ended)
    if asked < max(fewest, 1) or (asked > max(most, 1) and not loose):
        wrong.append(f"the ledger counts {asked} attempts, the providers saw {fewest} to {most}")
    if seen.ending not in {"left", "none"} and row["status"] != seen.status:
        wrong.append(f"the ledger says {row['status']}, the client got {seen.status}")
    if row["error"] == "internal":
        wrong.append("a fault of the gateway's own")
    allowed = {
        "clean": {"ok"},
        "broken": {"upstream_broken", "upstream_error"},
        "error": {"upstream_broken", "upstream_error", "error"},
    }.get(seen.ending, {"client_cancelled", "ok", "upstream_error", "upstream_broken", "error"})
    if row["outcome"] not in allowed:
        wrong.append(f"the ledger says {row['outcome']}, the client's answer ended {seen.ending}")
    if row["outcome"] == "ok" and (winner := _winner(route, seen, attempts)) is not None:
        wrong += _tokens(winner, [one for one in attempts if one is not winner], row)
    if seen.ending not in {"left", "none"}:
        wrong += _trail(attempts, row)
    return wrong


def _trail(attempts: Sequence[Attempt], row: Mapping[str, Any]) -> list[str]:
    """The row tells every attempt, where there was more than one or it failed."""
    if not row["trail"]:
        return [] if row["attempts"] == 1 else [f"the ledger tells nothing of {row['attempts']} attempts"]
    told = json.loads(row["trail"])
    names = [step["provider"] for step in told.get("steps", ())]
    if len(names) != row["attempts"] and not told.get("cut"):
        return [f"the ledger counts {row['attempts']} attempts and tells of {names}"]
    missing = {one.provider for one in attempts} - set(names)
    return [f"{missing} were asked, and the ledger tells only of {names}"] if missing and not told.get("cut") else []


def _tokens(winner: Attempt, others: Sequence[Attempt], row: Mapping[str, Any]) -> list[str]:
    """What an answered request used: what its answer said, and an estimate of what other attempts may have cost."""
    found = (row["input_tokens"], row["output_tokens"])
    exact = all(PLAYS[one.play].free and one.ended != "cut" for one in others)
    told = "malformed" not in winner.play
    if exact and told and found != (TOKENS_IN, TOKENS_OUT):
        return [f"the ledger counts {found} tokens, {winner.provider} served {(TOKENS_IN, TOKENS_OUT)}"]
    if told and (found[0] < TOKENS_IN or found[1] < TOKENS_OUT):
        return [f"the ledger counts {found} tokens, fewer than {(TOKENS_IN, TOKENS_OUT)}, which were served"]
    return []


def _shown(told: str) -> str:
    return repr(told if len(told) < 90 else f"{told[:40]} … {told[-40:]} ({len(told)})")

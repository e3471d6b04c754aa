"""The model of chaos must itself be able to say no: every way in which a gateway could be wrong is shown to it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from chaos.model import BAD, Attempt, Plan, Route, Seen, Span, Weather, account, judge, least, plan, text
from chaos.plays import PLAYS, SURE
from chaos.stage import routes
from harness.script import Close, Pause, Reset

FALLBACK = Route("fallback", ("a", "rock"), 2, sure=True)
SHAKY = Route("shaky", ("a", "b"), 3, sure=False)
WEATHER = Weather()
PLAN = Plan(
    nonce="s-1",
    route="fallback",
    dialect="openai_chat",
    stream=True,
    manner="reads",
    bad="",
    moment=0.5,
    size=20,
    plays={"a": ("429",), "rock": ("ok",)},
)
FAILED = Attempt("a", "429", "<s-1@a.1>", at=10.0, reused=False, ended="done", ended_at=10.1)
SERVED = Attempt("rock", "ok", "<s-1@rock.1>", at=10.2, reused=False, ended="done", ended_at=10.3)
CUT = Attempt("rock", "reset midway", "<s-1@rock.1>", at=10.2, reused=False, ended="cut", ended_at=10.3)
ANSWER = Seen(
    began=9.9,
    ended=10.4,
    status=200,
    headers={"x-trunkline-provider": "rock"},
    text=text("<s-1@rock.1>", 20),
    ending="clean",
)
ERROR = Seen(began=9.9, ended=10.4, status=429, ending="error")
ROW: dict[str, Any] = {
    "attempts": 2, "status": 200, "error": "", "outcome": "ok", "input_tokens": 1200, "output_tokens": 50,
    "trail": '{"steps": [{"provider": "a"}, {"provider": "rock"}]}',
}  # fmt: skip


def test_what_is_right_is_right() -> None:
    """A model that complains of good runs is switched off."""
    assert judge(PLAN, FALLBACK, ANSWER, [FAILED, SERVED], WEATHER) == []
    assert account(FALLBACK, ANSWER, [FAILED, SERVED], WEATHER, ROW) == []
    assert judge(PLAN, SHAKY, ERROR, [FAILED], WEATHER) == []
    shown = replace(ANSWER, text=text("<s-1@rock.1>", 20)[:40], ending="broken")
    assert judge(PLAN, FALLBACK, shown, [FAILED, CUT], WEATHER) == []
    refused = replace(FAILED, play="400")
    assert judge(PLAN, FALLBACK, replace(ERROR, status=400), [refused], WEATHER) == []


WRONG: dict[str, tuple[Seen, list[Attempt], Route, str]] = {
    "another's answer": (replace(ANSWER, text=text("<s-2@rock.1>", 20)), [FAILED, SERVED], FALLBACK, "not the last attempt's"),
    "mixed of two": (
        replace(ANSWER, text=text("<s-1@a.1>", 3) + text("<s-1@rock.1>", 17)), [FAILED, SERVED], FALLBACK, "not the last",
    ),
    "half an answer": (replace(ANSWER, text=text("<s-1@rock.1>", 19)), [FAILED, SERVED], FALLBACK, "not the last attempt's"),
    "a broken one that looks whole": (ANSWER, [FAILED, CUT], FALLBACK, "ended clean"),
    "a good one that is broken": (replace(ANSWER, ending="broken"), [FAILED, SERVED], FALLBACK, "ended broken"),
    "a beginning of another": (
        replace(ANSWER, text="<s-2", ending="broken"), [FAILED, CUT], FALLBACK, "no beginning of the last attempt's",
    ),
    "no end": (replace(ANSWER, ending="cut"), [FAILED, SERVED], FALLBACK, "neither well nor with an error"),
    "no answer": (replace(ANSWER, status=0, ending="none"), [FAILED], FALLBACK, "no answer"),
    "from nobody": (ANSWER, [], FALLBACK, "no provider gave"),
    "another's name": (replace(ANSWER, headers={"x-trunkline-provider": "a"}), [FAILED, SERVED], FALLBACK, "the header says a"),
    "tried again after a good one": (ANSWER, [replace(FAILED, play="ok"), SERVED], FALLBACK, "somebody was asked after it"),
    "tried again after a refusal": (ANSWER, [replace(FAILED, play="400"), SERVED], FALLBACK, "played '400', and somebody was"),
    "too many attempts": (ANSWER, [FAILED, FAILED, SERVED], FALLBACK, "3 attempts, where 2 are allowed"),
    "a stranger": (ANSWER, [replace(FAILED, provider="c"), SERVED], FALLBACK, "no targets of"),
    "the client's key": (ANSWER, [FAILED, replace(SERVED, clean=False)], FALLBACK, "the client's key"),
    "an error in spite of a sure one": (ERROR, [FAILED], FALLBACK, "rock would have answered"),
    "an error that nobody gave": (replace(ERROR, status=502), [FAILED], SHAKY, "status 502, where only [429, 503]"),
    "an error after a good answer": (ERROR, [replace(SERVED, provider="b")], SHAKY, "b played 'ok'"),
    "503 without a time": (replace(ERROR, status=503), [], SHAKY, "without a retry-after"),
    "500 of our own": (replace(ERROR, status=500), [], SHAKY, "status 500"),
    "what cannot be read": (replace(ANSWER, problem="it is odd"), [FAILED, SERVED], FALLBACK, "it is odd"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_told(name: str) -> None:
    """A fault that the model does not see is not looked for in any run."""
    seen, attempts, route, told = WRONG[name]
    assert told in "; ".join(judge(PLAN, route, seen, attempts, WEATHER))


def test_a_client_that_left() -> None:
    """What is generated for nobody is paid for all the same."""
    gone, left = replace(PLAN, manner="resets"), Seen(began=9.9, ended=10.25, status=200, text="<s-1@r", ending="left")
    assert judge(gone, FALLBACK, left, [FAILED, SERVED], WEATHER) == []
    on = replace(SERVED, ended_at=12.0)
    assert "went on for 1.75 s" in "; ".join(judge(gone, FALLBACK, left, [FAILED, on], WEATHER))
    asked = replace(SERVED, at=11.5, ended_at=11.6)
    assert "was asked 1.25 s after" in "; ".join(judge(gone, FALLBACK, left, [FAILED, asked], WEATHER))
    assert judge(replace(gone, manner="leaves"), FALLBACK, left, [FAILED, asked], WEATHER) == [], (
        "it may have closed one side only"
    )
    other = replace(left, text="<s-9")
    assert "no beginning of any attempt's" in "; ".join(judge(gone, FALLBACK, other, [FAILED, SERVED], WEATHER))


@pytest.mark.parametrize("bad", BAD)
def test_a_bad_request_reaches_nobody(bad: str) -> None:
    """A provider that is asked nonsense may charge for it, and a client that is told 500 tries again."""
    status = {"no key": 401, "no model": 404, "cut body": 0}.get(bad, 400)
    sent, seen = replace(PLAN, manner="bad", bad=bad), Seen(9.9, 10.0, status, ending="error" if status else "none")
    assert judge(sent, FALLBACK, seen, [], WEATHER) == []
    assert judge(sent, FALLBACK, seen, [SERVED], WEATHER) != []
    assert judge(sent, FALLBACK, replace(seen, status=500, ending="error"), [], WEATHER) != []


def test_who_is_turned_away_is_told_when_to_come_back() -> None:
    """Overload is no fault of the gateway's; saying nothing of it, or doing the work all the same, is."""
    away = replace(ERROR, status=503, told="The gateway has more to do than it can.", headers={"retry-after": "2"})
    assert judge(PLAN, FALLBACK, away, [], WEATHER) == []
    assert judge(replace(PLAN, manner="bad", bad="no json"), FALLBACK, away, [], WEATHER) == []
    assert judge(PLAN, FALLBACK, replace(away, headers={}), [], WEATHER) != []
    assert judge(PLAN, FALLBACK, away, [SERVED], WEATHER) != []
    assert judge(PLAN, FALLBACK, replace(away, told="no"), [], WEATHER) != []


def test_what_the_weather_excuses() -> None:
    """A provider that is shot while it answers is not the gateway's fault; one that is shot elsewhere excuses nothing."""
    outage = Weather(outages=[Span(10.25, 12.0, "b")])
    seen, one = replace(ERROR, status=502), replace(SERVED, provider="b", ended="cut")
    assert judge(PLAN, SHAKY, seen, [one], outage) == []
    assert judge(PLAN, SHAKY, seen, [one], Weather(outages=[Span(10.25, 12.0, "c")])) != []
    assert judge(PLAN, SHAKY, seen, [one], Weather(outages=[Span(20.0, 22.0, "b")])) != []
    still = Weather(lags=[Span(9.0, 11.0)])
    assert judge(PLAN, FALLBACK, replace(ERROR, status=504), [FAILED, replace(SERVED, ended="eof")], still) == []


ROWS: dict[str, tuple[dict[str, Any], str]] = {
    "too many attempts": ({"attempts": 3}, "counts 3 attempts"),
    "too few attempts": ({"attempts": 1}, "counts 1 attempts"),
    "no trail": ({"trail": ""}, "tells nothing of 2 attempts"),
    "half a trail": ({"trail": '{"steps": [{"provider": "rock"}]}'}, "tells of ['rock']"),
    "another's trail": ({"trail": '{"steps": [{"provider": "rock"}, {"provider": "rock"}]}'}, "{'a'} were asked"),
    "another status": ({"status": 502}, "says 502"),
    "another outcome": ({"outcome": "upstream_broken"}, "says upstream_broken"),
    "a fault of ours": ({"error": "internal"}, "gateway's own"),
    "tokens too many": ({"input_tokens": 1300}, "counts (1300, 50)"),
    "tokens too few": ({"output_tokens": 49}, "counts (1200, 49)"),
}


@pytest.mark.parametrize("name", ROWS)
def test_the_books_must_be_right(name: str) -> None:
    """A bill that is wrong by a little is wrong for everybody."""
    more, told = ROWS[name]
    assert told in "; ".join(account(FALLBACK, ANSWER, [FAILED, SERVED], WEATHER, ROW | more))


def test_what_a_failed_attempt_may_have_cost_is_an_estimate() -> None:
    """A provider that was cut off may charge: more than was served may stand in the books, never less."""
    attempts = [replace(FAILED, play="hang"), SERVED]
    assert account(FALLBACK, ANSWER, attempts, WEATHER, ROW | {"input_tokens": 1210}) == []
    assert account(FALLBACK, ANSWER, attempts, WEATHER, ROW | {"input_tokens": 1190}) != []


def test_a_silent_repeat_is_no_attempt() -> None:
    """A used connection that dies without a byte is tried once more, which no bound on attempts is meant for."""
    dead = replace(FAILED, play="reset", reused=True, ended="cut")
    assert least([dead, SERVED]) == 1
    assert least([replace(dead, reused=False), SERVED]) == 2
    same = replace(dead, provider="rock")
    assert account(FALLBACK, ANSWER, [same, SERVED], WEATHER, ROW | {"attempts": 1, "trail": ""}) == []


def test_two_beside_each_other() -> None:
    """Of two that are asked at once either may answer, but it is one of them, and nobody is asked after it began."""
    route = replace(FALLBACK, hedged=True)
    slow = replace(FAILED, play="late", ended="eof", ended_at=10.31)
    assert judge(PLAN, route, ANSWER, [slow, SERVED], WEATHER) == []
    assert judge(PLAN, FALLBACK, ANSWER, [slow, SERVED], WEATHER) != [], "nobody may be asked beside it on this route"
    assert account(route, ANSWER, [slow, SERVED], WEATHER, ROW | {"input_tokens": 1210}) == []
    first = replace(ANSWER, text=text("<s-1@a.1>", 20), headers={"x-trunkline-provider": "a"})
    assert judge(PLAN, route, first, [slow, SERVED], WEATHER) == []
    mixed = replace(first, text=text("<s-1@a.1>", 3) + text("<s-1@rock.1>", 17))
    assert "not the last attempt's" in "; ".join(judge(PLAN, route, mixed, [slow, SERVED], WEATHER))
    again = replace(SERVED, at=12.0, ended_at=12.1)
    anew = replace(ANSWER, headed=10.3, ended=12.2)
    assert "after the client saw an answer begin" in "; ".join(judge(PLAN, route, anew, [slow, SERVED, again], WEATHER))


def test_a_seed_is_a_plan() -> None:
    """A run that cannot be played again tells that something is wrong, and not what."""
    known = routes(("a", "b"))
    made = [plan("seed", number, known, ("a", "b"), "rock") for number in range(3000)]
    assert made == [plan("seed", number, known, ("a", "b"), "rock") for number in range(3000)]
    assert made != [plan("other", number, known, ("a", "b"), "rock") for number in range(3000)]
    assert {one.play("a", 0) for one in made} == set(PLAYS), "some play is never played"
    assert {one.play("rock", 7) for one in made} == set(SURE)
    assert {one.bad for one in made} == {"", *BAD}
    assert {one.route for one in made} == {route.name for route in known}


def test_every_play_says_how_it_can_end() -> None:
    """One that ends the connection without a byte may be repeated in silence; no other may."""
    for name, play in PLAYS.items():
        first = next(iter(play.steps(None))) if name in {"drop", "reset", "hang"} else b""  # type: ignore[arg-type]
        assert play.silent == isinstance(first, Close | Reset), name
        assert (name == "hang") == isinstance(first, Pause), name
        assert play.whole <= {"good", "fail"}, "a whole answer is never shown in part"
        assert not (play.stops and "good" in play.stream), name

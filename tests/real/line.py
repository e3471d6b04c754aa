"""One gateway between real programs and the scripted provider: how it is set up, and what must hold after each turn.

How programs are run is in `programs`; what is special about one of them, in its test.
"""

from __future__ import annotations

import itertools
import time
from typing import Any

from harness.gateway import KEY, PROVIDER_KEY, Gateway
from harness.invariants import eventually
from real.scripted import COMMANDS, DIALECTS, PRINTED, THOUGHTS, TONGUES, Scripted, conversation
from real.tongues import ANSWERED, CACHED, PROMPT, THOUGHT, Asked, signature

KINDS = tuple(DIALECTS)
"""The kinds of provider that each program must reach."""
TURNS = len(COMMANDS) + 1
_BASES = {"responses": "/v1", "openai": "/v1", "deepseek": "/v1", "anthropic": "/v1", "gemini": "/v1beta", "ollama": ""}
_TARGETS = {
    "responses": "gpt-5.5",
    "openai": "gpt-4.1",
    "deepseek": "deepseek-reasoner",
    "anthropic": "claude-opus-5-5",
    "gemini": "gemini-3.8-flash",
    "ollama": "qwen3:8b",
}
_OWN_NAMES = {
    "claude-opus-5-5": "anthropic/claude-opus-5-5",
    "claude-sonnet-4-5": "anthropic/claude-sonnet-4-5",
    "gemini-3.8-flash": "gemini/gemini-3.8-flash",
    "gemini-3.5-flash-lite": "gemini/gemini-3.5-flash-lite",
}
"""What the programs call models by themselves."""


def target(kind: str) -> str:
    """The model at a kind of provider."""
    return f"{kind}/{_TARGETS[kind]}"


def via(kind: str) -> str:
    """The name of the model at a kind of provider."""
    return f"via-{kind}"


def settings(url: str, own: dict[str, str] = _OWN_NAMES) -> dict[str, Any]:
    """Each kind of provider at the scripted one, one model at each, and the programs' `own` names."""
    more = {"responses": {"kind": "openai", "dialect": "openai_responses"}}
    return {
        "server": {"listen": "127.0.0.1:0", "admin": "127.0.0.1:0"},
        "providers": {
            kind: {"base_url": url + base, "api_key": PROVIDER_KEY, **more.get(kind, {})} for kind, base in _BASES.items()
        },
        "models": {
            **{via(kind): {"targets": [target(kind)]} for kind in _TARGETS},
            **{name: {"targets": [chosen]} for name, chosen in own.items()},
        },
        "keys": [{"name": "tester", "secret": KEY}],
    }


class Line:
    """The gateway and the provider behind it; `clear` before each program."""

    def __init__(self, provider: Scripted, gateway: Gateway) -> None:
        self.provider = provider
        self.gateway = gateway
        self._since = 0
        self._logged = 0

    @property
    def url(self) -> str:
        """The gateway's address, without a path."""
        return "http://{}:{}".format(*self.gateway.listen)

    def clear(self) -> None:
        """Forget what was before."""
        self.provider.clear()
        self._since = time.time_ns()
        self._logged = len(self.gateway.stdout)

    def rows(self) -> list[dict[str, Any]]:
        """The ledger's rows since then, once nothing is in flight."""
        eventually(lambda: self.gateway.in_flight() == 0, "in flight back to 0")
        return [row for row in self.gateway.ledger() if row["started_ns"] >= self._since]

    def check(self, kind: str) -> None:
        """What must hold after a program's whole turn through a kind of provider, whichever program it was."""
        self.check_turns(kind)
        assert all(turn.streams for turn in self.provider.turns())
        self.check_rows(kind)
        self.check_quiet()

    def check_turns(self, kind: str, *, thoughts: bool = True) -> None:
        """The provider was asked once for each round, and each time was told all that went before, as it had said it.

        `thoughts`: with what it had thought; a client of its own dialect may leave that out.
        """
        turns = self.provider.turns()
        self._check_asked(kind, turns)
        if thoughts:
            self._check_thoughts(kind, turns[-1])
        for earlier, later in itertools.pairwise(turns):
            begun, goes_on = conversation(earlier), conversation(later)
            changed = [pair for pair in zip(begun, goes_on, strict=False) if pair[0] != pair[1]]
            assert changed == [], f"the history was written in another way than the turn before: {changed}"

    def _check_asked(self, kind: str, turns: list[Asked]) -> None:
        assert [len(turn.results) for turn in turns] == list(range(TURNS)), turns
        assert {turn.model for turn in turns} == {_TARGETS[kind]}, turns
        for printed, result in zip(PRINTED, turns[-1].results, strict=True):
            assert printed in result, result
        for seen in self.provider.seen:
            assert KEY.encode() not in seen.head, "the client's key went to the provider"
            assert PROVIDER_KEY.encode() in seen.head, "the provider's credential is missing"

    def _check_thoughts(self, kind: str, turn: Asked) -> None:
        """What was thought before each call came back to the provider, in its own form."""
        dialect = DIALECTS[kind]
        found = TONGUES[dialect].thoughts(turn)
        seals = [signature(dialect, number) for number in range(len(COMMANDS))]
        if kind == "gemini":  # the signature alone is what it wants back
            found, expected = [("", sealed) for _, sealed in found], [("", sealed) for sealed in seals]
        elif kind in {"anthropic", "responses"}:
            expected = list(zip(THOUGHTS, seals, strict=True))
        elif kind in {"deepseek", "ollama"}:
            expected = [(thought, "") for thought in THOUGHTS]
        else:
            return
        assert found == expected, f"handed back: {found}"

    def check_rows(self, kind: str) -> None:
        """Each answer of the provider is in the books, with what it reported."""
        rows = self.rows()
        assert len(rows) == len(self.provider.seen) - self.provider.counted(), rows
        cached = 0 if kind == "ollama" else CACHED
        thought = 0 if kind in {"anthropic", "ollama"} else THOUGHT
        for row in rows:
            told = {name: row[name] for name in ("provider", "outcome", "basis", "status")}
            assert told == {"provider": kind, "outcome": "ok", "basis": "reported", "status": 200}, told
            used = [row[f"{name}_tokens"] for name in ("input", "cache_read", "output", "reasoning")]
            assert used == [PROMPT, cached, ANSWERED, thought], used

    def check_quiet(self) -> None:
        """Nobody asked for what is not there, and the gateway has no error of its own in its log."""
        assert self.provider.strange == [], self.provider.strange
        loud = [line for line in self.gateway.logs()[self._logged :] if line.get("level") in {"error", "critical"}]
        assert loud == [], loud

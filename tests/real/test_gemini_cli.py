"""Gemini CLI, as it is installed from npm, unattended through the gateway: it works, is routed and recovers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.gateway import KEY
from real import programs
from real.line import KINDS, TURNS, Line, via
from real.scripted import PRINTED
from real.tongues import ANSWERED, PROMPT, TONGUES, signature


def work(line: Line, folder: Path, model: str | None) -> dict[str, Any]:
    """Run it; what it says in the end."""
    ended = programs.gemini(folder, line.url, KEY, model)
    assert ended.code == 0, ended
    told: dict[str, Any] = json.loads(ended.stdout)
    for printed in PRINTED:
        assert printed in told["response"], ended
    return told


@pytest.mark.parametrize("kind", KINDS)
def test_it_works_with_any_provider(kind: str, line: Line, tmp_path: Path) -> None:
    """Whoever points Gemini CLI at another provider's model gets its tools run, its thinking kept and its tokens counted.

    It hands back no thinking, only what stood beside a call: the rest is the gateway's memory.
    """
    told = work(line, tmp_path, via(kind))
    line.check(kind)
    (used,) = (model["tokens"] for model in told["stats"]["models"].values())
    assert used["prompt"] == TURNS * PROMPT
    assert used["candidates"] + used["thoughts"] == TURNS * ANSWERED


def test_its_router_works(line: Line, tmp_path: Path) -> None:
    """Without a model it asks a small one which to take, in one piece and by a schema; both names must be known."""
    work(line, tmp_path, None)
    targets = [seen.target for seen in line.provider.seen]
    models = "/v1beta/models/"
    assert targets[0].startswith(f"{models}gemini-3.5-flash-lite:generateContent")
    assert targets[1:] == [f"{models}gemini-3.8-flash:streamGenerateContent?alt=sse"] * TURNS
    handed = [sealed for _, sealed in TONGUES["gemini"].thoughts(line.provider.turns()[-1])]
    assert handed == [signature("gemini", 0), signature("gemini", 1)]
    line.check_rows("gemini")
    line.check_quiet()


@pytest.mark.parametrize("kind", ["gemini", "anthropic"])
def test_it_recovers(kind: str, line: Line, tmp_path: Path) -> None:
    """A reset ends this program for good; a stream that ends cleanly, but without its reason, it asks for again."""
    line.provider.spoil("cut")
    work(line, tmp_path, via(kind))
    assert [len(turn.results) for turn in line.provider.turns()] == [0, *range(TURNS)]
    outcomes = [row["outcome"] for row in line.rows()]
    assert sorted(outcomes) == sorted(["ok"] * TURNS + ["upstream_broken"])
    line.check_quiet()

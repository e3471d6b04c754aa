"""Codex, as it is installed from npm, unattended through the gateway: whichever of its three ways of offering tools, it works,
gets its reasoning back, and recovers.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.gateway import KEY, Gateway
from real import line as lines
from real import programs
from real.line import TURNS, Line
from real.scripted import PRINTED, Scripted
from real.tongues import ANSWERED, CACHED, PROMPT, THOUGHT
from trunkline.dialects.state import SEALED

NAMES = ("gpt-5", "gpt-5.5", "gpt-6-sol")
"""Unknown to it: functions and a namespace. Known: a custom tool with a grammar beside. The newest: no tools but in an item of
its input, and a shell that is given JavaScript.
"""


@pytest.fixture(scope="module", params=lines.KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """A kind of provider."""
    return str(request.param)


@pytest.fixture(scope="module")
def one_line(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    """A gateway at which every name that Codex knows is a model of that kind."""
    folder = tmp_path_factory.mktemp("gateway")
    own = dict.fromkeys(NAMES, lines.target(kind))
    with Scripted() as provider, Gateway(lines.settings(provider.url, own), folder) as gateway:
        yield Line(provider, gateway)


def work(line: Line, folder: Path, model: str) -> list[dict[str, Any]]:
    """Run it; its events."""
    ended = programs.codex(folder, line.url, KEY, model)
    assert ended.code == 0, ended
    events = ended.lines
    said = [event["item"]["text"] for event in events if event.get("item", {}).get("type") == "agent_message"]
    for printed in PRINTED:
        assert printed in said[-1], ended
    return events


@pytest.mark.parametrize("model", NAMES)
def test_it_works_with_any_provider(kind: str, model: str, line: Line, tmp_path: Path) -> None:
    """Whoever points Codex at another provider's model gets its tools run, its reasoning kept and its tokens counted; what the
    provider is handed back is its own state, and nothing that wrapped it on the way.
    """
    events = work(line, tmp_path, model)
    line.check(kind)
    assert SEALED not in line.provider.turns()[-1].seen.body.decode()
    (used,) = [event["usage"] for event in events if event["type"] == "turn.completed"]
    assert used["input_tokens"] == TURNS * PROMPT
    assert used["output_tokens"] == TURNS * ANSWERED
    cached = 0 if kind == "ollama" else CACHED
    assert used["cached_input_tokens"] == TURNS * cached
    assert used["reasoning_output_tokens"] == (0 if kind in {"anthropic", "ollama"} else TURNS * THOUGHT)


def test_it_recovers(kind: str, line: Line, tmp_path: Path) -> None:
    """A provider that breaks off in the middle of an answer must reach it as a stream without an end: it asks again."""
    line.provider.spoil("cut")
    work(line, tmp_path, "gpt-5")
    assert [len(turn.results) for turn in line.provider.turns()] == [0, *range(TURNS)]
    assert sorted(row["outcome"] for row in line.rows()) == sorted(["ok"] * TURNS + ["upstream_broken"])
    line.check_quiet()

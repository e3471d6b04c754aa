"""Claude Code, as it is installed from npm, unattended through the gateway: it works, thinks, counts and recovers."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import anthropic
import pytest

from harness.client import Reply, request
from harness.gateway import KEY
from real import programs
from real.line import KINDS, TURNS, Line, via
from real.scripted import PRINTED, THOUGHTS, TOKENS
from real.tongues import ANSWERED, PROMPT, TONGUES, signature

TOOLS = ("--allowedTools", "Bash", "Read")
BURST = 34


def work(line: Line, folder: Path, model: str, **env: str) -> dict[str, Any]:
    """Run it; what it says in the end."""
    ended = programs.claude(folder, line.url, KEY, model, *TOOLS, **env)
    assert ended.code == 0, ended
    (told,) = ended.lines
    assert not told["is_error"], ended
    for printed in PRINTED:
        assert printed in told["result"], ended
    return told


@pytest.mark.parametrize("kind", KINDS)
def test_it_works_with_any_provider(kind: str, line: Line, tmp_path: Path) -> None:
    """Whoever points Claude Code at another provider's model gets its tools run, its thinking kept and its tokens counted."""
    told = work(line, tmp_path, via(kind))
    line.check(kind)
    usage = told["usage"]
    assert usage["input_tokens"] + usage["cache_read_input_tokens"] == TURNS * PROMPT
    assert usage["output_tokens"] == TURNS * ANSWERED


@pytest.mark.parametrize("model", ["claude-opus-5-5", "claude-sonnet-4-5"])
def test_its_own_models_work(model: str, line: Line, tmp_path: Path) -> None:
    """The names it asks for by itself, one thinking adaptively and one by a budget; with either of its headers for a key."""
    header = {} if model == "claude-opus-5-5" else {"ANTHROPIC_AUTH_TOKEN": "", "ANTHROPIC_API_KEY": KEY}
    work(line, tmp_path, model, **header)
    turns = line.provider.turns()
    assert {turn.model for turn in turns} == {model}
    thinking = turns[0].body["thinking"]
    assert thinking["type"] == ("adaptive" if model == "claude-opus-5-5" else "enabled")
    assert "context_management" in turns[0].body
    handed = [(thought, signature("anthropic", number)) for number, thought in enumerate(THOUGHTS)]
    assert TONGUES["anthropic"].thoughts(turns[-1]) == handed
    line.check_rows("anthropic")
    line.check_quiet()


@pytest.mark.parametrize(
    ("kind", "fault"), [("anthropic", "429"), ("anthropic", "529"), ("anthropic", "cut"), ("gemini", "429"), ("openai", "cut")]
)
def test_it_recovers(kind: str, fault: str, line: Line, tmp_path: Path) -> None:
    """A provider that is busy, overloaded or breaks off must reach the program as something it knows to try again."""
    line.provider.spoil(fault)
    work(line, tmp_path, via(kind))
    turns = line.provider.turns()
    assert [len(turn.results) for turn in turns] == [0, *range(TURNS)]
    assert fault == "cut" or turns[0].body == turns[1].body  # what it had of a cut answer it sends along
    outcomes = [row["outcome"] for row in line.rows()]
    assert sorted(outcomes) == sorted(["ok"] * TURNS + ["upstream_broken" if fault == "cut" else "upstream_error"])
    line.check_quiet()


@pytest.mark.parametrize("kind", ["anthropic", "gemini", "openai"])
def test_it_shows_its_context(kind: str, line: Line, tmp_path: Path) -> None:
    """`/context` asks dozens of counts at once, of any model; and its models may come from the gateway."""
    discovery = {"CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY": "1"}
    ended = programs.claude(tmp_path, line.url, KEY, via(kind), prompt="/context", **discovery)
    assert ended.code == 0, ended
    (told,) = ended.lines
    assert "System prompt" in told["result"], ended
    rows = line.rows()
    assert len(rows) > 20
    assert {(row["outcome"], row["status"], row["cost_nano"]) for row in rows} == {("ok", 200, 0)}
    assert line.provider.counted() == (0 if kind == "openai" else len(rows))
    line.check_quiet()


def _count(line: Line, kind: str, number: int) -> Reply:
    """One count as Claude Code asks for it."""
    tool = {"name": f"Tool{number}", "description": "Use it with care. " * 40, "input_schema": {"type": "object"}}
    body = {"model": via(kind), "messages": [{"role": "user", "content": "foo"}], "tools": [tool] if number % 2 else []}
    if not number % 2:
        body["messages"] = [{"role": "user", "content": "You are an agent. " * (number + 1)}]
    headers = [
        ("authorization", f"Bearer {KEY}"),
        ("content-type", "application/json"),
        ("anthropic-version", "2023-06-01"),
        ("anthropic-beta", "claude-code-20250219,context-management-2025-06-27,token-counting-2024-11-01"),
    ]
    with line.gateway.connect(timeout=5) as wire:
        wire.send(request("POST", "/v1/messages/count_tokens?beta=true", headers, json.dumps(body).encode()))
        reply = wire.read_reply()
    assert reply is not None
    return reply


@pytest.mark.parametrize("kind", ["anthropic", "gemini", "openai", "ollama"])
def test_counts_come_in_a_burst(kind: str, line: Line) -> None:
    """All within seconds, by the provider where it can, else by a tokenizer that does not stop everything else."""
    with ThreadPoolExecutor(BURST) as pool:
        replies = list(pool.map(lambda number: _count(line, kind, number), range(BURST)))
    assert [reply.status for reply in replies] == [200] * BURST
    counts = [reply.json["input_tokens"] for reply in replies]
    bases = {reply.header("x-trunkline-count-basis") for reply in replies}
    if kind in {"anthropic", "gemini"}:
        assert (set(counts), bases, line.provider.counted()) == ({TOKENS}, {"provider"}, BURST)
    else:
        assert (bases, line.provider.counted()) == ({"tokenizer"}, 0)
        texts = counts[::2]
        assert texts == sorted(texts)
        assert 30 < texts[-1] - texts[0] < 5 * BURST * 6
    line.check_quiet()


@pytest.mark.parametrize("auth", ["api_key", "auth_token"])
def test_its_models_are_listed(auth: str, line: Line) -> None:
    """Discovery reads Anthropic's shape, with either of its two headers; the SDK it is built on does the same."""
    credential: Any = {auth: KEY}
    with anthropic.Anthropic(**credential, base_url=line.url, max_retries=0) as client:
        listed = client.models.list(limit=1000)
        assert {via(kind) for kind in KINDS} < {model.id for model in listed.data}
        assert {model.type for model in listed.data} == {"model"}
        assert all(model.display_name and model.created_at for model in listed.data)
        assert not listed.has_more
        assert client.models.retrieve(via("gemini")).id == via("gemini")

"""`trunkline providers test`, as a person calls it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from harness.upstream import Upstream
from trunkline.cli.main import app

MODELS = b'{"data":[%b]}' % b",".join(b'{"id":"m%d"}' % number for number in range(7))


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream() as found:
        yield found


@pytest.fixture
def file(tmp_path: Path, upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COLUMNS", "120")
    found = tmp_path / "t.yaml"
    found.write_text(f'providers:\n  lab: {{kind: openai, base_url: "{upstream.url}", api_key: none}}\n')
    return found


def run(file: Path, *words: str) -> Result:
    return CliRunner().invoke(app, ["providers", "test", *words, "--config", str(file)])


def test_a_verdict_to_read(file: Path, upstream: Upstream) -> None:
    """What works, how quick, and what it cost; the exit status is for scripts."""
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    upstream.then([head % len(MODELS) + MODELS])
    done = run(file, "lab")
    assert done.exit_code == 0, done.output
    first, models, answer, tokens = done.stdout.splitlines()
    assert first == "lab (openai, openai_chat): works"
    assert models.split()[:2] == ["models", "7"]
    assert models.endswith(" ms: m0, m1, m2, m3, m4 …")
    assert " ms by m0: " in answer
    assert tokens.split()[:1] == ["tokens"]


def test_every_provider_is_tried_and_one_that_fails_is_told(file: Path, upstream: Upstream) -> None:
    """A deployment would go on with a provider that is down."""
    upstream.stop()
    done = run(file)
    assert done.exit_code == 1
    assert "lab (openai, openai_chat): fails\n" in done.stdout
    assert "  problem  The provider could not be reached (connection refused).\n  remedy   Check base_url" in done.stdout
    assert "echo (echo, openai_chat): works\n" in done.stdout


def test_for_scripts(file: Path, upstream: Upstream) -> None:
    """A script would have to read what is written for people."""
    upstream.then("status=401")
    done = run(file, "lab", "--model", "m", "--json")
    (verdict,) = map(json.loads, done.stdout.splitlines())
    assert (done.exit_code, verdict["works"], verdict["provider"]) == (1, False, "lab")


def test_what_cannot_be_tried(file: Path, tmp_path: Path) -> None:
    """A misspelt name would pass for a provider that works."""
    done = run(file, "lb")
    assert done.exit_code == 1
    assert "There is no provider 'lb'; did you mean 'lab'?\nConfigured are: " in done.stderr
    broken = tmp_path / "b.yaml"
    broken.write_text("providers: 7\n")
    done = run(broken, "lab")
    assert done.exit_code == 1
    assert "providers" in done.stderr


def test_a_server_without_a_list_is_said_to_have_none(file: Path, upstream: Upstream) -> None:
    """Nobody would know why no models are shown."""
    upstream.then("status=404")
    done = run(file, "lab", "--model", "m")
    assert done.exit_code == 0
    assert "  models   it has no list\n" in done.stdout

"""`trunkline doctor`, as a person calls it: a real gateway of its own, in front of a provider."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from doctor.standin import model
from harness.gateway import KEY, Gateway, settings
from harness.upstream import Upstream
from trunkline.cli.main import app
from trunkline.doctor.examine import CONTRACTS


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream() as found:
        yield found


@pytest.fixture
def file(tmp_path: Path, upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COLUMNS", "200")
    found = tmp_path / "t.yaml"
    provider = f'providers:\n  lab: {{kind: openai, base_url: "{upstream.url}", api_key: none}}\n'
    found.write_text(f"{provider}models:\n  m: {{targets: [lab/tiny]}}\n")
    return found


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["doctor", *words])


def test_every_client_can_work_with_a_model_that_does_as_it_is_told(file: Path, upstream: Upstream) -> None:
    """The gateway itself would break a client, whatever the model: each contract is a promise of ours."""
    upstream.script(model())
    done = run("--config", str(file), "--json")
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one for one in found if one["state"] == "broken"] == []
    assert [one for one in found if "tool could" in one["why"] or "calling the tool" in one["why"]] == []
    assert [(one["client"], one["contract"]) for one in found] == [(c, n) for c in CONTRACTS for n in CONTRACTS[c]]
    assert done.exit_code == 0
    assert " requests to m: " in done.stderr


def test_a_table_to_read(file: Path, upstream: Upstream) -> None:
    """A person wants to see at once what is broken, and why."""
    upstream.script("status=500")
    done = run("--config", str(file), "--client", "anthropic-sdk")
    assert done.exit_code == 1
    heading, whole, errors, counts = done.stdout.splitlines()
    assert heading.split() == ["client", "contract", "why"]
    assert whole.split()[:3] == ["anthropic-sdk", "whole", "broken"]
    assert "mock says no" in whole
    assert errors.split() == ["errors", "works"]
    assert counts == "1 works, 0 degraded, 1 broken"


def test_a_gateway_that_runs_already(tmp_path: Path, upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody who runs one elsewhere would have to copy its configuration."""
    upstream.script(model())
    with Gateway(settings(upstream.url), tmp_path) as gateway:
        url = f"http://{gateway.listen[0]}:{gateway.listen[1]}/v1/"
        monkeypatch.delenv("TRUNKLINE_KEY", raising=False)
        assert "TRUNKLINE_KEY" in run("m", "--url", url).stderr
        monkeypatch.setenv("TRUNKLINE_KEY", KEY)
        done = run("m", "--url", url, "--client", "ollama", "--json")
    assert done.exit_code == 0, done.output
    assert [json.loads(line)["state"] for line in done.stdout.splitlines()] == ["works"] * len(CONTRACTS["ollama"])


def test_what_cannot_be_tried(tmp_path: Path) -> None:
    """A misspelt client would pass for one that works; a broken configuration for a broken model."""
    done = run("--client", "emacs")
    assert done.exit_code == 1
    assert "There are no contracts of 'emacs'" in done.stderr
    broken = tmp_path / "b.yaml"
    broken.write_text("providers: 7\n")
    assert run("--config", str(broken)).exit_code == 1


@pytest.mark.parametrize("url", ["127.0.0.1:4000", "ftp://a", "http://a:99999", "http://[::1", "http://a/prefix/v1", ""])
def test_an_address_that_is_none(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Said at once, and not as a broken gateway or a trace."""
    monkeypatch.setenv("TRUNKLINE_KEY", KEY)
    done = run("--url", url)
    assert done.exit_code == 1
    assert "http://127.0.0.1:4000" in done.stderr


@pytest.mark.parametrize("key", ["", "tl-ü-0123456789abcdef", "tl-0123456789abcdef\r\nx: y"])
def test_a_key_that_is_none(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be sent in a header."""
    monkeypatch.setenv("TRUNKLINE_KEY", key)
    done = run("--url", "http://127.0.0.1:1")
    assert (done.exit_code, "Set TRUNKLINE_KEY" in done.stderr) == (1, True)
    assert "0123456789" not in done.stderr


def test_the_real_books_are_left_alone(file: Path, upstream: Upstream) -> None:
    """A try-out with the configuration of a production must neither need its database nor write a row into it."""
    file.write_text(f"{file.read_text()}store: {{url: 'postgresql://u:p@nowhere.invalid/x'}}\n")
    upstream.script(model())
    done = run("--config", str(file), "--client", "anthropic-sdk")
    assert done.exit_code == 0, done.output

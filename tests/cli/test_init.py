"""`trunkline init`."""

from __future__ import annotations

import re
import stat
from pathlib import Path

import pytest
import trustme
import typer
from typer.testing import CliRunner

from trunkline.cli.init import STARTER, init
from trunkline.config.load import ConfigError, load

app = typer.Typer()
app.command()(init)


def run(*arguments: str):
    return CliRunner().invoke(app, list(arguments))


def test_the_starter_is_fine_with_no_environment(tmp_path):
    """The first thing a new user makes would be wrong."""
    path = tmp_path / "new.yaml"
    result = run(str(path))
    assert result.exit_code == 0, result.output
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    snapshot = load(path, {})
    assert list(snapshot.providers) == ["echo"]
    assert snapshot.warnings == ()


def test_everything_it_offers_is_fine_when_switched_on(tmp_path):
    """The first thing a new user switches on would be wrong."""
    identity = trustme.CA().issue_cert("localhost")
    identity.cert_chain_pems[0].write_to_path(tmp_path / "server.crt")
    identity.private_key_pem.write_to_path(tmp_path / "server.key")
    path = tmp_path / "t.yaml"
    path.write_text(re.sub(r"^( *)#(?=\S)", r"\1", STARTER, flags=re.MULTILINE))
    names = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "GROQ_API_KEY")
    snapshot = load(path, {**dict.fromkeys(names, "sk-1"), "LAPTOP_KEY": "tl-0123456789abcdef"})
    assert set(snapshot.providers) == {"echo", "openai", "anthropic", "gemini", "groq", "ollama", "lab"}
    assert {provider.dialect for provider in snapshot.providers.values()} == {"openai_chat", "anthropic", "gemini", "ollama"}
    assert snapshot.routes["exact"].targets[0].strict
    assert [principal.name for principal in snapshot.principals] == ["laptop"]
    assert snapshot.ledger.required
    assert snapshot.server.tls_cert is not None


def test_its_example_of_a_hash_lets_nobody_in(tmp_path):
    """A hash that can be copied is a key that everybody has."""
    path = tmp_path / "t.yaml"
    path.write_text(re.sub(r"^  # (?=- )", "  ", STARTER, flags=re.MULTILINE))
    with pytest.raises(ConfigError, match=r"keys\[0\]\.hash: must be 'sha256:' and 64 hexadecimal digits"):
        load(path, {})


def test_a_file_is_overwritten_only_when_told(tmp_path):
    """A configuration somebody worked on would be gone."""
    path = tmp_path / "t.yaml"
    path.write_text("mine")
    path.chmod(0o644)
    result = run(str(path))
    assert result.exit_code == 1
    assert "--force" in result.stderr
    assert path.read_text() == "mine"
    assert run(str(path), "--force").exit_code == 0
    assert path.read_text() == STARTER
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("where", ["missing/t.yaml", "."])
def test_what_cannot_be_written_is_said_without_a_traceback(where: str, tmp_path):
    """A person would read a traceback for a wrong path."""
    result = run(str(tmp_path / where), "--force")
    assert result.exit_code == 1
    assert "cannot write" in result.stderr
    assert isinstance(result.exception, SystemExit)


def test_the_default_is_the_file_that_serve_finds(tmp_path, monkeypatch):
    """`trunkline serve` would not find what `trunkline init` wrote."""
    monkeypatch.chdir(tmp_path)
    assert run().exit_code == 0
    assert Path("trunkline.yaml").is_file()

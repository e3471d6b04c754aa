"""`trunkline check`."""

from __future__ import annotations

import json

import pytest
import typer
from typer.testing import CliRunner

from trunkline.cli.check import check
from trunkline.config.schema import json_schema
from trunkline.store import holders
from trunkline.store.engine import open_store

app = typer.Typer()
app.command()(check)


def run(*arguments: str, **environ: str):
    return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "200", "TRUNKLINE_CONFIG": "", **environ})


@pytest.fixture
def file(tmp_path):
    return tmp_path / "t.yaml"


def test_a_good_file_is_shown_without_its_secrets(file):
    """A key would be on the screen, and in the ticket it is pasted into."""
    file.write_text(
        """\
providers:
  lab: {kind: openai, base_url: "http://[::1]:9/v1", api_key: hunter2-hunter2}
  hdr: {kind: openai, api_key: none, headers: {x-api-key: hunter2-hunter2}}
  free: {kind: ollama}
  two: {kind: openai, base_url: "http://[::1]:9/v1", api_keys: [hunter2-hunter4, hunter2-hunter5]}
  ant: {kind: anthropic, api_key: short}
models:
  "[red]small": {targets: [lab/tiny], fallbacks: [free/tiny], strategy: latency}
  "claude-*": {targets: ["two/claude-*"]}
keys:
  - {name: all, secret: hunter2-hunter2-hunter2}
  - {name: some, secret: hunter2-hunter2-hunter3, models: ["[red]small", "lab/*"]}
"""
    )
    result = run("--config", str(file))
    assert result.exit_code == 0, result.output
    assert "hunter2" not in result.output
    rows = [line.split() for line in result.stdout.splitlines()]
    assert ["lab", "openai", "openai_chat,", "openai_completions", "http://[::1]:9/v1", "***"] in rows
    assert [
        "hdr",
        "openai",
        "openai_chat,",
        "openai_responses,",
        "openai_completions",
        "https://api.openai.com:443/v1",
        "***",
    ] in rows
    assert ["free", "ollama", "ollama,", "openai_completions", "http://127.0.0.1:11434", "none"] in rows
    assert ["ant", "anthropic", "anthropic", "https://api.anthropic.com:443", "***"] in rows
    assert ["echo", "echo", "openai_chat", "built", "in", "none"] in rows
    assert ["[red]small", "lab/tiny,", "else", "free/tiny"] in rows
    assert ["claude-*", "two/claude-*"] in rows, "once, although there are two credentials"
    assert ["all", "every", "model"] in rows
    assert ["some", "[red]small,", "lab/*"] in rows
    assert "warning: " in result.stderr


def test_every_mistake_with_its_line_and_exit_status_1(file):
    """A script would take a broken configuration for a good one."""
    file.write_text("server: {listn: x}\nlog:\n  level: loud\n")
    result = run("--config", str(file))
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr == (
        f"{file}:1: server.listn: unknown field; did you mean 'listen'?\n"
        f"{file}:3: log.level: must be 'debug', 'info', 'warning' or 'error'\n"
        "2 mistakes\n"
    )


def test_a_missing_file_is_one_mistake(file):
    """A person would read a traceback for a wrong path."""
    result = run("--config", str(file))
    assert result.exit_code == 1
    assert result.stderr.endswith("No such file or directory\n1 mistake\n")


def test_the_file_is_found_as_serve_finds_it(file, tmp_path, monkeypatch):
    """Another file than the one that is served would be checked."""
    monkeypatch.chdir(tmp_path)
    assert "environment: fine" in run().stdout
    file.write_text("log: {level: debug}")
    assert f"{file}: fine" in run(TRUNKLINE_CONFIG=str(file)).stdout
    assert run(TRUNKLINE_CONFIG=str(file), TRUNKLINE_LOG__LEVEL="loud").exit_code == 1


def test_the_json_schema_is_printed():
    """Editors could not be told what may be written."""
    result = run("--json-schema")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == json_schema()


def test_a_credential_that_is_renewed_is_one(file):
    """It would look as if anybody could call, or as if nobody could."""
    key = {"type": "authorized_user", "client_id": "c", "client_secret": "hunter2-1", "refresh_token": "hunter2-2"}
    (file.parent / "adc.json").write_text(json.dumps(key))
    file.write_text("providers: {vertex: {project: lab-1, credentials_file: adc.json}}\n")
    result = run("--config", str(file))
    assert result.exit_code == 0, result.output
    assert "hunter2" not in result.output
    row = next(line.split() for line in result.stdout.splitlines() if line.startswith("vertex"))
    assert row[-1] == "***"
    assert row[-2].startswith("https://aiplatform.googleapis.com:443/v1/projects/lab-1/locations/global/")


def test_a_key_of_nobody_is_a_mistake(file, tmp_path):
    """It would be refused; whom the file does not know, the store may, and is asked."""
    data = tmp_path / "data"
    file.write_text("teams: {lab: {}}\nkeys:\n  - {name: k, secret: 0123456789abcdef, team: lap}\n")
    file.chmod(0o600)
    done = run("--config", str(file), TRUNKLINE_DATA=str(data))
    assert (done.exit_code, done.stdout, data.exists()) == (1, "", False)
    assert done.stderr == f"{file}:3: keys[0].team: there is no team 'lap'; did you mean 'lab'?\n1 mistake\n"
    store = open_store(data)
    holders.create(store, "team", "lap", {}, 1)
    store.close()
    done = run("--config", str(file), TRUNKLINE_DATA=str(data))
    assert (done.exit_code, "fine" in done.stdout) == (0, True)

"""`trunkline connect`."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
import trustme
import typer
import yaml
from typer.testing import CliRunner

from trunkline.cli.connect import clients, connect

app = typer.Typer()
app.command()(connect)

KEY = "tl-" + "k" * 43
URL = "http://10.0.0.7:4000"
CLIENTS = [
    "claude-code", "codex", "gemini-cli", "opencode", "openai-sdk", "anthropic-sdk", "google-genai-sdk", "ollama", "llm",
    "aider", "curl",
]  # fmt: skip


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home and a work folder of the test's own, without a configuration."""
    for name in ("HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    for name in ("TRUNKLINE_CONFIG", "LLM_USER_PATH"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "HOME"


def run(*arguments: str, said: str = ""):
    return CliRunner().invoke(app, list(arguments), input=said, env={"COLUMNS": "200"})


def exports(page: str) -> dict[str, str]:
    words = [shlex.split(line) for line in page.splitlines() if line.startswith("export ")]
    return dict(word[1].split("=", 1) for word in words)


def in_file(page: str) -> str:
    """What the page shows under the name of a file."""
    return page.partition("# In the file ")[2].partition("\n")[2].partition("\n\n# Try")[0]


def test_without_a_client_they_are_listed():
    """A person would have to guess the names."""
    result = run()
    assert result.exit_code == 0
    assert [line.split()[0] for line in result.stdout.splitlines()] == CLIENTS == list(clients())


def test_an_unknown_client_is_told_the_known_ones():
    """A slip of the pen would end in a riddle."""
    result = run("claude")
    assert result.exit_code == 2
    assert all(name in " ".join(result.stderr.split()) for name in CLIENTS)


@pytest.mark.parametrize("client", CLIENTS)
def test_every_page_is_filled_in_and_shows_a_key_only_when_given(client: str):
    """A person would paste a placeholder, or find a key in their terminal's history that they never asked for."""
    page = run(client, "--model", "smart", "--url", URL).stdout
    assert page.startswith(f"# {clients()[client].title}\n")
    for hole in ("@url@", "@key@", "@model@", "@llm@"):
        assert hole not in page
    assert URL in page
    assert "smart" in page
    assert "YOUR_KEY" in page
    assert "trunkline keys create" in page
    given = run(client, "--model", "smart", "--url", URL, "--key", KEY).stdout
    assert KEY in given
    assert "YOUR_KEY" not in given


@pytest.mark.parametrize(
    ("client", "variables"),
    [
        ("claude-code", {"ANTHROPIC_BASE_URL": URL, "ANTHROPIC_AUTH_TOKEN": KEY, "ANTHROPIC_MODEL": "smart"}),
        ("gemini-cli", {"GOOGLE_GEMINI_BASE_URL": URL, "GEMINI_API_KEY": KEY}),
        ("openai-sdk", {"OPENAI_BASE_URL": URL + "/v1", "OPENAI_API_KEY": KEY}),
        ("anthropic-sdk", {"ANTHROPIC_BASE_URL": URL, "ANTHROPIC_API_KEY": KEY}),
        ("google-genai-sdk", {"GOOGLE_GEMINI_BASE_URL": URL, "GEMINI_API_KEY": KEY}),
        ("ollama", {"OLLAMA_HOST": URL, "OLLAMA_API_KEY": KEY}),
        ("aider", {"OPENAI_API_BASE": URL + "/v1", "OPENAI_API_KEY": KEY}),
    ],
)
def test_where_each_client_wants_the_version(client: str, variables: dict[str, str]):
    """With the version where it does not belong, or without it where it does, every request is a 404."""
    found = exports(run(client, "--model", "smart", "--url", URL + "/v1/", "--key", KEY).stdout)
    assert {name: found[name] for name in variables} == variables


@pytest.mark.parametrize("client", [name for name in CLIENTS if clients()[name].code])
def test_code_can_be_run_as_it_stands(client: str):
    """The first thing that is tried would be a syntax error, for some names of models."""
    page = run(client, "--model", 'a "b"\\ c').stdout
    code = page.partition("# Try, in Python:\n")[2].partition("\n\n#")[0]
    compile(code, client, "exec")
    assert json.dumps('a "b"\\ c') in code


def test_a_command_survives_the_shell():
    """A model's name with a space, a quote or a placeholder in it would break the command, or spill the key."""
    model = "it's $HOME @key@"
    page = run("curl", "--model", model, "--key", KEY).stdout
    words = shlex.split(page.partition("# Try:\n")[2].partition("\n\n")[0])
    assert words[1] == "http://127.0.0.1:4000/v1/chat/completions"
    assert json.loads(words[-1])["model"] == model
    assert f"Authorization: Bearer {KEY}" in words


def test_the_configuration_says_where_and_what(tmp_path: Path):
    """The settings would lead to another gateway than the one that is configured here."""
    file = Path("trunkline.yaml")
    file.write_text("server: {listen: 0.0.0.0:5000}\nmodels: {mine: {targets: [echo/echo]}}\n")
    assert exports(run("claude-code").stdout) | {} == exports(run("claude-code", "--model", "mine").stdout)
    assert exports(run("claude-code").stdout)["ANTHROPIC_BASE_URL"] == "http://127.0.0.1:5000"
    trustme.CA().issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path("c")
    file.write_text("server: {listen: '[::1]:5000', tls: {cert: c, key: c}}\n")
    found = exports(run("claude-code").stdout)
    assert (found["ANTHROPIC_BASE_URL"], found["ANTHROPIC_MODEL"]) == ("https://[::1]:5000", "echo/echo")
    file.write_text("server: {listen: nowhere}\n")
    assert exports(run("claude-code").stdout)["ANTHROPIC_BASE_URL"] == "http://127.0.0.1:4000"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--url", "localhost:4000"], "a URL with a host"),
        (["--url", "http://a b"], "URL"),
        (["--model", "a\nb"], "printable"),
        (["--key", "short"], "16 to 512"),
        (["--key", ""], "16 to 512"),
        (["--yes"], "--write"),
    ],
)
def test_what_cannot_be_used_is_said(arguments: list[str], says: str):
    """A wrong value would be pasted into a profile, and fail there without a word."""
    result = run("claude-code", *arguments)
    assert result.exit_code == 2
    assert says in " ".join(result.stderr.split())
    assert result.stdout == ""


def test_files_are_only_shown_unless_asked_for(home: Path):
    """A look at the settings would change a person's files."""
    page = run("gemini-cli").stdout
    assert json.loads(in_file(page)) == {"security": {"auth": {"selectedType": "gemini-api-key"}}}
    assert not home.exists()
    assert not list(Path().iterdir())


def test_a_file_is_written_after_consent(home: Path):
    """A person would have to copy it by hand, or be overruled."""
    file = home / ".gemini" / "settings.json"
    assert run("gemini-cli", "--write", said="n\n").exit_code == 0
    assert not file.exists()
    assert run("gemini-cli", "--write").exit_code == 1, "nobody answers"
    assert not file.exists()
    result = run("gemini-cli", "--write", said="y\n")
    assert f"Wrote {file}" in result.stderr
    assert json.loads(file.read_text()) == {"security": {"auth": {"selectedType": "gemini-api-key"}}}
    assert "says so already" in run("gemini-cli", "--write").stderr


def test_what_was_there_is_kept(home: Path):
    """A person's own settings would be lost."""
    file = home / ".gemini" / "settings.json"
    file.parent.mkdir(parents=True)
    before = '{"theme": "dark", "security": {"auth": {"selectedType": "x", "other": 1}, "more": true}}'
    file.write_text(before)
    assert run("gemini-cli", "--write", "--yes").exit_code == 0
    assert json.loads(file.read_text()) == {
        "theme": "dark",
        "security": {"auth": {"selectedType": "gemini-api-key", "other": 1}, "more": True},
    }
    assert (file.parent / "settings.json.bak1").read_text() == before
    file.write_text(before)
    assert run("gemini-cli", "--write", "--yes").exit_code == 0
    assert (file.parent / "settings.json.bak2").read_text() == before


@pytest.mark.parametrize("there", [b"// mine\n{}", b"[1]", b"\xff"])
def test_a_file_that_cannot_be_read_is_left_alone(there: bytes, home: Path):
    """A file with comments would be emptied."""
    file = home / ".gemini" / "settings.json"
    file.parent.mkdir(parents=True)
    file.write_bytes(there)
    result = run("gemini-cli", "--write", "--yes")
    assert result.exit_code == 1
    assert "was not written" in result.stderr
    assert file.read_bytes() == there


def test_a_file_that_cannot_be_written_is_said(home: Path):
    """A person would read a traceback."""
    home.parent.joinpath("HOME").write_text("a file where a folder should be")
    result = run("gemini-cli", "--write", "--yes")
    assert result.exit_code == 1
    assert "was not written" in result.stderr


def test_opencode_is_told_by_a_file_without_a_key():
    """A key would stand in a file that is committed with the project."""
    assert run("opencode", "--model", "smart", "--url", URL, "--key", KEY, "--write", "--yes").exit_code == 0
    written = Path("opencode.json").read_text()
    assert KEY not in written
    told = json.loads(written)
    assert told["provider"]["trunkline"]["options"] == {"baseURL": URL + "/v1", "apiKey": "{env:TRUNKLINE_KEY}"}
    assert told["provider"]["trunkline"]["models"] == {"smart": {}}
    assert told["model"] == "trunkline/smart"


def test_llm_gets_one_more_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The models a person had would be gone, or the list would be no YAML any more."""
    monkeypatch.setenv("LLM_USER_PATH", str(tmp_path))
    file = tmp_path / "extra-openai-models.yaml"
    file.write_text("- model_id: mine\n  model_name: x")
    assert run("llm", "--model", "a: b", "--url", URL, "--write", "--yes").exit_code == 0
    models = yaml.safe_load(file.read_text())
    assert [model["model_id"] for model in models] == ["mine", "trunkline"]
    assert (models[1]["model_name"], models[1]["api_base"]) == ("a: b", URL + "/v1")
    assert "says so already" in run("llm", "--model", "a: b", "--url", URL, "--write", "--yes").stderr
    assert len(yaml.safe_load(file.read_text())) == 2


def test_a_client_without_files_says_so():
    """Somebody would look for what was written."""
    assert "nothing to write" in run("curl", "--write").stderr

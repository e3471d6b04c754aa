"""`trunkline explain`, as a person calls it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from records import opened, settled
from trunkline.cli.main import app
from trunkline.ledger.record import row as record_row
from trunkline.store import keys, usage
from trunkline.store.engine import open_store

SECRET = "sk-lab-0123456789"
CONFIG = f"""
providers:
  lab: {{kind: openai, base_url: "http://127.0.0.1:9/v1", api_key: {SECRET}}}
  claude: {{kind: anthropic, api_key: sk-ant-0123456789, proxy: "http://user:secret-proxy@proxy.example:3128"}}
models:
  m:
    targets: [{{to: lab/gpt-4.1, weight: 3}}, claude/claude-sonnet-4-5]
    strategy: weighted
    affinity: session
    fallbacks: [lab/gpt-4.1-mini]
    aliases: [also]
    rules: [{{when: {{tokens_over: 100000}}, use: c}}]
  c: {{targets: [claude/claude-sonnet-4-5]}}
keys:
  - {{name: narrow, secret: tl-narrow-key-0123456789abcdefghijklmnopqrstuvwxyz, models: [m], tags: [red], priority: low}}
"""
BODY = {"model": "m", "max_tokens": 50, "seed": 1, "messages": [{"role": "user", "content": "hi \x9b31m"}]}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRUNKLINE_DATA", str(tmp_path / "data"))
    (tmp_path / "trunkline.yaml").write_text(CONFIG)
    (tmp_path / "trunkline.yaml").chmod(0o600)
    (tmp_path / "r.json").write_text(json.dumps(BODY, ensure_ascii=False))
    return tmp_path


def run(*words: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(app, ["explain", *words], input=stdin)


def test_a_request_to_read(folder: Path) -> None:
    """Everything that is decided, in the order in which it is."""
    done = run("r.json", "--header", "x-trunkline-session: one")
    assert done.exit_code == 0, done.output
    assert SECRET not in done.output
    assert "sk-ant-0123456789" not in done.output
    assert "secret-proxy" not in done.output
    assert "\x9b" not in done.stdout, "a prompt must not command the terminal"
    lines = done.stdout.splitlines()
    assert lines[:3] == ["key         (any), may use everything", "endpoint    chat.completions", "model       m"]
    assert lines[3] == "rules       m 1: over 100000 tokens: no"
    assert lines[4].startswith("route       m: weighted, kept by session, 3 attempts within ")
    assert lines[5].startswith("request     about ")
    assert "answer at most 50, whole" in lines[5]
    told = "\n".join(lines)
    assert "lab/gpt-4.1 (weight 3)" in told
    assert " 3  lab/gpt-4.1-mini (fallback)" in told
    assert "cost        $0.00" in told
    assert "note        No running gateway" in told
    assert "POST http" in told


def test_a_translation_to_read(folder: Path) -> None:
    """What is lost on the way is what surprises."""
    done = run("-", stdin=json.dumps(BODY | {"model": "c"}))
    assert done.exit_code == 0, done.output
    assert "way         translated from openai_chat, to anthropic\ndropped     seed\n" in done.stdout
    assert "POST https://api.anthropic.com/v1/messages (by the proxy proxy.example:3128)\n" in done.stdout
    assert "  x-api-key: ***\n" in done.stdout


def test_for_scripts(folder: Path) -> None:
    """A script reads fields, not columns."""
    done = run("r.json", "--json")
    told = json.loads(done.stdout)
    assert (told["route"]["name"], told["seen"]["output"]) == ("m", 50)
    assert SECRET not in done.stdout


def test_a_refusal(folder: Path) -> None:
    """The exit status is for scripts, the error is the client's."""
    done = run("-", "--key", "narrow", "--endpoint", "/v1/messages", stdin=json.dumps(BODY | {"model": "c"}))
    assert done.exit_code == 1
    assert "key         narrow, tagged red, low priority, may use m" in done.stdout
    assert "model       c: not allowed" in done.stdout
    assert "refused     403 forbidden" in done.stdout
    assert '"type":"permission_error"' in done.stdout


def test_a_model_that_is_not_there(folder: Path) -> None:
    """Nothing is known of its way but that it has none."""
    done = run("-", stdin=json.dumps(BODY | {"model": "nope"}))
    assert done.exit_code == 1
    assert "model       nope\n" in done.stdout
    assert "route" not in done.stdout
    assert "refused     404 not_found" in done.stdout


def test_another_name(folder: Path) -> None:
    """An alias leads to an entry."""
    assert "route       also (configured as m)" in run("-", stdin=json.dumps(BODY | {"model": "also"})).stdout


def test_keys_of_the_store(folder: Path) -> None:
    """Most keys are there, not in the file."""
    store = open_store(folder / "data", create=True)
    keys.create(store, "laptop", {"models": ["c"]}, 1)
    keys.create(store, "free", None, 1)
    store.close()
    assert "key         laptop, may use c\n" in run("r.json", "--key", "laptop").stdout
    assert "key         free, may use everything\n" in run("r.json", "--key", "free").stdout
    done = run("r.json", "--key", "nobody", "--data", str(folder / "data"))
    assert (done.exit_code, done.stdout) == (1, "")
    assert "There is no key 'nobody'" in done.stderr
    assert all(name in done.stderr for name in ("narrow", "laptop", "free"))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["r.json", "--endpoint", "/v2/nothing"], "Nothing is served at /v2/nothing"),
        (["r.json", "--endpoint", "/v1/models"], "No provider is asked at /v1/models"),
        (["missing.json"], "missing.json cannot be read"),
        (["r.json", "--key", "nobody"], "There is no key 'nobody'"),
        (["r.json", "--config", "missing.yaml"], "missing.yaml"),
    ],
)
def test_what_cannot_be_explained(folder: Path, words: list[str], says: str) -> None:
    """A typing error must not look like an explanation."""
    done = run(*words)
    assert (done.exit_code, done.stdout) == (1, "")
    assert says in done.stderr


@pytest.mark.parametrize("header", ["no-colon", ": x", "a: \x1b"])
def test_headers_are_written_as_such(folder: Path, header: str) -> None:
    """Half a header would be explained as none."""
    assert run("r.json", "--header", header).exit_code == 2


def test_without_a_body(folder: Path) -> None:
    """Some endpoints have none; where one is missing, the client's error says so."""
    assert run("--endpoint", "/v1/files").exit_code == 0
    assert "refused     400 bad_request" in run().stdout


def test_a_header_that_is_given_twice(folder: Path) -> None:
    """The gateway reads two lines of one name as one list, and so do rules."""
    (folder / "r.json").write_text(json.dumps(BODY | {"model": "c"}))
    words = ("--header", "anthropic-beta: context-1m-2025-08-07", "--header", "Anthropic-Beta: interleaved-thinking-2025-05-14")
    done = run("r.json", "--endpoint", "/v1/messages", *words)
    assert "context-1m-2025-08-07" in done.stdout
    assert "interleaved-thinking-2025-05-14" in done.stdout


def test_a_body_that_the_gateway_would_not_take(folder: Path) -> None:
    """Explained from a half of it, it would be another request."""
    (folder / "trunkline.yaml").write_text(CONFIG + "server: {limits: {max_body: 64KiB}}\n")
    (folder / "r.json").write_text(json.dumps(BODY | {"user": "x" * 65536}))
    for words, stdin in ((("r.json",), None), (("-",), (folder / "r.json").read_text())):
        done = run(*words, stdin=stdin)
        assert (done.exit_code, done.stdout) == (1, "")
        assert "413" in done.stderr


def test_what_a_request_is_under(folder: Path) -> None:
    """Somebody who is refused asks why; an operator looks before he sets a limit. What was spent stands in the ledger."""
    key = "  - {name: poor, secret: tl-poor-key-0123456789abcdefghijklmnopqrstuvwxyz, team: lab, limits: {rpm: 60, tpm: 1000},"
    key += ' budgets: [{usd: "0.05", per: total}, {usd: 9, per: day, soft: true}]}\nteams:\n  lab: {limits: {concurrent: 4}}\n'
    (folder / "trunkline.yaml").write_text(CONFIG + key)
    row = settled(opened(1, key="poor"), cost_nano=20_000_000)
    store = open_store(folder / "data")
    usage.insert(store, [record_row(row)])
    store.close()
    done = run("r.json", "--key", "poor")
    assert done.exit_code == 0, done.output
    for line in (
        "limits      key poor: 60 requests a minute",
        "            key poor: 1,000 tokens a minute",
        "            key poor: $0.05 in all, $0.02 spent",
        "            key poor: $9.00 a day (UTC), only told of, $0.00 spent",
        "            team lab: 4 requests at the same time",
    ):
        assert line in done.stdout, done.stdout
    assert "\nreserved    " in done.stdout
    assert "of limits on requests, tokens and concurrency all is taken to be left" in done.stdout
    (folder / "dear.json").write_text(json.dumps(BODY | {"max_tokens": 30_000}))
    refused = run("dear.json", "--key", "poor")
    assert refused.exit_code == 1
    assert "refused     402 budget_exceeded" in refused.stdout
    assert "budget of the key 'poor' ($0.05 in all)" in refused.stdout
    told = json.loads(run("r.json", "--key", "poor", "--json").stdout)
    assert [one["spent"] for one in told["limits"] if one["what"] == "money"] == [20_000_000, 0]
    assert told["reserved"]["nano"] > 0

"""`trunkline prices`, as a person or a script calls it."""

from __future__ import annotations

import json
import time
from functools import partial

import pytest
import yaml
from typer.testing import CliRunner

from trunkline.cli.main import app as whole
from trunkline.cli.prices import app
from trunkline.store import keys, prices
from trunkline.store.engine import open_store
from trunkline.store.lock import notify
from trunkline.store.processes import wait
from trunkline.store.tables import processes
from trunkline.store.url import parse

run = CliRunner().invoke
BASE = {
    "providers": {"openai": {"api_key": "sk-of-tests-only"}, "lab": {"kind": "groq", "api_key": "sk-of-tests-only"}},
    "models": {"smart": {"targets": ["openai/gpt-4.1", "lab/llama-9"]}},
}


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.setenv("TRUNKLINE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("COLUMNS", "140")
    monkeypatch.delenv("TRUNKLINE_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "trunkline.yaml").write_text(yaml.safe_dump(BASE))
    return tmp_path / "data"


def stored(data):
    store = open_store(data)
    try:
        return prices.listing(store)
    finally:
        store.close()


def test_set_list_show_remove(data):
    """The whole life of a price, from a shell, without a gateway."""
    done = run(app, ["set", "--provider", "lab", "--model", "llama-*", "--input", "0.10", "--output", "2", "--tier",
                     "1000:input=4,output=5", "--request", "0.01", "--batch", "50%", "--from", "2026-01-01"])  # fmt: skip
    assert done.exit_code == 0, done.output
    assert stored(data)[0].settings == {
        "provider": "lab", "model": "llama-*", "input": "0.10", "output": "2", "request": "0.01", "batch": "50%",
        "from": "2026-01-01", "tiers": [{"above": "1000", "input": "4", "output": "5"}],
    }  # fmt: skip
    listed = run(app, ["list"]).stdout
    assert [word for word in listed.splitlines()[1].split() if word != "…"][:5] == ["1", "lab", "llama-*", "$0.10", "$2.00"]
    mark = listed.splitlines()[1].split()[-1]
    shown = run(app, ["show", "smart"])
    assert shown.exit_code == 0
    assert "gpt-4.1 at openai\n  from genai-prices" in shown.stdout
    assert "llama-9 at lab (groq)\n  price 1 of the store, set 20" in shown.stdout
    assert f"+ {mark}\n" in shown.stdout
    assert "batch: 50 % of it" in shown.stdout
    rows = [line.split() for line in shown.stdout.partition("llama-9")[2].splitlines()]
    assert rows[4][-2:] == ["over", "1,000"]
    assert ["input", "$0.10", "$4.00"] in rows
    assert ["each", "request", "$0.01", "$0.01"] in rows
    assert ["1,000", "500", "$0.0111", "▏"] in rows
    assert ["300,000", "4,000", "$1.23", "█" * 20] in rows
    assert run(app, ["remove", "1"]).exit_code == 0
    assert "No prices were set here" in run(app, ["list"]).stdout


def test_the_file_counts_before_the_store(data, tmp_path):
    """Of two prices for the same, it must be known which is charged; both are listed, with where they are."""
    run(app, ["set", "--model", "gpt-4.1", "--input", "1"])
    file = tmp_path / "trunkline.yaml"
    file.write_text(yaml.safe_dump(BASE | {"prices": [{"model": "gpt-4.1", "input": 3}]}))
    shown = run(app, ["show", "gpt-4.1", "--provider", "openai"]).stdout
    assert f"in {file}; records say" in shown
    assert ["input", "$3.00"] in [line.split() for line in shown.splitlines()]
    told = json.loads(run(app, ["list", "--json"]).stdout)
    assert [(one["where"], one["rates"][0]["input"]) for one in told] == [("1", 10**9), (str(file), 3 * 10**9)]


def test_prices_that_hang_on_the_hour(data):
    """DeepSeek's night is cheaper; who looks by day must see that there is another price."""
    shown = run(app, ["show", "deepseek-chat", "--provider", "deepseek"])
    assert shown.exit_code == 0
    assert "dollars per million tokens" in shown.stdout


def test_an_unknown_price_is_told(data):
    """A script can ask whether a model's cost will be counted."""
    shown = run(app, ["show", "llama-9", "--provider", "lab"])
    assert (shown.exit_code, "No price is known" in shown.stdout) == (1, True)
    wrong = run(app, ["show", "nothing"])
    assert (wrong.exit_code, "knows no model 'nothing'" in wrong.stderr) == (1, True)
    assert run(app, ["show", "x", "--provider", "ollama"]).exit_code == 0


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--input", "1e-5"], "input: must be a number of dollars"),
        ([], "must name at least one price"),
        (["--input", "1", "--tier", "many:input=2"], "tiers[0].above: must be a whole number"),
        (["--input", "1", "--tier", "5:inptu=2"], "tiers[0].inptu: unknown field"),
        (["--input", "1", "--from", "soon"], "from: must be a date"),
    ],
)
def test_what_is_no_price(data, options, why):
    """Nothing is stored that could not be charged."""
    done = run(app, ["set", "--model", "m", *options])
    assert (done.exit_code, why in done.stderr) == (1, True), done.stderr
    assert not data.exists()


def test_a_provider_that_is_not_there_is_warned_of(data):
    """A misspelt name would never count; it may be configured later, so it is no error."""
    done = run(app, ["set", "--model", "m", "--provider", "opnai", "--input", "1"])
    assert done.exit_code == 0
    assert "has no provider of the name or kind 'opnai'" in done.stderr


def test_a_stored_price_that_cannot_be_read(data):
    """One from a newer version is named and left out; the others count."""
    run(app, ["set", "--model", "m", "--input", "1"])
    store = open_store(data)
    prices.put(store, {"model": "n", "input": "1", "later": "x"}, 1)
    store.close()
    done = run(app, ["list"])
    assert "stored price 2 cannot be read and does not count: later: unknown field" in done.stderr
    assert "m" in done.stdout


def test_a_number_that_is_not_there(data):
    """And a data directory that is not."""
    assert run(app, ["remove", "1"]).exit_code == 1
    run(app, ["set", "--model", "m", "--input", "1"])
    done = run(app, ["remove", "7"])
    assert (done.exit_code, "no stored price 7" in done.stderr) == (1, True)


def test_a_configuration_with_mistakes_is_told_first(data, tmp_path):
    """Nothing could be said of what counts."""
    (tmp_path / "trunkline.yaml").write_text("prices: [{model: x}]")
    done = run(app, ["list"])
    assert (done.exit_code, "prices[0]: must name at least one price" in done.stderr) == (1, True)


def test_a_gateway_that_does_not_answer_is_told_of(data, monkeypatch):
    """Who set a price must know that it is not charged yet."""
    monkeypatch.setattr("trunkline.cli.data.notify", partial(notify, seconds=0.0))
    store = open_store(data)
    keys.create(store, "ci", None, 1)
    store.close()
    monkeypatch.setattr("trunkline.cli.data.notify", lambda *_: False)
    done = run(app, ["set", "--model", "m", "--input", "1"])
    assert (done.exit_code, "Not taken up" in done.stderr) == (1, True)


def test_other_machines_are_waited_for(data, tmp_path, monkeypatch, postgres_url):
    """They charge by it too: those of the store that `--config` names, whatever configuration lies here."""
    monkeypatch.setattr("trunkline.cli.data.wait", partial(wait, seconds=0.0))
    other = tmp_path / "other.yaml"
    other.write_text(yaml.safe_dump(BASE | {"store": {"url": postgres_url}}))
    store = open_store(data, parse(postgres_url))
    row = {"id": "a", "host": "far", "pid": 7, "version": "1", "seen_ns": time.time_ns(), "generation": 0}
    with store.begin() as connection:
        connection.execute(processes.insert(), row)
    store.close()
    for words in (["set", "--model", "m", "--input", "1"], ["remove", "1"]):
        done = run(app, [*words, "--config", str(other)])
        assert (done.exit_code, "Not taken up within 5 seconds by far (process 7)" in done.stderr) == (1, True), done.stderr


def test_a_price_without_its_other_half_is_told_of(data):
    """It replaces the listed one whole: what was forgotten would be given away unnoticed."""
    assert "Answers cost nothing by it" in run(app, ["set", "--model", "m", "--input", "1"]).stderr
    assert "nothing" not in run(app, ["set", "--model", "m", "--input", "1", "--output", "0"]).stderr
    done = run(app, ["set", "--model", "m", "--input", "1", "--output", "2", "--tier", "1000"])
    assert (done.exit_code, "tiers[0]: must name at least one price" in done.stderr) == (1, True)


def test_a_number_that_no_price_has(data):
    """A slip of the finger is told in words."""
    assert run(app, ["remove", "9" * 30]).exit_code == 2
    run(app, ["set", "--model", "m", "--request", "1"])
    assert run(app, ["remove", str(2**31 - 1)]).exit_code == 1


def test_explain_goes_by_them_too(data, tmp_path):
    """What is told before is what is charged after."""
    (tmp_path / "ask.json").write_text(json.dumps({"model": "lab/llama-9", "messages": [{"role": "user", "content": "hi"}]}))
    assert json.loads(run(whole, ["explain", "ask.json", "--json"]).stdout)["cost"] is None
    run(app, ["set", "--model", "llama-*", "--request", "3"])
    assert json.loads(run(whole, ["explain", "ask.json", "--json"]).stdout)["cost"]["least"] == 3 * 10**9

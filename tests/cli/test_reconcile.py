"""`trunkline usage reconcile`, as a person or a script calls it."""

from __future__ import annotations

import json
import os

import pytest
import yaml
from typer.testing import CliRunner

from records import START_NS, opened, settled
from trunkline.canon.usage import Usage
from trunkline.cli.main import app
from trunkline.ledger.journal import Journal
from trunkline.ledger.record import row
from trunkline.store import usage
from trunkline.store.engine import open_store

run = CliRunner().invoke
DAY = 86_400 * 10**9
DOLLAR = 10**9
COSTS = """start_time,amount_value,amount_currency,line_item
1767225600,0.75,usd,"gpt-4.1-2025-04-14, input"
1767225600,0.25,usd,"gpt-4.1-2025-04-14, output"
1767312000,2.5,usd,"gpt-4.1-mini-2025-04-14, input"
1767312000,0.5,usd,web search tool calls
"""


def request(n, *, model="gpt-4.1", provider="openai", nano=DOLLAR, day=0, basis="reported"):
    opening = opened(n, model=model, provider=provider, started_ns=START_NS + day * DAY + n)
    return settled(opening, cost_nano=nano, usage=Usage(input=1000, output=10, basis=basis))


@pytest.fixture
def data(tmp_path, monkeypatch):
    """A dollar of gpt-4.1 on the first day, and on the second two of gpt-4.1-mini, the last still in the journal."""
    monkeypatch.setenv("TRUNKLINE_DATA", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "140")
    monkeypatch.delenv("TRUNKLINE_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    providers = {"openai": {"api_key": "sk-of-tests-only"}, "anthropic": {"api_key": "sk-of-tests-only"}}
    (tmp_path / "trunkline.yaml").write_text(yaml.safe_dump({"providers": providers}))
    store = open_store(tmp_path)
    rows = [request(0), request(1, model="gpt-4.1-mini", day=1), request(2, provider="anthropic"), request(3, day=5)]
    usage.insert(store, [row(one) for one in rows])
    store.close()
    journal, last = Journal(tmp_path / "journal"), request(4, model="gpt-4.1-mini", day=1, basis="estimated")
    journal.settle(journal.open(last.opened), last)
    os.close(journal.open(opened(9)).fd)
    return tmp_path


def export(data, text):
    file = data / "export.csv"
    file.write_text(text)
    return str(file)


def test_the_drift_is_shown_and_explained(data):
    """Which day, which model, how much, and where to look; a job that checks it fails."""
    done = run(app, ["usage", "reconcile", export(data, COSTS)])
    assert done.exit_code == 1, done.output
    lines = [line.split() for line in done.stdout.splitlines()]
    assert done.stdout.startswith("OpenAI costs against the ledger's records of openai, cost:")
    assert ["2026-01-01", "gpt-4.1", "$1.00", "$1.00", "+$0.00", "+0.00"] in lines
    assert ["2026-01-02", "gpt-4.1-mini", "$2.00", "$2.50", "-$0.50", "-20.00", "█" * 20] in lines
    assert ["total", "$3.00", "$4.00", "-$1.00", "-25.00"] in lines
    assert "gpt-4.1-mini: -$0.50: the export says too little to tell why" in done.stdout
    assert "web search tool calls: -$0.50: not in the ledger" in done.stdout
    assert "1 requests are estimated, $1.00 of ours" in done.stdout
    assert "More than is tolerated: gpt-4.1-mini, web search tool calls, the total." in done.stderr


def test_what_agrees_is_no_failure(data):
    """Half a percent is tolerated unless it is said otherwise."""
    file = export(data, "date,model,amount\n2026-01-01,gpt-4.1,1.004\n2026-01-02,gpt-4.1-mini,2\n")
    assert run(app, ["usage", "reconcile", file, "--provider", "openai"]).exit_code == 0
    assert run(app, ["usage", "reconcile", file, "--provider", "openai", "--tolerance", "0.1%"]).exit_code == 1


def test_as_json(data):
    """For who watches it by a program: integers, the parts of each drift, and what is beyond."""
    done = run(app, ["usage", "reconcile", export(data, COSTS), "--json"])
    told = json.loads(done.stdout)
    assert told["providers"] == ["openai"]
    assert told["total"]["drift"] == -DOLLAR
    assert told["total"]["causes"] == {"unexplained": -DOLLAR // 2, "unaccounted": -DOLLAR // 2}
    assert told["lines"][1]["ours"]["estimated_nano"] == DOLLAR
    assert told["beyond"] == ["gpt-4.1-mini", "web search tool calls", "total"]


def test_an_export_of_tokens(data):
    """Anthropic and OpenAI export usage without money: then tokens are compared."""
    text = "usage_date_utc,model_version,usage_input_tokens_no_cache,usage_output_tokens\n2026-01-01,gpt-4.1,1000,10\n"
    done = run(app, ["usage", "reconcile", export(data, text)])
    assert done.exit_code == 0, done.output
    assert ["2026-01-01", "gpt-4.1", "1,010", "1,010", "+0", "+0.00"] in [line.split() for line in done.stdout.splitlines()]


def test_columns_of_another_form(data):
    """They are listed, and can be told."""
    file = export(data, "Tag,Modell,Betrag\n2026-01-01,gpt-4.1,2\n2026-01-02,,\n")
    done = run(app, ["usage", "reconcile", file])
    assert (done.exit_code, "Its columns are: tag, modell, betrag." in done.stderr) == (1, True)
    done = run(app, ["usage", "reconcile", file, "--map", "date=Tag,model=Modell", "--map", "amount=Betrag", "--json"])
    told = json.loads(done.stdout)
    assert [line["drift"] for line in told["lines"]] == [0, 0, 2 * DOLLAR]
    assert run(app, ["usage", "reconcile", file, "--map", "date"]).exit_code == 2


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "It is empty"),
        ("date,model,amount\n", "has no rows"),
        ("date,model,amount\n2026-01-01,m,x\n", "Row 2: 'x' is no number"),
        ("date,model,amount\n2026-01-01,m,\udcff\n", "cannot be read"),
        ('date,model,amount\n2026-01-01,"m,1\n2026-01-02,m,2\n', "unexpected end of data"),
        ("date,model,amount\n2026-01-01,m,1,234.50\n", "Row 2: it has 4 cells, and the header 3"),
        ("date,model,amount\n2026-01-01,m,1\n\n2026-01-02,m", "Row 3: it has 2 cells, and the header 3"),
        ("date;model;amount\n2026-01-01;m;0,25\n", "Row 2: '0,25' is no number"),
        ("date,model,amount\n2026-01-01,m,1\0\n", "cannot be read"),
    ],
)
def test_what_is_no_export(data, content, why):
    """A file that says nothing must not look like one that agrees."""
    file = data / "export.csv"
    file.write_bytes(content.encode("utf-8", "surrogateescape"))
    done = run(app, ["usage", "reconcile", str(file)])
    assert (done.exit_code, why in done.stderr) == (1, True), done.stderr


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffdate;model;amount\r\n2026-01-01;gpt-4.1;1\r\n2026-01-02;gpt-4.1-mini;2\r\n",
        '"date"\t"model"\t"amount"\n2026-01-01\tgpt-4.1\t1\n2026-01-02\tgpt-4.1-mini\t2',
        "date,model,amount\n2026-01-01,gpt-4.1,1,\n2026-01-02,gpt-4.1-mini,2,,\n",
        ",usage_date_utc,model,cost_usd\n0,2026-01-01,gpt-4.1,1\n1,2026-01-02,gpt-4.1-mini,2\n",
    ],
)
def test_what_spreadsheets_make_of_it(data, text):
    """Opened and saved again in another country, it says the same."""
    done = run(app, ["usage", "reconcile", export(data, text), "--provider", "openai"])
    assert done.exit_code == 0, done.output


def test_a_tolerance_that_is_none(data):
    """A misspelt one must not become another one."""
    assert run(app, ["usage", "reconcile", export(data, COSTS), "--tolerance", "much"]).exit_code == 2

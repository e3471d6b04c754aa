"""`trunkline usage export`, in each form, read back by other programs."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys

import pytest
from pyarrow import parquet
from typer.testing import CliRunner

from records import settled, twice_daily
from trunkline.cli import export as module
from trunkline.cli.usage import app
from trunkline.ledger.record import row
from trunkline.store import usage
from trunkline.store.engine import open_store
from trunkline.store.tables import usage as table

run = CliRunner().invoke


def test_export_writes_every_column_of_every_record(data):
    """An auditor gets each request once, in order, with all that is known of it."""
    done = run(app, ["export", "--format", "jsonl", "--data", str(data)])
    assert done.exit_code == 0
    assert [json.loads(line) for line in done.stdout.splitlines()] == [row(twice_daily(n)) for n in range(5)]
    since = run(app, ["export", "--since", "2026-01-02", "--until", "2026-01-02"])
    assert [json.loads(line)["id"] for line in since.stdout.splitlines()] == [f"{n:032d}" for n in (2, 3)]

    one = run(app, ["export", "--model", "model-1", "--key", "laptop"])
    assert [json.loads(line)["id"] for line in one.stdout.splitlines()] == [f"{n:032d}" for n in (1, 3)]


def test_csv_is_read_back_as_it_was(data):
    """Spreadsheets and scripts read the same: names first, money whole, nothing for nothing."""
    done = run(app, ["export", "--format", "csv"])
    assert done.stdout_bytes.count(b"\r\n") == 6
    lines = list(csv.DictReader(io.StringIO(done.stdout_bytes.decode(), newline="")))
    assert list(lines[0]) == table.c.keys()
    assert [line["cost_nano"] for line in lines] == ["1234000", "", "3702000", "", "6170000"]
    assert lines[0]["stream"] == "false"
    assert lines[0]["raw_usage"] == '{"total_tokens":30}'


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1"])  # noqa: RUF001
def test_no_cell_is_a_formula(data, text):
    """Clients choose model names, and the accountant's spreadsheet would run them."""
    store = open_store(data)
    usage.insert(store, [row(settled(9)) | {"model": text, "error": 'say "a, b"\nc'}])
    store.close()
    done = run(app, ["export", "--format", "csv", "--until", "2026-01-01T00:01"])
    (_, line) = csv.DictReader(io.StringIO(done.stdout_bytes.decode(), newline=""))
    assert (line["model"], line["error"]) == (f"'{text}", 'say "a, b"\nc')


def test_parquet_is_read_back_as_it_was(data, monkeypatch):
    """Analysts get types, not texts: whole numbers stay whole, and nothing is null."""
    monkeypatch.setattr(module, "_GROUP", 2)
    target = data / "all.parquet"
    assert run(app, ["export", "--format", "parquet", "--output", str(target)]).exit_code == 0
    assert parquet.read_table(target).to_pylist() == [row(twice_daily(n)) for n in range(5)]
    file = parquet.ParquetFile(target)
    assert file.num_row_groups == 3
    assert str(file.schema_arrow.field("cost_nano").type) == "int64"
    file.close()


def test_parquet_of_nothing_is_a_table(data):
    """A month without requests must not break the analyst's job."""
    target = data / "none.parquet"
    assert run(app, ["export", "--format", "parquet", "--output", str(target), "--key", "nobody"]).exit_code == 0
    assert parquet.read_table(target).column_names == table.c.keys()


def test_parquet_needs_a_file(data):
    """A terminal full of bytes helps nobody."""
    done = run(app, ["export", "--format", "parquet"])
    assert done.exit_code == 2
    assert "--output" in done.stderr


def test_parquet_without_its_library_says_what_to_install(data, monkeypatch):
    """It is an extra; who did not install it reads one sentence and no traceback."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    done = run(app, ["export", "--format", "parquet", "--output", str(data / "x")])
    assert done.exit_code == 1
    assert "pip install 'trunkline[parquet]'" in done.stderr
    assert not (data / "x").exists()


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_a_file_is_as_what_is_printed_and_its_owners_alone(data, form):
    """It replaces the one of yesterday only when it is whole."""
    target = data / "all"
    target.write_text("yesterday's")
    done = run(app, ["export", "--format", form, "--output", str(target)])
    assert (done.exit_code, done.stdout) == (0, "")
    assert target.read_bytes() == run(app, ["export", "--format", form]).stdout_bytes
    assert target.stat().st_mode & 0o777 == 0o600


def test_a_file_that_cannot_be_finished_leaves_the_old_one(data, monkeypatch):
    """Half of the accounts under the name of all would be believed."""
    target = data / "folder" / "all"
    target.parent.mkdir()
    target.write_text("yesterday's")

    def broken(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.os, "fsync", broken)
    done = run(app, ["export", "--output", str(target)])
    assert done.exit_code == 1
    assert "No space left on device" in done.stderr
    assert [path.name for path in target.parent.iterdir()] == ["all"]
    assert target.read_text() == "yesterday's"
    missing = run(app, ["export", "--output", str(data / "no" / "all")])
    assert missing.exit_code == 1
    assert "No such file" in missing.stderr


def test_a_reader_that_leaves_is_no_failure(data):
    """`trunkline usage export | head` must not print a traceback."""
    store = open_store(data)
    usage.insert(store, [row(twice_daily(n)) for n in range(10, 3000)])
    store.close()
    child = subprocess.Popen(
        [sys.executable, "-B", "-c", "from trunkline.cli.usage import app; app()", "export"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    child.stdout.readline()
    child.stdout.close()
    assert b"Traceback" not in child.stderr.read()
    child.stderr.close()
    child.wait()


@pytest.mark.parametrize(("form", "most"), [("jsonl", 100), ("csv", 100), ("parquet", 300)])
def test_memory_stays_flat(data, form, most):
    """Years of requests are exported by a machine with little memory: 40 MB of texts here, hundreds as Python's objects."""
    store = open_store(data)
    for first in range(0, 20_000, 1000):
        usage.insert(store, [row(settled(first + n)) | {"trail": "x" * 2000} for n in range(1000)])
    store.close()
    words = ["export", "--format", form, "--output", str(data / "all")]
    script = f"""if True:
        import re, sys
        from trunkline.cli.usage import app
        sys.argv[1:] = {words!r}
        try:
            app()
        finally:
            print(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
    """
    path = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-B", "-c", script], env=path, capture_output=True, text=True, check=True)
    assert int(done.stdout) < most * 1024

"""`trunkline reload`, as a person or a deployment calls it, against the real process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from harness.gateway import KEY, Gateway, settings
from harness.upstream import Upstream
from trunkline.cli import reload as module
from trunkline.cli.main import app
from trunkline.store.lock import DataLock


@pytest.fixture
def gateway(upstream: Upstream, tmp_path: Path) -> Iterator[Gateway]:
    """The real process; only the command makes it read its file."""
    upstream.clear()
    with Gateway(settings(upstream.url, server={"watch": False}), tmp_path) as running:
        yield running


def write(gateway: Gateway, config: dict[str, Any]) -> None:
    """Change the file."""
    config["server"]["watch"] = False
    gateway.config_file.write_text(yaml.safe_dump(config))


def models(gateway: Gateway) -> set[str]:
    """Names of the models."""
    return {one["id"] for one in json.loads(gateway.get("/v1/models", key=KEY).body)["data"]}


def logged(gateway: Gateway, event: str) -> dict[str, Any]:
    """The first log line of this event, waited for."""
    return gateway.wait_log(lambda line: line.get("event") == event)


def test_the_command_applies_and_tells(gateway: Gateway, upstream: Upstream) -> None:
    """When it returns, requests are answered by the new file; it names what is different, and so do log and metrics."""
    config = settings(upstream.url)
    config["models"]["fresh"] = config["models"].pop("costly")
    config["log"] = {"level": "debug"}
    write(gateway, config)
    done = gateway.run("reload", "--data", str(gateway.data))
    assert done.stdout.decode().splitlines() == [
        "models added: fresh",
        "models removed: costly",
        "settings: log.level",
        "Applied.",
    ]
    assert (done.returncode, done.stderr) == (0, b"")
    assert gateway.chat(model="fresh").status == 200
    assert {"m", "fresh"} <= models(gateway)
    assert "costly" not in models(gateway)
    line = logged(gateway, "configuration applied")
    assert (line["level"], line["models_added"], line["models_removed"]) == ("info", "fresh", "costly")
    page = gateway.metrics()
    assert page['trunkline_config_reloads_total{result="applied"}'] == 1
    assert (page["trunkline_config_last_reload_ok"], page["trunkline_config_generation"]) == (1, 2)
    series = [name for name in page if name.startswith("trunkline_requests_total{") and 'model="fresh"' in name]
    assert len(series) == 1, "a new model has a label of its own"


def test_the_command_tells_every_mistake(gateway: Gateway, upstream: Upstream) -> None:
    """The old file stays in force; the secret that stands in the new one is told nowhere."""
    config = settings(upstream.url)
    config["models"]["m"]["targets"] = ["nowhere/tiny"]
    config["models"]["patient"]["colour"] = "red"
    config["keys"].append({"name": "laptop", "secret": "a-secret with-a-space-in-it"})
    write(gateway, config)
    done = gateway.run("reload", "--data", str(gateway.data))
    told = done.stderr.decode()
    assert (done.returncode, done.stdout) == (1, b"")
    file = str(gateway.config_file)
    for path in ("models.m.targets[0]", "models.patient.colour", "keys[2].secret"):
        assert any(line.startswith(f"{file}:") and f" {path}: " in line for line in told.splitlines()), told
    assert told.splitlines()[-1] == "Refused; the old configuration stays in force."
    assert gateway.chat().status == 200
    assert logged(gateway, "configuration refused; the old one stays in force")["mistakes"] == 3
    mistakes = [line["mistake"] for line in gateway.logs() if line.get("event") == "mistake in the configuration"]
    assert mistakes == told.splitlines()[:-1]
    assert "with-a-space" not in told + "".join(mistakes)
    page = gateway.metrics()
    assert page['trunkline_config_reloads_total{result="refused"}'] == 1
    assert (page["trunkline_config_last_reload_ok"], page["trunkline_config_generation"]) == (0, 1)


def test_the_command_where_nothing_changed_or_nobody_runs(gateway: Gateway, upstream: Upstream, tmp_path: Path) -> None:
    """What waits for the next start is named each time; without a gateway there is nobody to tell."""
    write(gateway, settings(upstream.url, server={"limits": {"keep_alive": "9s"}}))
    done = gateway.run("reload", "--data", str(gateway.data))
    assert (done.returncode, done.stdout) == (0, b"Unchanged: it says what was in force already.\n")
    assert done.stderr == b"warning: server.limits.keep_alive takes effect at the next start\n"
    assert logged(gateway, "takes effect at the next start")["settings"] == "server.limits.keep_alive"
    nobody = gateway.run("reload", "--data", str(tmp_path))
    assert (nobody.returncode, b"No gateway runs" in nobody.stderr) == (1, True)


def test_a_gateway_that_does_not_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A deployment must not believe that its file is in force when nobody said so."""
    lock = DataLock.acquire(tmp_path)
    monkeypatch.setattr(module, "ask", lambda _: None)
    done = CliRunner().invoke(app, ["reload", "--data", str(tmp_path)])
    lock.release()
    assert (done.exit_code, done.stdout) == (1, "")
    assert "did not say within 10 seconds" in done.stderr

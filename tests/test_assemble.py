"""The parts together, in a real process and by hand: start, keys, drain, end."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sqlite3
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.certs import Authority
from harness.client import request
from harness.gateway import KEY, Gateway, settings
from harness.invariants import eventually
from harness.upstream import Upstream
from trunkline import assemble
from trunkline.store import keys
from trunkline.store.engine import open_store


@pytest.fixture
def gateway(upstream: Upstream, tmp_path: Path) -> Iterator[Gateway]:
    """The real process."""
    upstream.clear()
    with Gateway(settings(upstream.url), tmp_path) as running:
        yield running


def test_the_journals_state_is_on_the_metrics_page(gateway: Gateway) -> None:
    """An operator must see that accounts pile up, or are lost, before a customer does."""
    gateway.chat()
    page = gateway.metrics()
    assert page["trunkline_journal_healthy"] == 1
    for name in ("journal_failed", "journal_lost", "journal_sync_failures", "ledger_store_failures", "ledger_interrupted"):
        assert page[f"trunkline_{name}_total"] == 0
    assert page["trunkline_log_lines_dropped_total"] == 0
    eventually(lambda: gateway.metrics()["trunkline_ledger_stored_total"] == 1, "stored")
    assert gateway.metrics()["trunkline_journal_backlog"] == 0


def test_the_metrics_and_the_accounts_agree_on_what_has_no_price(gateway: Gateway) -> None:
    """Two numbers for one thing, and an operator believes neither. A request that failed used nothing."""
    assert [gateway.chat().status, gateway.chat(mock="status=500").status] == [200, 500]
    eventually(lambda: len(gateway.stored()) == 2, "both rows")
    (total,) = json.loads(gateway.run("usage", "--json", "--data", str(gateway.data)).stdout)
    shown = [value for name, value in gateway.metrics().items() if name.startswith("trunkline_unpriced_requests_total{")]
    assert (total["requests"], total["unpriced"], sum(shown)) == (2, 1, 1)


def statuses(gateway: Gateway, key: str) -> int:
    """How a listing with this key is answered."""
    return gateway.get("/v1/models", key=key).status


def test_keys_of_a_running_gateway(gateway: Gateway) -> None:
    """When the command returns, the key works; when it is revoked, it has ended, without a restart."""
    data = ["--data", str(gateway.data)]
    done = gateway.run("keys", "create", "laptop", *data)
    key = done.stdout.decode().strip()
    assert (done.returncode, statuses(gateway, key)) == (0, 200)
    assert gateway.run("keys", "revoke", "laptop", *data).returncode == 0
    assert statuses(gateway, key) == 401
    assert statuses(gateway, KEY) == 200, "the file's keys stay"


def test_sighup_by_hand(gateway: Gateway) -> None:
    """A signal without a change changes nothing, and ends nothing."""
    os.kill(gateway.pid, signal.SIGHUP)
    os.kill(gateway.pid, signal.SIGHUP)
    eventually(lambda: statuses(gateway, KEY) == 200, "served")
    assert gateway.alive


def test_keys_that_cannot_be_read_again(gateway: Gateway) -> None:
    """A broken store at a reload must lock nobody out: the old keys stay in force, and the log says why."""
    with contextlib.closing(sqlite3.connect(gateway.data / "trunkline.db")) as database:
        database.execute("ALTER TABLE keys RENAME TO away")
    os.kill(gateway.pid, signal.SIGHUP)
    told = gateway.wait_log(lambda line: "keys could not be read again" in str(line.get("event")))
    assert told["level"] == "error"
    assert statuses(gateway, KEY) == 200


def test_keys_that_cannot_be_acknowledged(upstream: Upstream, tmp_path: Path) -> None:
    """No room for a line of text: the gateway starts, serves, and follows; it says what `trunkline keys` will not hear."""
    upstream.clear()
    (tmp_path / "data" / "keys.loaded.new").mkdir(parents=True)
    with Gateway(settings(upstream.url), tmp_path) as gateway:
        told = gateway.wait_log(lambda line: "cannot be told" in str(line.get("event")))
        assert told["level"] == "warning"
        assert statuses(gateway, KEY) == 200
        store = open_store(gateway.data)
        key, _ = keys.create(store, "laptop", None, 1)
        store.close()
        os.kill(gateway.pid, signal.SIGHUP)
        eventually(lambda: statuses(gateway, key) == 200, "the new key is in force")
        assert not any("could not be read again" in str(line.get("event")) for line in gateway.logs())


def test_sigterm_lets_streams_finish(gateway: Gateway, upstream: Upstream) -> None:
    """A deployment costs nobody an answer; with nothing left it ends, cleanly."""
    with gateway.stream(model="patient", mock="hold_at=1;frames=3") as stream:
        assert stream.next() is not None
        gateway.terminate()
        gateway.wait_log(lambda line: line.get("event") == "draining")
        eventually(lambda: refuses(gateway), "the port is closed")
        upstream.release()
        assert stream.rest()[-1] == b"[DONE]"
    assert gateway.wait(5) == 0
    assert [row["outcome"] for row in gateway.stored()] == ["ok"]
    assert gateway.logs()[-1]["event"] == "stopped"


def refuses(gateway: Gateway) -> bool:
    """Whether the data plane takes no connection."""
    with contextlib.suppress(OSError), gateway.connect(timeout=1):
        return False
    return True


def test_a_drain_has_an_end(upstream: Upstream, tmp_path: Path) -> None:
    """Whoever streams for ever is ended with an error event; the row says shutdown."""
    upstream.clear()
    with Gateway(settings(upstream.url, server={"drain_timeout": "100ms"}), tmp_path) as gateway:
        stream = gateway.stream(model="patient", mock="hold_at=1")
        assert stream.next() is not None
        gateway.terminate()
        events = stream.rest()
        assert json.loads(events[-1])["error"]["code"] == "shutting_down"
        assert stream.complete
        stream.close()
        assert gateway.wait(5) == 0
        assert [row["outcome"] for row in gateway.stored()] == ["shutdown"]


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_the_drain(gateway: Gateway, second: signal.Signals) -> None:
    """Who presses twice means it; the row is written all the same."""
    with gateway.stream(model="patient", mock="hold_at=1") as stream:
        assert stream.next() is not None
        gateway.terminate()
        gateway.wait_log(lambda line: line.get("event") == "draining")
        begin = time.monotonic()
        os.kill(gateway.pid, second)
        assert gateway.wait(5) == 0
        assert time.monotonic() - begin < 2
    assert [row["outcome"] for row in gateway.stored()] == ["shutdown"]


def test_not_ready_while_it_drains(upstream: Upstream, tmp_path: Path) -> None:
    """The load balancer hears it first, on both listeners; who comes in the grace is served."""
    upstream.clear()
    with Gateway(settings(upstream.url, server={"drain_grace": "1s"}), tmp_path) as gateway:
        assert gateway.get("/readyz").status == 200
        gateway.terminate()
        gateway.wait_log(lambda line: line.get("event") == "draining")
        assert [gateway.get("/readyz", admin=admin).status for admin in (False, True)] == [503, 503]
        assert gateway.get("/healthz").status == 200
        assert gateway.chat().status == 200
        assert gateway.wait(5) == 0


def test_a_taken_address_is_named() -> None:
    """`Address already in use` alone does not say which of the two."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(assemble.ListenError, match=rf"127\.0\.0\.1:{port}: Address already in use.*server:"):
            assemble._bind("127.0.0.1", port)


def test_tls(upstream: Upstream, tmp_path: Path) -> None:
    """The data plane speaks TLS where it is told to; the admin listener, on this machine, does not."""
    upstream.clear()
    authority = Authority(tmp_path)
    certificate, key = authority.client_files()
    config = settings(upstream.url, server={"tls": {"cert": str(certificate), "key": str(key)}})
    (tmp_path / "gateway").mkdir()
    with Gateway(config, tmp_path / "gateway") as gateway:
        context = ssl.create_default_context(cafile=authority.ca_file)
        context.check_hostname = False  # the harness's certificate is a client's
        with socket.create_connection(gateway.listen, 5) as plain, context.wrap_socket(plain) as secured:
            secured.sendall(request("GET", "/healthz", [("connection", "close")]))
            assert secured.recv(100).startswith(b"HTTP/1.1 200 ")
        assert gateway.get("/healthz", admin=True).status == 200
        assert b"https://" in b"".join(gateway.stderr)

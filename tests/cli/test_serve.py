"""`trunkline serve`, as a person meets it: what it prints, and how it fails."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from openai import OpenAI
from typing_extensions import override

from harness.gateway import KEY, Gateway, GatewayDied, settings
from trunkline.cli.serve import _has_ollama

FREE = {"TRUNKLINE_SERVER__LISTEN": "127.0.0.1:0", "TRUNKLINE_SERVER__ADMIN": "127.0.0.1:0"}
NOWHERE = "http://127.0.0.1:9/v1"
SHOWN = re.compile(r"shown only this once:\s+(tl-[\w-]{43})\s")


class Bare(Gateway):
    """Started without a configuration file."""

    def __init__(self, folder: Path, **environ: str) -> None:
        super().__init__("", folder, env=FREE | environ)
        self.config_file.unlink()

    @override
    def command(self, *words: str) -> list[str]:
        return [word for word in super().command(*words) if word not in {"--config", str(self.config_file)}]

    @property
    def banner(self) -> str:
        """What it said on standard error."""
        return b"".join(self.stderr).decode()


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody else has."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield int(other.getsockname()[1])


def test_the_first_start_shows_a_key_once(tmp_path: Path) -> None:
    """The first request works with what is on the screen; the second start does not repeat the key."""
    with Bare(tmp_path) as gateway:
        key = SHOWN.search(gateway.banner)
        assert key is not None
        host, port = gateway.listen
        assert f"http://{host}:{port}/v1" in gateway.banner
        with OpenAI(base_url=f"http://{host}:{port}/v1", api_key=key[1], max_retries=0) as client:
            told = client.chat.completions.create(model="echo/echo", messages=[{"role": "user", "content": "Hello!"}])
        assert told.choices[0].message.content == "Hello!"
        assert gateway.stop() == 0
        gateway.restart()
        assert key[1] not in gateway.banner
        assert SHOWN.search(gateway.banner) is None
        assert "trunkline keys create NAME" in gateway.banner
        assert gateway.get("/v1/models", key=key[1]).status == 200
        assert key[1].encode() not in b"".join(gateway.stdout), "never in the log"


def test_the_example_works_as_it_stands(tmp_path: Path) -> None:
    """The curl on the screen is the first thing that is tried."""
    with Bare(tmp_path) as gateway:
        lines = gateway.banner.splitlines()
        start = next(number for number, line in enumerate(lines) if "curl" in line)
        words = " ".join(line.strip().removesuffix("\\") for line in lines[start : start + 2])
        url = re.search(r"curl (\S+)", words)
        credential = re.search(r"Authorization: Bearer ([\w-]+)", words)
        body = re.search(r"-d '(.*)'", words)
        assert url is not None
        assert credential is not None
        assert body is not None
        assert url[1].endswith("/v1/chat/completions")
        assert gateway.chat(key=credential[1], body=body[1].encode()).content == "Hello!"


@pytest.mark.parametrize(("environ", "listed"), [({}, "echo"), ({"OPENAI_API_KEY": "sk-canary-123"}, "echo, openai")])
def test_zero_configuration(tmp_path: Path, environ: dict[str, str], listed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Providers are found in the environment; their keys are shown nowhere."""
    with Bare(tmp_path, **environ) as gateway:
        providers = re.search(r"Providers: (.*)", gateway.banner)
        assert providers is not None
        assert providers[1].replace(", ollama", "") == listed
        assert "sk-canary" not in gateway.output()


def test_addresses_that_are_taken(tmp_path: Path, taken: int) -> None:
    """It says which, ends with 1, and does not use up the first key: nobody has seen it yet."""
    address = f"127.0.0.1:{taken}"
    for variable in FREE:
        gateway = Bare(tmp_path, **{variable: address})
        with pytest.raises(GatewayDied):
            gateway.start()
        assert gateway.wait() == 1
        assert f"Cannot listen on {address}: Address already in use" in gateway.banner
        assert "Traceback" not in gateway.output()
    with Bare(tmp_path) as gateway:
        assert SHOWN.search(gateway.banner) is not None


def test_a_second_gateway_on_the_same_data(tmp_path: Path) -> None:
    """Refused, with the other's process id and what to do; the first one is not disturbed."""
    with Bare(tmp_path) as first:
        second = Bare(tmp_path)
        with pytest.raises(GatewayDied):
            second.start()
        assert second.wait() == 1
        assert f"process {first.pid}" in second.banner
        assert "--data" in second.banner
        assert "Traceback" not in second.banner
        assert first.get("/healthz").status == 200


def test_a_configuration_with_mistakes(tmp_path: Path) -> None:
    """All of them, with their lines, and nothing is started or made."""
    (tmp_path / "gateway").mkdir()
    gateway = Gateway("server: {listen: nowhere}\nmodels: {m: {targets: [nobody/x]}}\n", tmp_path / "gateway")
    with pytest.raises(GatewayDied):
        gateway.start()
    assert gateway.wait() == 1
    told = gateway.output()
    assert "trunkline.yaml:1" in told
    assert "trunkline.yaml:2" in told
    assert "Traceback" not in told
    assert not (gateway.data / "trunkline.db").exists()


def test_a_data_directory_that_cannot_be(tmp_path: Path) -> None:
    """A file in its place: words and a remedy, no trace."""
    gateway = Bare(tmp_path)
    gateway.data = tmp_path / "file"
    gateway.data.write_text("")
    with pytest.raises((GatewayDied, FileExistsError)):
        gateway.start()
    done = gateway.run("serve", "--data", str(gateway.data))
    assert done.returncode == 1
    assert b"cannot be used" in done.stderr
    assert b"Traceback" not in done.stderr


def test_a_certificate_that_is_none(tmp_path: Path) -> None:
    """The file exists; what is in it is no certificate, which is a mistake like any other."""
    file = tmp_path / "cert.pem"
    file.write_text("no certificate\n")
    (tmp_path / "gateway").mkdir()
    gateway = Gateway(settings(NOWHERE, server={"tls": {"cert": str(file), "key": str(file)}}), tmp_path / "gateway")
    with pytest.raises(GatewayDied):
        gateway.start()
    assert gateway.wait() == 1
    assert f"{gateway.config_file}:" in gateway.output()
    assert ": server.tls: the certificate and its key must be a pair of PEM files" in gateway.output()
    assert "Traceback" not in gateway.output()


def test_what_is_configured_is_said(tmp_path: Path) -> None:
    """With keys in the file none is made; the example names a model there is; warnings are in the log."""
    config = settings(NOWHERE)
    config["models"]["m"]["targets"] = [{"to": "lab/tiny", "weight": 2}]
    with Gateway(config, tmp_path) as gateway:
        banner = b"".join(gateway.stderr).decode()
        assert str(gateway.config_file) in banner
        assert '-H "Authorization: Bearer $TRUNKLINE_KEY"' in banner, "in single quotes the shell would not fill it in"
        assert "tl-" not in banner
        assert "keys create" not in banner
        assert json.loads(re.findall(r"-d '(.*)'", banner)[0])["model"] in config["models"]
        assert any("weight" in line["event"] for line in gateway.logs() if line["level"] == "warning")
        assert KEY not in gateway.output()


@pytest.mark.parametrize(
    ("running", "host"),
    [(True, "127.0.0.1:{}"), (True, "localhost:{}"), (False, "127.0.0.1:{}"), (False, "127.0.0.1:{}9"), (False, "[::1")],
)
def test_a_local_ollama_is_noticed(running: bool, host: str) -> None:
    """Someone answers where Ollama's own variable says, or not; a senseless value is no reason to fail."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        if running:
            server.listen()
        place = host.format(server.getsockname()[1])
        assert _has_ollama({"OLLAMA_HOST": place}) is running


@pytest.mark.parametrize("host", ["box", "http://ollama.example:1", "192.0.2.1", "box.localhost"])
def test_an_ollama_elsewhere_is_taken_at_its_word(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that nobody answers for would hold up the start, or hide the Ollama that is named."""
    monkeypatch.setattr(socket, "create_connection", lambda *_: pytest.fail("looked up"))
    assert _has_ollama({"OLLAMA_HOST": host}) is True

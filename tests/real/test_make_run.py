"""What `make run` does once everything is installed: a first start with nothing, and all that the README says next.

The home is empty, there is no configuration, and of the environment only what is said here is left. The ports are the
machine's choice, as the usual ones may belong to a gateway that serves its user.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from harness.client import request
from harness.gateway import Gateway, python_path
from harness.script import whole
from harness.upstream import Upstream

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
KEY = re.compile(r"tl-[A-Za-z0-9_-]{43}\b")
HELLO: Any = [{"role": "user", "content": "Hello, world! How are you?"}]


class Bare(Gateway):
    """A gateway as a newcomer starts it: `trunkline serve`, and not a word more."""

    def __init__(self, folder: Path, **env: str) -> None:
        """`env`: variables that are set beside PATH and HOME."""
        super().__init__({}, folder)
        self.config_file.unlink()
        home = folder / "home"
        home.mkdir()
        self.env = {
            "PATH": os.environ.get("PATH", ""),
            "HOME": str(home),
            "PYTHONPATH": python_path(),
            "TRUNKLINE_SERVER__LISTEN": "127.0.0.1:0",
            "TRUNKLINE_SERVER__ADMIN": "127.0.0.1:0",
            "OLLAMA_HOST": f"127.0.0.1:{free_port()}",
            **env,
        }
        self.home = home

    def serve_words(self) -> list[str]:
        """No word more."""
        return ["serve"]

    def banner(self) -> str:
        """What a person sees."""
        return b"".join(self.stderr).decode()

    def key(self) -> str:
        """The key that the banner shows."""
        (key,) = set(KEY.findall(self.banner()))
        return str(key)

    def client(self, key: str) -> openai.OpenAI:
        """The SDK; whoever asks for one closes it."""
        return openai.OpenAI(base_url=f"http://{self.place()}/v1", api_key=key, max_retries=0, timeout=20)

    def place(self) -> str:
        """The address it serves at."""
        return f"{self.listen[0]}:{self.listen[1]}"

    def tell(self, *words: str) -> str:
        """The standard output of another command beside it, which must succeed."""
        done = self.run(*words)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()

    def export(self) -> list[dict[str, Any]]:
        """The rows of the ledger."""
        return [json.loads(line) for line in self.tell("usage", "export", "--format", "jsonl").splitlines()]


def free_port() -> int:
    """A port where nobody listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[Bare]:
    """A first start."""
    with Bare(tmp_path) as running:
        yield running


def status(gateway: Bare, key: str) -> int:
    """How a request with this key is answered."""
    return gateway.chat(key=key, model="echo/echo").status


def test_the_first_start_shows_a_key_that_works(bare: Bare) -> None:
    """Within a minute of cloning, with no account and no network, a person gets an answer from the SDK."""
    banner, key = bare.banner(), bare.key()
    assert f"http://{bare.place()}/v1" in banner
    assert f"http://{bare.admin[0]}:{bare.admin[1]}/metrics" in banner
    assert "Providers: echo\n" in banner
    with bare.client(key) as client:
        whole = client.chat.completions.create(model="echo/echo", messages=HELLO)
        chunks = list(client.chat.completions.create(model="echo/echo", messages=HELLO, stream=True))
        assert [model.id for model in client.models.list()] == ["echo/echo"]
    said = HELLO[0]["content"]
    assert whole.choices[0].message.content == said
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == said
    assert chunks[-1].choices[0].finish_reason == whole.choices[0].finish_reason == "stop"
    assert whole.usage is not None
    assert 3 <= whole.usage.prompt_tokens <= 12
    assert not [line for line in bare.stdout if key.encode() in line], "the key is in the log"


def test_what_is_kept_is_the_users_own(bare: Bare) -> None:
    """Only the user may read the data, and the key is in no file."""
    folders = [path for path in bare.home.rglob("*") if (path / "trunkline.db").exists()]
    assert len(folders) == 1
    assert folders[0].stat().st_mode & 0o777 == 0o700
    key = bare.key().encode()
    assert not [path for path in bare.home.rglob("*") if path.is_file() and key in path.read_bytes()]


def test_a_second_start_keeps_the_key(bare: Bare) -> None:
    """The key is shown once; after a restart it works on, and no other is made."""
    key = bare.key()
    assert bare.stop() == 0
    bare.restart()
    assert KEY.findall(bare.banner()) == []
    assert "trunkline keys create" in bare.banner()
    assert status(bare, key) == 200
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    command = bare.banner().partition("Try:")[2].partition("Another key")[0].strip()
    environment = {"PATH": os.environ["PATH"], "TRUNKLINE_KEY": key}
    done = subprocess.run(["sh", "-c", command], env=environment, capture_output=True, timeout=20, check=True)
    assert json.loads(done.stdout)["choices"][0]["message"]["content"] == "Hello!"


def test_the_banners_own_example_works(bare: Bare) -> None:
    """What is printed to be copied must run as it stands."""
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    command = bare.banner().partition("Try:")[2].strip()
    answer = json.loads(subprocess.run(["sh", "-c", command], capture_output=True, timeout=20, check=True).stdout)
    assert answer["choices"][0]["message"]["content"] == "Hello!"


def test_the_readmes_curl_works(bare: Bare) -> None:
    """The first thing anybody tries, as the README writes it."""
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    (command,) = re.findall(r"^curl http://127\.0\.0\.1:4000/v1/chat.*?\}'$", README, re.DOTALL | re.MULTILINE)
    environment = {"PATH": os.environ["PATH"], "TRUNKLINE_KEY": bare.key()}
    for text, streams in ((command, False), (command.replace('{"model"', '{"stream": true, "model"'), True)):
        words = ["sh", "-c", text.replace("127.0.0.1:4000", bare.place())]
        shown = subprocess.run(words, env=environment, capture_output=True, timeout=20, check=True).stdout
        if streams:
            assert shown.startswith(b"data: {")
            assert shown.endswith(b"data: [DONE]\n\n")
        else:
            assert json.loads(shown)["choices"][0]["message"]["content"] == "Hello!"


def test_the_readmes_python_works(bare: Bare) -> None:
    """The second thing anybody tries."""
    (program,) = re.findall(r"```python\n(from openai.*?)```", README, re.DOTALL)
    program = program.replace("127.0.0.1:4000", bare.place()).replace("tl-…", bare.key())
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=30, check=True)
    assert done.stdout.decode().strip() == "Hello!"


def test_providers_in_the_environment_are_offered(tmp_path: Path) -> None:
    """Who has accounts needs no file: the keys that are set, and a local Ollama that runs, are enough."""
    env = {"OPENAI_API_KEY": "sk-canary-openai-0123456789", "GROQ_API_KEY": "gsk-canary-groq-0123456789", "MISTRAL_API_KEY": ""}
    said = {"role": "assistant", "content": "Hi."}
    answer = {"model": "llama3.2", "created_at": "2026-01-01T00:00:00Z", "message": said, "done": True, "done_reason": "stop"}
    with Upstream() as ollama, Bare(tmp_path, **env, OLLAMA_HOST=f"127.0.0.1:{ollama.port}") as bare:
        assert "Providers: echo, groq, ollama, openai\n" in bare.banner()
        ollama.script(lambda _: [whole(200, json.dumps(answer).encode())])
        with bare.client(bare.key()) as client:
            told = client.chat.completions.create(model="ollama/llama3.2", messages=HELLO)
            assert (told.model, told.choices[0].message.content) == ("llama3.2", "Hi.")
            with pytest.raises(openai.NotFoundError):
                client.chat.completions.create(model="mistral/small", messages=HELLO)
        assert [seen.target for seen in ollama.requests] == ["/api/chat"]
        shown = [*bare.stdout, *bare.stderr]
        assert not [line for line in shown for name in ("OPENAI", "GROQ") if env[f"{name}_API_KEY"].encode() in line]


def test_keys_take_effect_at_once(bare: Bare) -> None:
    """When the command returns, the very next request is let in or turned away, on open connections too."""
    first = bare.key()
    second = bare.tell("keys", "create", "second").strip()
    assert KEY.fullmatch(second)
    assert status(bare, second) == 200
    narrow = bare.tell("keys", "create", "narrow", "--models", "gpt-4.1,smart").strip()
    assert status(bare, narrow) == 403
    with bare.connect() as wire:
        wire.send(bare.chat_bytes(key=second, model="echo/echo"))
        reply = wire.read_reply()
        assert reply is not None
        assert reply.status == 200
        bare.tell("keys", "revoke", "second")
        wire.send(bare.chat_bytes(key=second, model="echo/echo"))
        reply = wire.read_reply()
        assert reply is not None
        assert reply.status == 401
    with bare.client(second) as client, pytest.raises(openai.AuthenticationError):
        client.models.list()
    assert status(bare, first) == 200
    listed = bare.tell("keys", "list")
    assert re.search(r"second.*revoked", listed)
    assert not KEY.findall(listed)


def test_a_revoked_key_stays_revoked(bare: Bare) -> None:
    """A key that is revoked is never let in again, however often it was just used."""
    for number in range(3):
        name = f"short-lived-{number}"
        key = bare.tell("keys", "create", name).strip()
        for _ in range(3):
            assert status(bare, key) == 200
        bare.tell("keys", "revoke", name)
        assert [status(bare, key) for _ in range(3)] == [401] * 3


def test_usage_is_told_while_it_runs(bare: Bare) -> None:
    """What was used a moment ago is in the totals and the export, beside the running gateway and after it."""
    with bare.client(bare.key()) as client:
        usages = [client.chat.completions.create(model="echo/echo", messages=HELLO).usage for _ in range(3)]
        *_, last = client.chat.completions.create(
            model="echo/echo", messages=HELLO, stream=True, stream_options={"include_usage": True}
        )
        list(client.chat.completions.create(model="echo/echo", messages=HELLO, stream=True))
    counts = [usage for usage in [*usages, last.usage, last.usage] if usage is not None]
    spent = (5, sum(usage.prompt_tokens for usage in counts), sum(usage.completion_tokens for usage in counts))

    def check() -> None:
        rows = bare.export()
        assert (len(rows), *(sum(row[f"{side}_tokens"] for row in rows) for side in ("input", "output"))) == spent
        assert {(row["outcome"], row["basis"], row["cost_nano"]) for row in rows} == {("ok", "reported", 0)}
        for by, name in (("key", rows[0]["key"]), ("model", "echo/echo"), ("provider", "echo")):
            (total,) = json.loads(bare.tell("usage", "--by", by, "--json"))
            assert (total["name"], total["requests"], total["input_tokens"], total["output_tokens"]) == (name, *spent)
        shown = bare.tell("usage")
        assert all(re.search(rf"\b{number}\b", shown) for number in spent), shown

    check()
    assert bare.stop() == 0
    check()


def test_another_gateway_on_the_same_data_is_refused(bare: Bare) -> None:
    """Who starts it twice by mistake is told so, and the first one serves on."""
    done = bare.run("serve")
    assert done.returncode == 1
    assert str(bare.pid) in done.stderr.decode()
    assert status(bare, bare.key()) == 200


def test_the_health_of_a_first_start(bare: Bare) -> None:
    """What an operator asks first, on both ports, with no key."""
    for admin in (False, True):
        with bare.connect(admin=admin) as wire:
            for path in ("/healthz", "/readyz"):
                wire.send(request("GET", path, []))
                reply = wire.read_reply()
                assert reply is not None
                assert reply.status == 200

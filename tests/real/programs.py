"""Claude Code, Codex, Gemini CLI and opencode, each run unattended in a home of its own. `scripts/install-clients` installs.

How each is told where to call and whom to be is here; what they must do is in their tests.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import override

MODULES = Path(__file__).parent / "clients" / "node_modules"
PROMPT = "Run the shell command that prints a number and tell me what it printed."
TIMEOUT = 60.0
_NOWHERE = "http://127.0.0.1:9"
"""A proxy that nobody is: who wants the network is refused at once, as on a machine without one."""


@dataclass(frozen=True)
class Ended:
    """A program that ended by itself."""

    code: int
    stdout: str
    stderr: str
    seconds: float

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Standard output as one JSON object a line."""
        return [json.loads(line) for line in self.stdout.splitlines() if line.startswith("{")]

    @override
    def __str__(self) -> str:
        return f"exit status {self.code} after {self.seconds:.1f} s\n{self.stdout[-4000:]}\n{self.stderr[-4000:]}"


def _program(pattern: str) -> str:
    """The installed program; skipped by name where there is none."""
    found = sorted(MODULES.glob(pattern))
    if not found:
        pytest.skip(f"{Path(pattern).name} is not installed (scripts/install-clients)")
    return str(found[0])


def run(command: Sequence[str], folder: Path, env: dict[str, str], timeout: float = TIMEOUT) -> Ended:
    """Run a program to its end, in a process group of its own that is ended with it; no network but loopback."""
    home = folder / "home"
    home.mkdir(exist_ok=True)
    proxies = {name: _NOWHERE for stem in ("HTTP_PROXY", "HTTPS_PROXY") for name in (stem, stem.lower())}
    loopback = dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1,localhost")
    base = {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8", "TMPDIR": str(folder), "NO_COLOR": "1"}
    begun = time.monotonic()
    process = subprocess.Popen(
        command,
        cwd=folder,
        env={**base, **proxies, **loopback, **env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        _end(process)
        out, err = process.communicate()
        raise AssertionError(
            f"{Path(command[0]).name} did not end in {timeout} s\n{out[-3000:].decode()}\n{err[-3000:].decode()}"
        ) from None
    finally:
        _end(process)
    return Ended(process.returncode, out.decode(), err.decode(), time.monotonic() - begun)


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def claude(folder: Path, url: str, key: str, model: str, *words: str, prompt: str = PROMPT, **env: str) -> Ended:
    """One turn of Claude Code; the answer is one JSON object on standard output. `url` has no `/v1`."""
    program = _program("@anthropic-ai/claude-code-*/claude")
    quiet = (
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC",
        "DISABLE_TELEMETRY",
        "DISABLE_AUTOUPDATER",
        "DISABLE_ERROR_REPORTING",
    )
    settings = {"ANTHROPIC_BASE_URL": url, "ANTHROPIC_AUTH_TOKEN": key, **dict.fromkeys(quiet, "1"), **env}
    return run([program, "-p", prompt, "--output-format", "json", "--model", model, *words], folder, settings)


def codex(folder: Path, url: str, key: str, model: str, prompt: str = PROMPT) -> Ended:
    """One turn of Codex; events as JSON lines on standard output. `url` has no `/v1`."""
    program = _program("@openai/codex-*/vendor/*/bin/codex")
    place = folder / "home" / ".codex"
    place.mkdir(parents=True, exist_ok=True)
    provider = {"name": "Trunkline", "base_url": f"{url}/v1", "env_key": "TRUNKLINE_KEY", "wire_api": "responses"}
    chosen = {"model": model, "model_provider": "trunkline", "approval_policy": "never", "sandbox_mode": "danger-full-access"}
    lines = [f"{name} = {json.dumps(value)}" for name, value in chosen.items()]
    lines += ["[model_providers.trunkline]", *(f"{name} = {json.dumps(value)}" for name, value in provider.items())]
    (place / "config.toml").write_text("\n".join(lines))
    command = [program, "exec", "--skip-git-repo-check", "--json", prompt]
    return run(command, folder, {"TRUNKLINE_KEY": key})


def gemini(folder: Path, url: str, key: str, model: str | None, prompt: str = PROMPT) -> Ended:
    """One turn of Gemini CLI, which asks its router for a model where none is given. `url` has no `/v1beta`."""
    program = _program(".bin/gemini")
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    place = folder / "home" / ".gemini"
    place.mkdir(parents=True, exist_ok=True)
    # With a base URL it would choose an authentication that it then refuses when it runs unattended.
    (place / "settings.json").write_text(json.dumps({"security": {"auth": {"selectedType": "gemini-api-key"}}}))
    chosen = [] if model is None else ["-m", model]
    settings = {"GEMINI_API_KEY": key, "GOOGLE_GEMINI_BASE_URL": url}
    return run([program, "-p", prompt, "--yolo", "--skip-trust", "-o", "json", *chosen], folder, settings)


def opencode(folder: Path, package: str, url: str, key: str, model: str) -> Ended:
    """One turn of opencode through one of its SDKs; events as JSON lines on standard output. `url` ends with its version."""
    program = _program("opencode-*/bin/opencode")
    provider = {"npm": package, "options": {"baseURL": url, "apiKey": key}, "models": {model: {"reasoning": True}}}
    config = {
        "provider": {"trunkline": provider},
        "permission": "allow",
        "small_model": f"trunkline/{model}",
        "enabled_providers": ["trunkline"],
    }
    (folder / "opencode.json").write_text(json.dumps(config))
    off = ("MODELS_FETCH", "AUTOUPDATE", "LSP_DOWNLOAD", "DEFAULT_PLUGINS")
    settings = {f"OPENCODE_DISABLE_{name}": "1" for name in off}
    return run([program, "run", "--format", "json", "-m", f"trunkline/{model}", PROMPT], folder, settings)

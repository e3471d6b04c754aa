"""opencode, as it is installed from npm, unattended through the gateway, by each of the SDKs that are inside of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.gateway import KEY
from real import programs
from real.line import KINDS, TURNS, Line, via
from real.scripted import PRINTED
from real.tongues import ANSWERED, PROMPT

SDKS = {
    "@ai-sdk/openai-compatible": ("/v1", ("responses", "openai", "deepseek", "anthropic", "gemini", "ollama")),
    "@ai-sdk/openai": ("/v1", ("responses", "openai", "anthropic", "gemini")),
    "@ai-sdk/anthropic": ("/v1", ("anthropic", "gemini", "deepseek")),
    "@ai-sdk/google": ("/v1beta", ("gemini", "anthropic", "ollama")),
}
"""What it is told to speak -> the version its address ends with, and the providers it is tried with."""
assert set(KINDS) == set(SDKS["@ai-sdk/openai-compatible"][1])


@pytest.mark.parametrize(("sdk", "kind"), [(sdk, kind) for sdk, (_, kinds) in SDKS.items() for kind in kinds])
def test_it_works_with_any_provider(sdk: str, kind: str, line: Line, tmp_path: Path) -> None:
    """Whichever SDK speaks, and whoever answers: tools run, thinking kept, tokens counted; the title beside them too."""
    version, _ = SDKS[sdk]
    ended = programs.opencode(tmp_path, sdk, line.url + version, KEY, via(kind))
    assert ended.code == 0, ended
    events = ended.lines
    said = "".join(event["part"]["text"] for event in events if event["type"] == "text")
    for printed in PRINTED:
        assert printed in said, ended
    line.check(kind)
    used = [event["part"]["tokens"] for event in events if event["type"] == "step_finish"]
    assert [one["input"] + one["cache"]["read"] for one in used] == [PROMPT] * TURNS
    assert [one["output"] + one["reasoning"] for one in used] == [ANSWERED] * TURNS

"""Through the gateway by any of the four SDKs, translated or not: what llama.cpp itself says by its own two APIs.

llama.cpp speaks chat completions and messages natively, and at temperature 0 always says the same. So it stands behind the
gateway twice, as a provider of either kind, and what a client is told must not depend on which way it came.
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from harness.gateway import KEY, Gateway
from real.four import MAX_TOKENS, PARAMETERS, SDKS, Place, Question, Told, by_anthropic, by_openai
from real.llama import API_KEY, MODEL

KINDS = ("openai", "anthropic")
QUESTIONS = {
    "plain": Question(),
    "long": Question(max_tokens=400),
    "a system's words": Question(system="Be brief. Ünd \u2028 so on."),
    "a history": Question(before=(("user", "One"), ("assistant", "two"), ("user", "three"), ("assistant", "four"))),
    "a stop word": Question(stop=("U", "8")),
    "a tool to call": Question(tools=True, max_tokens=200),
    "a tool's result": Question(before=(("user", "Paint it"),), result='It is "red" now: ä漢😀', tools=True),
    "a schema": Question(schema=PARAMETERS | {"additionalProperties": False}, max_tokens=200),
}
FINISHES = {"a stop word": "stop", "a tool to call": "tool_calls", "a tool's result": "tool_calls", "a schema": "stop"}
"""How they end; all others run into the limit."""


@dataclass(frozen=True)
class World:
    """Both servers' addresses, and the gateway's."""

    plain: str
    calling: str
    through: str

    def place(self, question: Question, kind: str) -> Place:
        """Where a client asks, that its question goes to a provider of this kind."""
        return Place(self.through, KEY, f"{'calling' if question.tools else 'plain'}-{kind}")

    @functools.cache  # noqa: B019 - lives as long as the tests of this file
    def own(self, question: str, api: str) -> Told:
        """What the server itself says by one of its APIs."""
        asked = QUESTIONS[question]
        place = Place(self.calling if asked.tools else self.plain, API_KEY, MODEL)
        return (by_openai if api == "openai" else by_anthropic)(place, asked, stream=False)


def _settings(urls: dict[str, str]) -> dict[str, Any]:
    """Both servers as a provider of each kind."""
    pairs = [(name, kind) for name in urls for kind in KINDS]
    return {
        "server": {"listen": "127.0.0.1:0", "admin": "127.0.0.1:0"},
        "providers": {
            f"{name}-{kind}": {"kind": kind, "base_url": f"{urls[name]}/v1", "api_key": API_KEY} for name, kind in pairs
        },
        "models": {f"{name}-{kind}": {"targets": [f"{name}-{kind}/{MODEL}"]} for name, kind in pairs},
        "keys": [{"name": "tester", "secret": KEY}],
    }


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One server that talks, one that calls tools, and the gateway. Skipped where a part is not installed."""
    for part in ("xllamacpp", "gguf", "numpy"):
        if importlib.util.find_spec(part) is None:
            pytest.skip(f"{part} is not installed")
    from real.llama import Llama  # noqa: PLC0415 - not before its parts are known to be there

    folder = tmp_path_factory.mktemp
    with Llama(folder("plain")) as plain, Llama(folder("calling"), calls=True) as calling:
        settings = _settings({"plain": plain.url, "calling": calling.url})
        with Gateway(settings, folder("gateway")) as gateway:
            yield World(plain.url, calling.url, "http://{}:{}".format(*gateway.listen))


@pytest.mark.parametrize("name", [name for name in QUESTIONS if name != "a schema"])
def test_its_own_two_apis_agree(name: str, world: World) -> None:
    """Else nothing here would prove anything; and each question ends as it is meant to."""
    told = world.own(name, "openai")
    assert world.own(name, "anthropic") == told
    assert told.finish == FINISHES.get(name, "length")
    assert told.text or told.calls
    if told.finish == "length":
        assert told.made == QUESTIONS[name].max_tokens >= MAX_TOKENS


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sdk", SDKS)
@pytest.mark.parametrize("name", [name for name in QUESTIONS if name != "a schema"])
def test_every_way_tells_the_same(name: str, sdk: str, kind: str, stream: bool, world: World) -> None:
    """The same text, calls, end and tokens, whichever SDK asks and whichever API answers."""
    question = QUESTIONS[name]
    assert SDKS[sdk](world.place(question, kind), question, stream=stream) == world.own(name, kind)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("sdk", SDKS)
def test_a_schema_binds_the_answer(sdk: str, stream: bool, world: World) -> None:
    """Structured output is a promise: however it is told, the schema must reach the grammar. llama.cpp's messages take none."""
    question = QUESTIONS["a schema"]
    told = world.own("a schema", "openai")
    assert told.finish == FINISHES["a schema"]
    assert SDKS[sdk](world.place(question, "openai"), question, stream=stream) == told

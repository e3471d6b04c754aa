"""The oldest API of all, by the official SDK, in front of providers that only chat: text comes back, whole and streamed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from conformance.plays import PLAYS, TEXT, Play
from conformance.stage import Stage
from conformance.test_turns import part_of
from harness.gateway import Gateway

TALKS = [play for play in PLAYS.values() if not play.tools or play.api in {"ollama", "openai"}]
EVERY_PLAY = pytest.mark.parametrize("play", TALKS, ids=[play.name for play in TALKS])
PROMPT = "Once upon a time"


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """One gateway with a provider for every play."""
    folder = tmp_path_factory.mktemp("completions")
    with Stage(lambda config: Gateway(config, folder), map(part_of, TALKS)) as running:
        yield running


def completions(stage: Stage) -> Any:
    """The SDK's."""
    return stage.clients["openai"].sdk.completions


def model_of(play: Play) -> str:
    """As a client of the gateway names it."""
    return f"p-{play.name}/{play.model}"


@EVERY_PLAY
def test_a_text_is_gone_on_with(play: Play, stage: Stage) -> None:
    """What a model thinks is no part of the text; the prompt is, where the client wants it back."""
    told = completions(stage).create(model=model_of(play), prompt=PROMPT, echo=True)
    assert told.choices[0].text == PROMPT + TEXT
    assert told.usage is not None
    assert (told.usage.prompt_tokens, told.usage.completion_tokens) == (10, 20)


@EVERY_PLAY
@pytest.mark.parametrize("cut", ["bytes", "random"])
def test_a_text_is_streamed(play: Play, cut: str, stage: Stage) -> None:
    """In pieces, with its end and its usage, however the packets fall."""
    stage.cut = cut
    options = {"include_usage": True}
    told = list(completions(stage).create(model=model_of(play), prompt=PROMPT, stream=True, stream_options=options))
    assert "".join(choice.text for one in told for choice in one.choices) == TEXT
    assert [choice.finish_reason for one in told for choice in one.choices if choice.finish_reason] == ["stop"]
    assert told[-1].usage is not None
    assert (told[-1].usage.prompt_tokens, told[-1].usage.completion_tokens) == (10, 20)

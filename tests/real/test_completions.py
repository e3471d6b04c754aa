"""Through the gateway or directly: the official SDK's `completions` returns the same. And what it returns where the model
behind it only knows chat.

Ids, times and llama.cpp's own timings differ at every request and are left out.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from harness.gateway import Gateway
from real.llama import API_KEY, MODEL
from real.sides import Sides, by_choice, plain, settings

PROMPT = "Hällo 漢字 👩‍🚀"
SAME: dict[str, Any] = {"temperature": 0, "seed": 1, "max_tokens": 24, "extra_body": {"cache_prompt": False}}
BRIDGED = "bridged"
ASKS: dict[str, dict[str, Any]] = {
    "plain": {},
    "two answers": {"n": 2},
    "a stop word": {"stop": ["U", "8"]},
    "probabilities": {"logprobs": 2, "max_tokens": 6},
    "several prompts": {"prompt": [PROMPT, "Another one"]},
    "tokens": {"prompt": [72, 101, 108, 108, 111]},
}
ALL = [{"model": MODEL, "prompt": PROMPT, **SAME, **ask} for ask in ASKS.values()]
EVERY = pytest.mark.parametrize("ask", ALL, ids=ASKS)
STREAMED = pytest.mark.parametrize("ask", [ask for ask in ALL if ask["prompt"] != ASKS["several prompts"]["prompt"]])
"""Several prompts begin with an event of `null` in llama.cpp's streams, which the SDK itself cannot read."""


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sides]:
    """Both ways to the same model, and a third through a provider that is spoken to in chat alone."""
    for part in ("xllamacpp", "gguf", "numpy"):
        if importlib.util.find_spec(part) is None:
            pytest.skip(f"{part} is not installed")
    from real.llama import Llama  # noqa: PLC0415 - not before its parts are known to be there

    with Llama(tmp_path_factory.mktemp("llama")) as llama:
        told = settings(llama.url)
        told["providers"]["chatlab"] = {
            "kind": "openai", "base_url": f"{llama.url}/v1", "api_key": API_KEY, "dialect": "openai_chat",
        }  # fmt: skip
        told["providers"]["textlab"] = {**told["providers"]["chatlab"], "dialect": "openai_completions"}
        told["models"][BRIDGED] = {"targets": [f"chatlab/{MODEL}"]}
        told["models"]["text"] = {"targets": [f"textlab/{MODEL}"]}
        with Gateway(told, tmp_path_factory.mktemp("gateway")) as gateway, Sides(llama, gateway) as both:
            yield both


def chatted(sides: Sides, prompt: str, **more: Any) -> tuple[list[str], int]:
    """What the model says to the prompt in a chat, asked directly, and the tokens that it reports (of one answer only)."""
    asked = {"model": MODEL, "messages": [{"role": "user", "content": prompt}], **SAME, **more}
    answer = sides.direct.chat.completions.create(**asked)
    assert answer.usage
    return [choice.message.content or "" for choice in answer.choices], answer.usage.completion_tokens


@EVERY
def test_whole_answers_are_the_same(ask: dict[str, Any], sides: Sides) -> None:
    """A program that moves behind the gateway must notice nothing."""
    direct = plain(sides.direct.completions.create(**ask))
    assert direct["usage"]["completion_tokens"] > 0
    assert plain(sides.through.completions.create(**ask)) == direct


@pytest.mark.parametrize("include", [False, True], ids=["usage not asked", "usage asked"])
@STREAMED
def test_streams_are_the_same(ask: dict[str, Any], include: bool, sides: Sides) -> None:
    """Chunk by chunk; usage that only the gateway asked for stays with it, and is in the ledger."""
    asked = {**ask, "stream": True, **({"stream_options": {"include_usage": True}} if include else {})}
    direct = by_choice(sides.direct.completions.create(**asked))
    raw = sides.through.completions.with_raw_response.create(**asked)
    assert by_choice(raw.parse()) == direct
    row = sides.rows()[raw.headers["x-request-id"]]
    assert (row["outcome"], row["basis"], row["endpoint"]) == ("ok", "reported", "completions")
    assert row["output_tokens"] > 0


@pytest.mark.parametrize("echo", [False, True])
def test_bridged_to_chat(echo: bool, sides: Sides) -> None:
    """The prompt is what a person says; whole or streamed, the text is the model's own, and the prompt before it if asked."""
    said = (PROMPT if echo else "") + chatted(sides, PROMPT)[0][0]
    asked: dict[str, Any] = {"model": BRIDGED, "prompt": PROMPT, **SAME, "echo": echo}
    whole = sides.through.completions.create(**asked)
    assert (whole.object, [choice.text for choice in whole.choices]) == ("text_completion", [said])
    assert whole.choices[0].finish_reason == "length"
    chunks = list(sides.through.completions.create(**asked, stream=True, stream_options={"include_usage": True}))
    assert "".join(chunk.choices[0].text for chunk in chunks[:-1]) == said
    assert {chunk.object for chunk in chunks} == {"text_completion"}
    assert (chunks[-2].choices[0].finish_reason, chunks[-1].usage) == ("length", whole.usage)


@pytest.mark.parametrize("stream", [False, True])
def test_several_prompts_bridged(stream: bool, sides: Sides) -> None:
    """Answer j to prompt i is number i * n + j, the usage is that of all, and there is one row."""
    prompts = ["One", "Two", PROMPT]
    direct = [chatted(sides, prompt, n=2) for prompt in prompts]
    expected = [prompt + text for prompt, (texts, _) in zip(prompts, direct, strict=True) for text in texts]
    spent = sum(tokens for _, tokens in direct)
    asked: dict[str, Any] = {"model": BRIDGED, "prompt": prompts, **SAME, "n": 2, "echo": True, "stream": stream}
    raw = sides.through.completions.with_raw_response.create(**asked)
    answer = raw.parse()
    if stream:
        found = [""] * 6
        for chunk in answer:
            found[chunk.choices[0].index] += chunk.choices[0].text
        assert found == expected
    else:
        assert [(choice.index, choice.text) for choice in answer.choices] == list(enumerate(expected))
        assert answer.usage.completion_tokens == spent
    row = sides.rows()[raw.headers["x-request-id"]]
    assert (row["outcome"], row["stream"], row["output_tokens"], row["finish"]) == ("ok", stream, spent, "length")


def test_what_a_chat_cannot_do_is_refused(sides: Sides) -> None:
    """Tokens of one model are noise to another, and what stands behind a gap cannot be told: an answer would be to another
    question.
    """
    for more, said in (({"prompt": [1, 2]}, "send the text"), ({"suffix": "end"}, "'suffix'")):
        with pytest.raises(openai.BadRequestError, match=said):
            sides.through.completions.create(**{"model": BRIDGED, "prompt": PROMPT, **SAME, **more})


def test_a_chat_on_a_model_that_only_completes(sides: Sides) -> None:
    """It says where such a model is asked."""
    with pytest.raises(openai.BadRequestError, match="/v1/completions"):
        sides.through.chat.completions.create(model="text", messages=[{"role": "user", "content": "Hi"}])
    assert sides.through.completions.create(model="text", prompt="Hi", **SAME).choices[0].text

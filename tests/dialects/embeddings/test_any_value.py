"""Anything anywhere, from clients and from providers, in both families: a 400, a 502 or an answer; never another exception."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialects.odd import ODD, changed, each
from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.facts import NO_FACTS, Facts
from trunkline.canon.loss import Loss
from trunkline.dialects.dialect import Frame, Named
from trunkline.dialects.tasks import EMBEDDINGS, PICTURES, TASKS

PARTS = [{"text": "a"}, {"inlineData": {"mimeType": "image/png", "data": "aaaa"}}]
CONTENT = [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,aaaa"}}]
EMBED = {"content": {"parts": PARTS}, "taskType": "CLUSTERING", "title": "t", "outputDimensionality": 8, "autoTruncate": True}
#: family, client, form, a request
ASKED: list[tuple[str, str, str, Any]] = [
    ("embed", "openai_chat", "",
     {"model": "m", "input": ["a", {"content": CONTENT}], "dimensions": 8, "encoding_format": "base64", "user": "u",
      "input_type": "query"}),
    ("embed", "openai_chat", "", {"model": "m", "input": [[1, 2], [3]]}),
    ("embed", "gemini", "", EMBED),
    ("embed", "gemini", "batch", {"requests": [{"model": "models/m", **EMBED}, EMBED]}),
    ("embed", "ollama", "",
     {"model": "m", "input": ["a", "b"], "dimensions": 8, "truncate": True, "keep_alive": 5, "options": {"num_ctx": 5}}),
    ("embed", "ollama", "old", {"model": "m", "prompt": "a"}),
    ("image", "openai_chat", "",
     {"model": "m", "prompt": "a", "n": 2, "size": "1536x1024", "quality": "high", "background": "opaque",
      "response_format": "url", "stream": False, "user": "u", "output_format": "png"}),
]  # fmt: skip
USAGE = {"prompt_tokens": 3, "total_tokens": 3, "prompt_tokens_details": {"cached_tokens": 1}}
#: family, provider, an answer
ANSWERED: list[tuple[str, str, Any]] = [
    ("embed", "openai_chat",
     {"data": [{"index": 0, "embedding": [1, 2]}, {"embedding": "AACAPw=="}], "model": "m", "usage": USAGE}),
    ("embed", "gemini", {"embeddings": [{"values": [1]}], "usageMetadata": {"promptTokenCount": 3}}),
    ("embed", "gemini", {"predictions": [{"embeddings": {"values": [1], "statistics": {"token_count": 3}}}]}),
    ("embed", "ollama", {"model": "m", "embeddings": [[1], [2]], "prompt_eval_count": 3}),
    ("embed", "ollama", {"embedding": [1]}),
    ("embed", "cohere", {"embeddings": {"float": [[1]]}, "meta": {"billed_units": {"input_tokens": 3}}}),
    ("embed", "bedrock", {"embedding": [1], "inputTextTokenCount": 3}),
    ("embed", "bedrock", {"embeddings": {"float": [[1]]}}),
    ("embed", "bedrock", {"embeddings": [[1]]}),
    ("image", "openai_chat", {"created": 1, "data": [{"b64_json": "aaaa"}], "usage": {"input_tokens": 3, "output_tokens": 4}}),
    ("image", "gemini", {
        "candidates": [{"content": {"parts": [{"text": "a"}, PARTS[1]]}, "finishReason": "STOP", "finishMessage": "m"}],
        "promptFeedback": {"blockReason": "b"},
        "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 4},
    }),
    ("image", "gemini",
     {"predictions": [{"bytesBase64Encoded": "aaaa", "mimeType": "image/png"}, {"raiFilteredReason": "no"}]}),
]  # fmt: skip
FACTS = (
    NO_FACTS,
    *(
        Facts(form=form, aspects=("1:1", "16:9"), picture_sizes=("2K",))
        for form in ("predict", "config", "titan", "titan_image", "cohere")
    ),
)


def ask(family: str, client: str, form: str, body: bytes) -> None:
    """Read a request, and write it for every provider."""
    side = TASKS[family].clients[client]
    try:
        asked = side.read_request(body, Named(form, "m"))
        assert side.estimate_input(asked) >= 0
        side.write_request(asked, "big", NO_FACTS, Loss(strict=False))
        question = side.read(asked)
    except GatewayError as error:
        assert error.kind is Kind.BAD_REQUEST, body  # noqa: PT017 - whether it is raised is not the point
        return
    for provider in TASKS[family].providers.values():
        for facts in FACTS:
            try:
                assert provider.write(question, "m", facts, Loss(strict=False))
            except GatewayError as error:
                assert error.kind is Kind.BAD_REQUEST, body  # noqa: PT017


def answer(family: str, provider: str, body: bytes) -> None:
    """Read an answer, in passing and at all, and write it for every client."""
    task = TASKS[family]
    asks = [one for one in ASKED if one[0] == family]
    asked = [
        (name, task.clients[name].read_request(json.dumps(told).encode(), Named(form, "m"))) for _, name, form, told in asks
    ]
    for name, one in asked:
        if name == provider:
            _upstream(lambda one=one: task.clients[provider].read_reply(one, body))
    side = task.providers.get(provider)
    found = _upstream(lambda: side.read_answer([body, body])) if side is not None else None
    if found is not None:
        for name, one in asked:
            client = task.clients[name]
            _upstream(lambda client=client, one=one: client.write_answer(found, client.read(one), Frame(one, "id", 1)))


def _upstream(function: Any) -> Any:
    try:
        return function()
    except GatewayError as error:
        assert error.fault == "upstream"  # noqa: PT017
        return None


@pytest.mark.parametrize("case", ASKED, ids=lambda case: "-".join(part for part in case[:3] if part))
def test_one_odd_value_anywhere_in_a_request(case: tuple[str, str, str, Any]) -> None:
    """Any of a client's bytes are answered, with a 400 at worst."""
    *where, told = case
    for body in each(told):
        ask(*where, body)


@pytest.mark.parametrize("case", ANSWERED, ids=lambda case: "-".join(case[:2]))
def test_one_odd_value_anywhere_in_an_answer(case: tuple[str, str, Any]) -> None:
    """Any of a provider's bytes are answered, with a 502 at worst."""
    *where, told = case
    for body in each(told):
        answer(*where, body)


CHANGES = st.lists(st.tuples(st.integers(0, 60), st.sampled_from(ODD)), min_size=1, max_size=3)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(ASKED), CHANGES)
def test_odd_values_in_a_request(case: tuple[str, str, str, Any], changes: list[tuple[int, str]]) -> None:
    """Several at once."""
    *where, told = case
    ask(*where, changed(told, changes))


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(ANSWERED), CHANGES)
def test_odd_values_in_an_answer(case: tuple[str, str, Any], changes: list[tuple[int, str]]) -> None:
    """Several at once."""
    *where, told = case
    answer(*where, changed(told, changes))


@settings(max_examples=100, deadline=None)
@given(st.sampled_from([*EMBEDDINGS.clients, *EMBEDDINGS.providers]), st.binary(max_size=60))
def test_any_bytes(name: str, body: bytes) -> None:
    """From either side."""
    for word, family in TASKS.items():
        if name in family.clients:
            for form in ("", "batch", "old"):
                if (word, name, form) in {one[:3] for one in ASKED}:
                    ask(word, name, form, body)
        if family.spoken(name):
            answer(word, name, body)


def test_pictures_have_no_other_clients() -> None:
    """Or they would have to be among the cases above."""
    assert {(word, one) for word, family in TASKS.items() for one in family.clients} == {case[:2] for case in ASKED}
    assert set(PICTURES.providers) == {"gemini"}

"""Parameters that OpenAI's APIs say alike."""

from __future__ import annotations

from typing import Any

import pytest

from trunkline.canon.chat import Chat, OutputFormat, Reasoning, Sampling
from trunkline.canon.facts import NO_FACTS, Facts
from trunkline.canon.loss import Loss
from trunkline.dialects.openai_shape import settings


def asked(**fields: Any) -> Chat:
    """A request without a message."""
    return Chat("d", "m", (), **fields)


def test_names_fit() -> None:
    """OpenAI refuses a request for one character of a tool's name."""
    assert settings.fit_name("a-b_1") == "a-b_1"
    assert settings.fit_name("a.b").startswith("a_b_")
    assert len(settings.fit_name("x" * 99)) == 64


def test_parameters_are_named_as_openai_does() -> None:
    """What was not asked for is None, and so is what asks for nothing."""
    told = settings.wanted(
        asked(max_tokens=5, stop=("a",), sampling=Sampling(top_k=3, logit_bias={})), NO_FACTS, Loss(strict=True)
    )
    assert {name: value for name, value in told.items() if value is not None} == {"max_tokens": 5, "top_k": 3, "stop": ["a"]}
    assert settings.wanted(asked(sampling=Sampling(logit_bias={"1": 2})), NO_FACTS, Loss(strict=True))["logit_bias"] == {"1": 2}


@pytest.mark.parametrize(
    ("reasoning", "efforts", "word", "noted"),
    [
        (Reasoning("on", "high"), (), "high", []),
        (Reasoning("on", "max"), ("low", "high"), "high", ["reasoning_effort"]),
        (Reasoning("on", budget=2048), ("low", "high"), "low", ["reasoning_effort"]),
        (Reasoning("on"), ("low",), "", []),
    ],
)
def test_effort_is_said_in_the_models_words(
    reasoning: Reasoning, efforts: tuple[str, ...], word: str, noted: list[str]
) -> None:
    """Another word is an error; that the measure is another is told."""
    loss = Loss(strict=False)
    assert settings.effort(reasoning, Facts(efforts=efforts), loss) == word
    assert list(loss.names) == noted


SCHEMA = OutputFormat("schema", {"type": "object"}, "n", "d", strict=True)


@pytest.mark.parametrize(
    ("output", "facts", "kept"),
    [
        (None, Facts(schema=False), True),
        (SCHEMA, NO_FACTS, True),
        (SCHEMA, Facts(schema=False), False),
        (OutputFormat("json"), Facts(schema=False), True),
        (OutputFormat("json"), Facts(refuses=frozenset({"response_format"})), False),
    ],
)
def test_an_output_that_the_model_does_not_take_is_lost(output: OutputFormat | None, facts: Facts, kept: bool) -> None:
    """It is named, for the client will parse the answer."""
    loss = Loss(strict=False)
    assert settings.output(asked(output=output), facts, loss) == (output if kept else None)
    assert list(loss.names) == ([] if kept else ["response_format"])


def test_a_schema_has_a_name() -> None:
    """It is required in OpenAI's APIs and in no other."""
    assert settings.schema(OutputFormat("schema")) == {"name": "answer", "schema": {}}
    assert settings.schema(SCHEMA) == {"name": "n", "schema": {"type": "object"}, "description": "d", "strict": True}


def test_who_asks_is_told_as_far_as_it_may_be() -> None:
    """A long id would be an error; a hint that is not taken costs nothing."""
    loss = Loss(strict=False)
    assert settings.user(asked(), NO_FACTS, loss) == {}
    assert settings.user(asked(user="u"), NO_FACTS, loss) == {"user": "u"}
    assert len(settings.user(asked(user="u" * 99), NO_FACTS, loss)["user"]) == 64
    assert settings.user(asked(user="u"), Facts(refuses=frozenset({"user"})), loss) == {}
    assert list(loss.names) == ["user"]

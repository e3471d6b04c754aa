"""The list of models, as OpenAI's clients read it."""

from __future__ import annotations

import json

import pytest
from openai.types import Model

from trunkline.canon.facts import NO_FACTS
from trunkline.dialects.dialect import Listed
from trunkline.dialects.openai_shape.models import write_model, write_models


def test_the_list_is_what_the_sdk_expects() -> None:
    """`client.models.list()` is the first thing many front ends call."""
    told = json.loads(write_models([Listed("gpt-4.1", "openai", NO_FACTS), Listed('a"/é', "lab", NO_FACTS)]))
    assert told["object"] == "list"
    assert [Model.model_validate(row, strict=True).id for row in told["data"]] == ["gpt-4.1", 'a"/é']


@pytest.mark.parametrize("name", ["gpt-4.1", "openai/gpt-4.1"])
def test_one_model_is_a_row_of_the_list(name: str) -> None:
    """By id and in the list, a model must look the same."""
    model = Listed(name, "openai", NO_FACTS)
    assert json.loads(write_model(model)) == json.loads(write_models([model]))["data"][0]


def test_no_models_are_an_empty_list() -> None:
    """A key that may use nothing gets a list, not an error."""
    assert json.loads(write_models([])) == {"object": "list", "data": []}

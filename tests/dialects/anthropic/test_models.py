"""The list of models in Anthropic's form."""

from __future__ import annotations

import json

from trunkline.canon.facts import Facts
from trunkline.dialects.anthropic.models import write_model, write_models
from trunkline.dialects.dialect import Listed

BIG = Listed("smart", "lab", Facts(context=200_000, max_output=64_000))
SMALL = Listed("lab/tiny", "lab", Facts())


def test_a_model_is_shown_with_the_sizes_that_are_known() -> None:
    """The SDKs want every one of these fields; a made-up size would be believed."""
    told = {"type": "model", "created_at": "1970-01-01T00:00:00Z", "lifecycle": "active"}
    assert json.loads(write_model(SMALL)) == {**told, "id": "lab/tiny", "display_name": "lab/tiny"}
    assert json.loads(write_model(BIG)) == {
        **told,
        "id": "smart",
        "display_name": "smart",
        "max_input_tokens": 200_000,
        "max_tokens": 64_000,
    }


def test_a_list_is_one_page() -> None:
    """A client that pages by `last_id` must not ask for ever."""
    told = json.loads(write_models([BIG, SMALL]))
    assert [model["id"] for model in told["data"]] == ["smart", "lab/tiny"]
    assert (told["has_more"], told["first_id"], told["last_id"]) == (False, "smart", "lab/tiny")
    assert json.loads(write_models([])) == {"data": [], "has_more": False, "first_id": None, "last_id": None}

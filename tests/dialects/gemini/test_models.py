"""Models as Gemini lists them."""

from __future__ import annotations

import json

from trunkline.canon.facts import NO_FACTS, Facts
from trunkline.dialects.dialect import Listed
from trunkline.dialects.gemini.models import write_model, write_models

KNOWN = Listed("smart", "google", Facts(context=1_048_576, max_output=65_536, thinks="level"))
TOLD = {
    "name": "models/smart",
    "displayName": "smart",
    "description": "google",
    "inputTokenLimit": 1_048_576,
    "outputTokenLimit": 65_536,
    "supportedGenerationMethods": ["generateContent", "streamGenerateContent", "countTokens"],
    "thinking": True,
}


def test_a_model_is_told() -> None:
    """Clients size their prompts by the limits; what is not known is left out, not 0."""
    assert json.loads(write_model(KNOWN)) == TOLD
    unknown = json.loads(write_model(Listed("lab/x", "lab", NO_FACTS)))
    assert unknown.keys() == TOLD.keys() - {"inputTokenLimit", "outputTokenLimit"}
    assert (unknown["name"], unknown["thinking"]) == ("models/lab/x", False)


def test_all_models_are_listed() -> None:
    """Google's SDK looks for `models`."""
    assert json.loads(write_models([KNOWN])) == {"models": [TOLD]}
    assert json.loads(write_models([])) == {"models": []}

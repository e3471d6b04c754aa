"""Models as Gemini lists them. Which there are is the configuration's business."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from trunkline.dialects.dialect import Listed

_METHODS = ("generateContent", "streamGenerateContent", "countTokens")


def write_model(model: Listed) -> bytes:
    """One model. What is not known of it is left out."""
    return msgspec.json.encode(_told(model))


def write_models(models: Iterable[Listed]) -> bytes:
    """All models, without pages."""
    return msgspec.json.encode({"models": [_told(model) for model in models]})


def _told(model: Listed) -> dict[str, Any]:
    facts = model.facts
    told: dict[str, Any] = {"name": f"models/{model.name}", "displayName": model.name, "description": model.owner}
    limits = {"inputTokenLimit": facts.context, "outputTokenLimit": facts.max_output}
    told |= {name: limit for name, limit in limits.items() if limit is not None}
    return told | {"supportedGenerationMethods": _METHODS, "thinking": bool(facts.thinks)}

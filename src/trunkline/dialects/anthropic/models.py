"""`GET /v1/models` in Anthropic's form. Which models there are is the configuration's business."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from trunkline.dialects.dialect import Listed

_NO_DATE = "1970-01-01T00:00:00Z"
"""What Anthropic's own API says where a release date is not known."""


def write_model(model: Listed) -> bytes:
    """One model. Sizes are there where they are known."""
    return msgspec.json.encode(_model(model))


def write_models(models: Iterable[Listed]) -> bytes:
    """All models, as one page."""
    data = [_model(model) for model in models]
    ends = (data[0]["id"], data[-1]["id"]) if data else (None, None)
    return msgspec.json.encode({"data": data, "has_more": False, "first_id": ends[0], "last_id": ends[1]})


def _model(model: Listed) -> dict[str, Any]:
    told = {
        "type": "model",
        "id": model.name,
        "display_name": model.name,
        "created_at": _NO_DATE,
        "lifecycle": "active",
        "max_input_tokens": model.facts.context,
        "max_tokens": model.facts.max_output,
    }
    return {name: value for name, value in told.items() if value is not None}

"""`GET /v1/models` in OpenAI's form. Which models there are is the configuration's business."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from trunkline.dialects.dialect import Listed


class _Model(msgspec.Struct, frozen=True):
    id: str
    owned_by: str
    object: str = "model"
    created: int = 0


class _Models(msgspec.Struct, frozen=True):
    data: list[_Model]
    object: str = "list"


def write_model(model: Listed) -> bytes:
    """One model. `created` is not known here and is 0, as it is optional to no client."""
    return msgspec.json.encode(_Model(model.name, model.owner))


def write_models(models: Iterable[Listed]) -> bytes:
    """All models."""
    return msgspec.json.encode(_Models([_Model(model.name, model.owner) for model in models]))

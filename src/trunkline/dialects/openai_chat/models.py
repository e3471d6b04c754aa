"""`GET /v1/models` in OpenAI's form. Which models there are is the configuration's business."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec


class _Model(msgspec.Struct, frozen=True):
    id: str
    owned_by: str
    object: str = "model"
    created: int = 0


class _Models(msgspec.Struct, frozen=True):
    data: list[_Model]
    object: str = "list"


def write_model(name: str, owner: str) -> bytes:
    """One model. `created` is not known here and is 0, as it is optional to no client."""
    return msgspec.json.encode(_Model(name, owner))


def write_models(models: Iterable[tuple[str, str]]) -> bytes:
    """A list of (name, owner)."""
    return msgspec.json.encode(_Models([_Model(name, owner) for name, owner in models]))

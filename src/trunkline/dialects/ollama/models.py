"""Which models there are, in the form of `/api/tags` and `/api/show`, and which Ollama this looks like.

A gateway has no files of models: sizes are 0, digests are made from names, and dates are the epoch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import msgspec

from trunkline.dialects.dialect import Listed
from trunkline.dialects.shallow import bad, fields

VERSION = "0.33.0"
"""The release of August 2026, whose API (github.com/ollama/ollama at fb30760, 2026-08-21) this dialect follows. Clients ask
for a least version (VS Code's Copilot 0.6.4) and look for nothing else in it."""
_NEVER = "1970-01-01T00:00:00Z"

_text = msgspec.json.Decoder(str).decode


def write_version() -> bytes:
    """The answer of `/api/version`."""
    return msgspec.json.encode({"version": VERSION})


def read_show(body: bytes) -> str:
    """The model that `/api/show` asks for; old clients call it `name`. Raises `GatewayError(BAD_REQUEST)`."""
    found = fields(body)
    raw = found.get("model") or found.get("name")
    if raw is None:
        raise bad("model", "is required", code="missing_required_parameter")
    try:
        return _text(raw)
    except msgspec.ValidationError:
        raise bad("model", "must be a string") from None


def write_model(model: Listed) -> bytes:
    """One model, as `/api/show` tells it."""
    shown = {
        "modelfile": "",
        "parameters": "",
        "template": "",
        "details": _details(model),
        "model_info": _info(model),
        "capabilities": _capabilities(model),
        "modified_at": _NEVER,
    }
    return msgspec.json.encode(shown)


def write_models(models: Iterable[Listed]) -> bytes:
    """All models, as `/api/tags` tells them."""
    return msgspec.json.encode({"models": [_tag(model) for model in models]})


def _tag(model: Listed) -> dict[str, Any]:
    return {
        "name": model.name,
        "model": model.name,
        "modified_at": _NEVER,
        "size": 0,
        "digest": hashlib.sha256(model.name.encode()).hexdigest(),  # `ollama list` shows its first twelve digits
        "details": _details(model),
    }


def _details(model: Listed) -> dict[str, Any]:
    return {
        "parent_model": "",
        "format": "",
        "family": model.owner,
        "families": [model.owner],
        "parameter_size": "",
        "quantization_level": "",
    }


def _info(model: Listed) -> dict[str, Any]:
    """Clients look for the context length under the name of the architecture."""
    info: dict[str, Any] = {"general.architecture": model.owner, "general.basename": model.name}
    if model.facts.context is not None:
        info[f"{model.owner}.context_length"] = model.facts.context
    return info


def _capabilities(model: Listed) -> list[str]:
    """What is not known to be missing is there, as for any writer: clients withhold what is not listed."""
    facts = model.facts
    has = {
        "completion": True,
        "tools": facts.tools,
        "vision": facts.media is None or "image" in facts.media,
        "thinking": facts.thinks != "",
    }
    return [name for name, there in has.items() if there]

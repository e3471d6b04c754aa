"""Where a provider keeps a dialect's paths, for those that host another's API in their own way.

The dialect's own paths belong in `dialects`; what stands before them in the provider's `speaks`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import quote

import msgspec

from trunkline.dialects.dialect import Outgoing
from trunkline.dialects.shallow import encode
from trunkline.providers.provider import Hosting, Provider

_OF_A_DEPLOYMENT = ("/chat/completions", "/completions", "/embeddings", "/images/", "/audio/")
"""What Azure's dated API keeps below a deployment; the rest (`/responses`, `/files`, `/batches`) has the model in its body."""
_MESSAGES, _COUNT = "/v1/messages", "/v1/messages/count_tokens"
_VERSION = msgspec.Raw(b'"vertex-2023-10-16"')
"""Where Anthropic's header would stand (docs.cloud.google.com, Claude on Vertex AI: "anthropic_version")."""
_COUNTED = frozenset({"contents", "systemInstruction", "system_instruction", "tools", "generationConfig", "generation_config"})
"""What Vertex counts (v1 CountTokensRequest); it knows no `generateContentRequest` around them."""
_NESTED = ("generateContentRequest", "generate_content_request")
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def place(provider: Provider, dialect: str, model: str, outgoing: Outgoing) -> Outgoing:
    """The request as this provider takes it, its path complete. `model`: as the provider knows it.

    The path may be any below the dialect's base path, also one for which the dialect itself has no words (`/files`).
    """
    way = _WAYS.get(provider.hosting)
    placed = way(dialect, model, outgoing) if way else outgoing
    path = provider.speaks[dialect] + placed.path
    if provider.query:
        path += f"{'&' if '?' in path else '?'}{provider.query}"
    return msgspec.structs.replace(placed, path=path)


def _deployments(dialect: str, model: str, outgoing: Outgoing) -> Outgoing:  # noqa: ARG001 - the path tells
    """Azure's dated API: the model is a deployment, and stands in the path (learn.microsoft.com, Azure OpenAI reference)."""
    path = outgoing.path
    if path.startswith(_OF_A_DEPLOYMENT):
        path = f"/deployments/{quote(model, safe='')}{path}"
    elif path.startswith("/realtime?model="):
        path = path.replace("model", "deployment", 1)
    return msgspec.structs.replace(outgoing, path=path)


def _vertex(dialect: str, model: str, outgoing: Outgoing) -> Outgoing:
    """Vertex AI: Claude by `rawPredict`, its version in the body; Gemini's count without its envelope."""
    if dialect == "anthropic" and outgoing.path in {_MESSAGES, _COUNT}:
        return _raw_predict(model, outgoing)
    if dialect == "gemini" and outgoing.path.endswith(":countTokens"):
        found = _fields(outgoing.body)
        for name in _NESTED:
            found |= _fields(found.pop(name, b"{}"))
        return msgspec.structs.replace(outgoing, body=encode({name: raw for name, raw in found.items() if name in _COUNTED}))
    return outgoing


def _raw_predict(model: str, outgoing: Outgoing) -> Outgoing:
    told = {"anthropic_version": _VERSION, **_fields(outgoing.body)}
    if outgoing.path == _COUNT:
        path = "/models/count-tokens:rawPredict"
    else:
        del told["model"]
        streams = bytes(told.get("stream", b"")) == b"true"
        path = f"/models/{quote(model, safe='@')}:{'streamRawPredict' if streams else 'rawPredict'}"
    lines = outgoing.head.splitlines(keepends=True)
    head = b"".join(line for line in lines if not line.lower().startswith(b"anthropic-version:"))
    return msgspec.structs.replace(outgoing, path=path, body=encode(told), head=head)


_WAYS: Mapping[Hosting, Callable[[str, str, Outgoing], Outgoing]] = {"deployments": _deployments, "vertex": _vertex}

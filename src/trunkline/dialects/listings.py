"""Where providers list their models, and how: one row for each dialect that has a list.

How we list ours to clients belongs in each dialect's `models`.
"""

from __future__ import annotations

from typing import Any

import msgspec

from trunkline.dialects.dialect import Outgoing
from trunkline.dialects.errors import protocol


class Listing(msgspec.Struct, frozen=True):
    """One dialect's list. `models`: the field that holds it; `name`: that of each entry; `prefix`: what stands before it."""

    path: str
    models: str
    name: str
    prefix: str = ""

    def ask(self) -> Outgoing:
        """The request."""
        return Outgoing(self.path, b"", method="GET")

    def read(self, body: bytes) -> tuple[str, ...]:
        """The models' names, in the provider's order; without those that could be asked for nowhere and would spoil a terminal.
        Raises `GatewayError(UPSTREAM_PROTOCOL)`.
        """
        try:
            found: Any = msgspec.json.decode(body)
        except (msgspec.DecodeError, RecursionError):
            found = None
        entries = found.get(self.models) if isinstance(found, dict) else found  # Together answers with the bare list
        if not isinstance(entries, list):
            raise protocol("The provider's answer is no list of models.", body)
        names = (entry.get(self.name) for entry in entries if isinstance(entry, dict))
        return tuple(name.removeprefix(self.prefix) for name in names if isinstance(name, str) and name.isprintable())


_OPENAI = Listing("/models", "data", "id")

#: dialect -> its list (openai-python 3.52.0, anthropic-sdk-python 2.11.0, google-genai 3.4.0, and the API references of Ollama
#: and Cohere). Bedrock lists its models at another host.
LISTINGS: dict[str, Listing] = {
    "openai_chat": _OPENAI,
    "openai_responses": _OPENAI,
    "openai_completions": _OPENAI,
    "anthropic": Listing("/v1/models?limit=1000", "data", "id"),
    "gemini": Listing("/models?pageSize=1000", "models", "name", "models/"),
    "ollama": Listing("/api/tags", "models", "name"),
    "cohere": Listing("/v1/models?page_size=1000", "models", "name"),
}

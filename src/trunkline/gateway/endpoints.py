"""The data plane's doors: exact paths, nothing normalised. What is not in the table is 404, whatever it resembles."""

from __future__ import annotations

from typing import Literal
from urllib.parse import unquote

import msgspec

from trunkline.dialects.dialect import Dialect
from trunkline.dialects.table import DIALECTS

Job = Literal["health", "ready", "models", "model", "chat", "metrics"]


class Endpoint(msgspec.Struct, frozen=True):
    """One door."""

    name: str
    """As the ledger and the log call it."""
    method: str
    """The one it serves; a GET is also answered to HEAD."""
    job: Job
    dialect: Dialect
    public: bool = False
    """Needs no key."""

    @property
    def methods(self) -> tuple[str, ...]:
        """What `allow` names (RFC 9110 section 10.2.1), OPTIONS aside."""
        return ("GET", "HEAD") if self.method == "GET" else (self.method,)


_OPENAI = DIALECTS["openai_chat"]
DEFAULT_DIALECT = _OPENAI
"""In which errors are written where no endpoint says otherwise."""
HEALTH = {
    "/healthz": Endpoint("healthz", "GET", "health", _OPENAI, public=True),
    "/readyz": Endpoint("readyz", "GET", "ready", _OPENAI, public=True),
}
DATA = HEALTH | {
    "/v1/chat/completions": Endpoint("chat.completions", "POST", "chat", _OPENAI),
    "/v1/models": Endpoint("models", "GET", "models", _OPENAI),
}
ADMIN = HEALTH | {"/metrics": Endpoint("metrics", "GET", "metrics", _OPENAI, public=True)}

_MODEL = Endpoint("model", "GET", "model", _OPENAI)
_MODEL_PREFIX = "/v1/models/"


def find(path: str) -> tuple[Endpoint, str] | None:
    """The data plane's endpoint at `path`, and the model id that the path names (or an empty text)."""
    endpoint = DATA.get(path)
    if endpoint is not None:
        return endpoint, ""
    if path.startswith(_MODEL_PREFIX) and len(path) > len(_MODEL_PREFIX):
        return _MODEL, unquote(path[len(_MODEL_PREFIX) :])
    return None

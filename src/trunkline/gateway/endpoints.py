"""The data plane's doors: exact paths, nothing normalised. What is not in the tables is 404, whatever it resembles."""

from __future__ import annotations

import re
from typing import Literal
from urllib.parse import unquote

import msgspec

from trunkline.dialects.dialect import NOT_NAMED, Dialect, Named
from trunkline.dialects.families import Passing, at
from trunkline.dialects.table import DIALECTS
from trunkline.pipeline import run

Job = Literal[run.Job, "health", "ready", "alive", "models", "model", "show", "version", "metrics", "status"]


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
    named: Named = NOT_NAMED
    """What the path itself told."""
    query_key: bool = False
    """The key may stand in the query as `key=` (Gemini)."""
    passing: Passing | None = None
    """What passes here, of those that only pass."""
    also: tuple[str, ...] = ()
    """Methods that other doors at the same path serve."""

    @property
    def methods(self) -> tuple[str, ...]:
        """What `allow` names (RFC 9110 section 10.2.1), OPTIONS aside."""
        if self.passing is not None:
            return (self.method, *self.also)
        return ("GET", "HEAD") if self.method == "GET" else (self.method,)


_OPENAI = DIALECTS["openai_chat"]
_RESPONSES = DIALECTS["openai_responses"]
_ANTHROPIC = DIALECTS["anthropic"]
_GEMINI = DIALECTS["gemini"]
_OLLAMA = DIALECTS["ollama"]
HEALTH = {
    "/healthz": Endpoint("healthz", "GET", "health", _OPENAI, public=True),
    "/readyz": Endpoint("readyz", "GET", "ready", _OPENAI, public=True),
}
DATA = HEALTH | {
    "/": Endpoint("root", "GET", "alive", _OLLAMA, public=True),  # Ollama's clients ask it whether a server is there
    "/v1/chat/completions": Endpoint("chat.completions", "POST", "chat", _OPENAI),
    "/v1/completions": Endpoint("completions", "POST", "chat", DIALECTS["openai_completions"]),
    "/v1/responses": Endpoint("responses", "POST", "chat", _RESPONSES),
    "/v1/responses/input_tokens": Endpoint("responses.input_tokens", "POST", "count", _RESPONSES, named=Named("count")),
    "/v1/embeddings": Endpoint("embeddings", "POST", "embed", _OPENAI),
    "/v1/images/generations": Endpoint("images.generations", "POST", "image", _OPENAI),
    "/v1/models": Endpoint("models", "GET", "models", _OPENAI),
    "/v1/messages": Endpoint("messages", "POST", "chat", _ANTHROPIC),
    "/v1/messages/count_tokens": Endpoint("messages.count_tokens", "POST", "count", _ANTHROPIC, named=Named("count")),
    "/v1beta/models": Endpoint("gemini.models", "GET", "models", _GEMINI, query_key=True),
    "/api/chat": Endpoint("ollama.chat", "POST", "chat", _OLLAMA),
    "/api/generate": Endpoint("ollama.generate", "POST", "chat", _OLLAMA, named=Named("generate")),
    "/api/embed": Endpoint("ollama.embed", "POST", "embed", _OLLAMA),
    "/api/embeddings": Endpoint("ollama.embeddings", "POST", "embed", _OLLAMA, named=Named("old")),
    "/api/tags": Endpoint("ollama.tags", "GET", "models", _OLLAMA),
    "/api/show": Endpoint("ollama.show", "POST", "show", _OLLAMA),
    "/api/version": Endpoint("ollama.version", "GET", "version", _OLLAMA),
}
ADMIN_DIALECT = _OPENAI
"""In which the admin listener writes its errors."""
ADMIN = HEALTH | {
    "/metrics": Endpoint("metrics", "GET", "metrics", _OPENAI, public=True),
    "/status": Endpoint("status", "GET", "status", _OPENAI, public=True),
}

_ONE_MODEL = re.compile(r"/(v1(?:beta)?)/models/(.+)")
_ACTION = re.compile(r"/v1(?:beta1?|alpha)?/models/(.+):(\w+)")
"""Gemini's paths; a model's own name may hold a colon and slashes."""
_ACTIONS: dict[str, tuple[str, Job]] = {
    "generateContent": ("", "chat"),
    "streamGenerateContent": ("array", "chat"),
    "countTokens": ("count", "count"),
    "embedContent": ("", "embed"),
    "batchEmbedContents": ("batch", "embed"),
}
_SSE = re.compile(rb"(?:^|&)alt=sse(?:&|$)")
_PREFIXES = (("/v1beta", _GEMINI), ("/api/", _OLLAMA), ("/v1/messages", _ANTHROPIC), ("/v1/responses", _RESPONSES))


def find(method: str, path: str, query: bytes, headers: dict[bytes, bytes]) -> Endpoint | None:
    """The data plane's endpoint for a request's head."""
    endpoint = DATA.get(path)
    if endpoint is not None:
        return _of_caller(endpoint, headers) if path == "/v1/models" else endpoint
    if method != "GET" and (action := _ACTION.fullmatch(path)):
        if action[2] not in _ACTIONS:
            return None
        form, job = _ACTIONS[action[2]]
        if form == "array" and _SSE.search(query):
            form = "sse"
        return Endpoint(f"gemini.{action[2]}", "POST", job, _GEMINI, named=Named(form, unquote(action[1])), query_key=True)
    if model := _ONE_MODEL.fullmatch(path):
        named = Named("", unquote(model[2]))
        if model[1] == "v1beta":
            return Endpoint("gemini.model", "GET", "model", _GEMINI, named=named, query_key=True)
        return _of_caller(Endpoint("model", "GET", "model", _OPENAI, named=named), headers)
    return _passing(method, path)


def _passing(method: str, path: str) -> Endpoint | None:
    """Where requests only pass, one path may have a door for each of several methods."""
    rows = at(path)
    found = next((row for row in rows if row.method == method), rows[0] if rows else None)
    if found is None:
        return None
    also = tuple(row.method for row in rows if row is not found)
    job: Job = "realtime" if found.family == "realtime" else "pass"
    return Endpoint(found.name, found.method, job, _OPENAI, passing=found, also=also)


def dialect_at(path: str) -> Dialect:
    """In which an error is written where no endpoint is found: that of whoever asks at such a path."""
    return next((dialect for prefix, dialect in _PREFIXES if path.startswith(prefix)), _OPENAI)


def _of_caller(endpoint: Endpoint, headers: dict[bytes, bytes]) -> Endpoint:
    """Three APIs list their models at one path; Anthropic's clients always send their version, Gemini's their own header."""
    if b"anthropic-version" in headers:
        return msgspec.structs.replace(endpoint, dialect=_ANTHROPIC)
    if b"x-goog-api-key" in headers:
        return msgspec.structs.replace(endpoint, dialect=_GEMINI)
    return endpoint

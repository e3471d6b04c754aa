"""Paths are what they are: exact, or nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.dialects.families import at
from trunkline.gateway.endpoints import ADMIN, DATA, Endpoint, dialect_at, find


def _find(path: str, method: str = "GET", query: bytes = b"", **headers: bytes) -> Endpoint | None:
    return find(method, path, query, {name.replace("_", "-").encode(): value for name, value in headers.items()})


@pytest.mark.parametrize("path", DATA)
def test_each_door_is_found(path: str) -> None:
    """Every endpoint of the table answers at its path."""
    assert _find(path) == DATA[path]


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ("/v1/models/gpt-4.1", "gpt-4.1"),
        ("/v1/models/lab/tiny", "lab/tiny"),
        ("/v1/models/lab%2Ftiny", "lab/tiny"),
        ("/v1/models/a%20b%25", "a b%"),
        ("/v1/models/%C3%A9", "é"),
        ("/v1/models/%ff", "\ufffd"),
        ("/v1/models/..", ".."),
        ("/v1/models/llama3:8b", "llama3:8b"),
    ],
)
def test_a_model_by_id(path: str, model: str) -> None:
    """Ids hold slashes and colons, and clients escape them or not."""
    found = _find(path)
    assert found is not None
    assert (found.name, found.named.model, found.dialect.name) == ("model", model, "openai_chat")


@pytest.mark.parametrize(
    ("headers", "dialect"),
    [
        ({}, "openai_chat"),
        ({"authorization": b"Bearer x"}, "openai_chat"),
        ({"anthropic_version": b"2023-06-01"}, "anthropic"),
        ({"anthropic_version": b"2026-10-21", "x_goog_api_key": b"x"}, "anthropic"),
        ({"x_goog_api_key": b"x"}, "gemini"),
    ],
)
def test_the_list_of_models_is_in_the_callers_dialect(headers: dict[str, bytes], dialect: str) -> None:
    """Claude Code asks /v1/models for Anthropic's list, OpenAI's clients ask the same path for theirs."""
    for path in ("/v1/models", "/v1/models/m"):
        found = _find(path, **headers)
        assert found is not None
        assert found.dialect.name == dialect


@pytest.mark.parametrize(
    ("method", "path", "name", "job", "allowed"),
    [
        ("POST", "/v1/files", "files.create", "pass", ("POST", "GET")),
        ("GET", "/v1/files", "files.list", "pass", ("GET", "POST")),
        ("DELETE", "/v1/files/file-1", "files.delete", "pass", ("DELETE", "GET")),
        ("PUT", "/v1/files/file-1", "files.retrieve", "pass", ("GET", "DELETE")),
        ("HEAD", "/v1/files/file-1/content", "files.content", "pass", ("GET",)),
        ("GET", "/v1/realtime", "realtime", "realtime", ("GET",)),
    ],
)
def test_what_only_passes_has_a_door_for_each_method(
    method: str, path: str, name: str, job: str, allowed: tuple[str, ...]
) -> None:
    """A file is made, read and deleted at two paths; a HEAD would fetch a gigabyte to throw it away."""
    found = _find(path, method)
    assert found is not None
    assert found.passing is not None
    assert (found.name, found.job, found.methods, found.passing.name) == (name, job, allowed, name)


def test_responses_have_two_doors() -> None:
    """The answer, and the count that the SDK's `input_tokens.count` asks for."""
    answer, count = _find("/v1/responses", "POST"), _find("/v1/responses/input_tokens", "POST")
    assert answer is not None
    assert count is not None
    assert (answer.job, answer.named.form, count.job, count.named.form) == ("chat", "", "count", "count")
    assert answer.dialect is count.dialect is dialect_at("/v1/responses/resp_1")
    assert answer.dialect.name == "openai_responses"


@pytest.mark.parametrize(
    ("path", "query", "expected"),
    [
        ("/v1beta/models/m:generateContent", b"", ("gemini.generateContent", "chat", "", "m")),
        ("/v1beta/models/m:generateContent", b"key=x&alt=sse", ("gemini.generateContent", "chat", "", "m")),
        ("/v1beta/models/m:streamGenerateContent", b"", ("gemini.streamGenerateContent", "chat", "array", "m")),
        ("/v1beta/models/m:streamGenerateContent", b"alt=json", ("gemini.streamGenerateContent", "chat", "array", "m")),
        ("/v1beta/models/m:streamGenerateContent", b"alt=sse", ("gemini.streamGenerateContent", "chat", "sse", "m")),
        ("/v1beta/models/m:streamGenerateContent", b"key=x&alt=sse", ("gemini.streamGenerateContent", "chat", "sse", "m")),
        ("/v1/models/m:generateContent", b"", ("gemini.generateContent", "chat", "", "m")),
        ("/v1alpha/models/m:countTokens", b"", ("gemini.countTokens", "count", "count", "m")),
        ("/v1beta/models/m:embedContent", b"", ("gemini.embedContent", "embed", "", "m")),
        ("/v1alpha/models/m:batchEmbedContents", b"", ("gemini.batchEmbedContents", "embed", "batch", "m")),
        ("/v1beta/models/lab/llama3:8b:generateContent", b"", ("gemini.generateContent", "chat", "", "lab/llama3:8b")),
        ("/v1beta/models/lab%2Ftiny:generateContent", b"", ("gemini.generateContent", "chat", "", "lab/tiny")),
    ],
)
def test_gemini_names_model_and_form_in_the_path(path: str, query: bytes, expected: tuple[str, str, str, str]) -> None:
    """A misread action or model would answer another question, or stream to a client that reads whole answers."""
    found = _find(path, "POST", query)
    assert found is not None
    assert (found.name, found.job, found.named.form, found.named.model) == expected
    assert found.methods == ("POST",)
    assert found.dialect.name == "gemini"
    assert found.query_key


def test_a_model_of_gemini_by_id() -> None:
    """GET on the path without an action is the model itself, also where its name looks like an action."""
    found = _find("/v1beta/models/m:generateContent")
    assert found is not None
    assert (found.job, found.named.model, found.dialect.name) == ("model", "m:generateContent", "gemini")


@pytest.mark.parametrize("action", ["predict", "foo"])
def test_an_action_that_is_not_served_is_nothing(action: str) -> None:
    """A 405 that says GET would send its caller looking in the wrong place."""
    assert _find(f"/v1beta/models/m:{action}", "POST") is None


def test_only_gemini_takes_a_key_in_the_query() -> None:
    """A key in a URL ends up in logs of proxies: only the API whose clients send it there may."""
    assert {path for path, endpoint in DATA.items() if endpoint.query_key} == {"/v1beta/models"}


@pytest.mark.parametrize(
    "path",
    [
        "",
        "*",
        "/v1",
        "/v1/",
        "/v1/models/",
        "//v1/models",
        "/v1//models",
        "/v1/./models",
        "/x/../v1/models",
        "/v1/%6dodels",
        "/v1%2fmodels",
        "/V1/models",
        "/v1/chat/completions/",
        "/v1/chat/completions;x",
        "/v1/chat/completions%00",
        "/v1/chat/completions ",
        "/v1\\chat\\completions",
        "/v1/messages/",
        "/v1/messages/batches",
        "/v1beta",
        "/v1beta/models/",
        "/v2/models/m:generateContent",
        "/api/",
        "/api/pull",
        "/healthz/",
        "/healthz/../v1/chat/completions",
        "/metrics",
        "/admin",
    ],
)
def test_anything_else_is_nothing(path: str) -> None:
    """A path that only resembles an endpoint must never be taken for it: its key check would be somebody else's."""
    assert _find(path) is None


@given(st.text(alphabet="/v1modelschatcompletions.%2fA;\\\x00", max_size=30))
def test_nothing_is_normalised(path: str) -> None:
    """Only the paths of the tables, and what stands below the model lists, are found."""
    below = any(path.startswith(prefix) and path != prefix for prefix in ("/v1/models/", "/v1beta/models/"))
    assert (_find(path) is not None) == (path in DATA or at(path) != () or (below and "\n" not in path))


def test_only_probes_are_public() -> None:
    """What needs no key tells nothing but life."""
    assert {path for path, endpoint in DATA.items() if endpoint.public} == {"/", "/healthz", "/readyz"}
    assert "/metrics" not in DATA
    assert set(ADMIN) == {"/healthz", "/readyz", "/metrics", "/status"}


@pytest.mark.parametrize(
    ("path", "dialect"),
    [
        ("/nothing", "openai_chat"),
        ("/v1/nothing", "openai_chat"),
        ("/v1/messages/batches", "anthropic"),
        ("/v1beta/models/m:embedContent", "gemini"),
        ("/api/pull", "ollama"),
    ],
)
def test_a_404_is_in_the_dialect_of_its_path(path: str, dialect: str) -> None:
    """An SDK that asks for what is not served here must be able to read why."""
    assert dialect_at(path).name == dialect

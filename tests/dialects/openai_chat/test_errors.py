"""Provider errors in every shape they were seen in, and our own in OpenAI's."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai import APIError

from trunkline.canon.errors import GatewayError, Kind, Upstream
from trunkline.dialects.openai_chat.errors import clean, read_error, reported, write_error, write_stream_error

FAILED, REFUSED, PROTOCOL = Kind.UPSTREAM_FAILED, Kind.UPSTREAM_REFUSED, Kind.UPSTREAM_PROTOCOL

#: name, status, body, kind, message, code, verbatim
SHAPES = [
    (
        "OpenAI",
        400,
        b'{"error":{"message":"bad x","type":"invalid_request_error","param":"x","code":null}}',
        REFUSED,
        "bad x",
        None,
        True,
    ),
    (
        "OpenAI 429",
        429,
        b'{"error":{"message":"slow","type":"tokens","param":null,"code":"rate_limit_exceeded"}}',
        FAILED,
        "slow",
        "rate_limit_exceeded",
        True,
    ),
    ("Azure", 401, b'{"error":{"code":"401","message":"denied"}}', REFUSED, "denied", "401", True),
    ("Azure 413", 413, b"Request is too large.", REFUSED, "Request is too large.", None, False),
    ("Azure 408", 408, b"timed out", FAILED, "timed out", None, False),
    (
        "Groq",
        400,
        b'{"error":{"message":"tool","code":"tool_use_failed","failed_generation":"f()"}}',
        REFUSED,
        "tool",
        "tool_use_failed",
        True,
    ),
    ("OpenRouter", 402, b'{"error":{"message":"pay","code":402},"user_id":"u"}', REFUSED, "pay", "402", True),
    (
        "Gemini",
        400,
        b'{"error":{"code":400,"message":"API key not valid","status":"INVALID_ARGUMENT"}}',
        REFUSED,
        "API key not valid",
        "400",
        True,
    ),
    ("Gemini in a list", 503, b'[{"error":{"code":503,"message":"busy"}}]', FAILED, "busy", None, False),
    ("xAI", 400, b'{"code":"The key is wrong","error":"Incorrect API key"}', REFUSED, "Incorrect API key", None, False),
    ("xAI with a slug", 403, b'{"code":"no_credits","error":"No credits"}', REFUSED, "No credits", "no_credits", False),
    ("Ollama", 404, b'{"error":"model not found"}', REFUSED, "model not found", None, False),
    (
        "Mistral",
        429,
        b'{"object":"error","message":"rate","type":"rate_limited","param":null,"code":"1300"}',
        FAILED,
        "rate",
        "1300",
        False,
    ),
    ("Mistral detail", 401, b'{"detail":"Unauthorized"}', REFUSED, "Unauthorized", None, False),
    ("FastAPI", 422, b'{"detail":[{"loc":["body","n"],"msg":"field required"}]}', REFUSED, "field required", None, False),
    ("nested detail", 422, b'{"message":{"detail":[{"msg":"too long"}]}}', REFUSED, "too long", None, False),
    ("Cohere", 400, b'{"id":"1","message":"too many"}', REFUSED, "too many", None, False),
    (
        "Anthropic",
        529,
        b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}',
        FAILED,
        "Overloaded",
        None,
        True,
    ),
    (
        "DeepSeek 422",
        422,
        b"Failed to deserialize\n the JSON body\x1b[31m",
        REFUSED,
        "Failed to deserialize the JSON body [31m",
        None,
        False,
    ),
    (
        "a page",
        503,
        b"<html><title>nginx/1.2 at secret-host</title></html>",
        FAILED,
        "The provider answered with a web page instead of an error message.",
        None,
        False,
    ),
    ("nothing", 500, b"", FAILED, "The provider answered with status 500 and no message.", None, False),
    ("no message", 500, b'{"ok":false}', FAILED, "The provider answered with status 500 and no message.", None, False),
    ("null", 500, b'{"error":null}', FAILED, "The provider answered with status 500 and no message.", None, False),
    ("an empty list", 500, b"[]", FAILED, "The provider answered with status 500 and no message.", None, False),
    ("a number", 500, b"7", FAILED, "The provider answered with status 500 and no message.", None, False),
    (
        "too deep",
        500,
        b'{"error":{"error":{"error":{"error":{"error":"x"}}}}}',
        FAILED,
        "The provider answered with status 500 and no message.",
        None,
        False,
    ),
    (
        "broken JSON",
        500,
        b'{"error":{"message":"x',
        FAILED,
        "The provider answered with an error that could not be read.",
        None,
        False,
    ),
    ("hostile JSON", 500, b"[" * 100_000, FAILED, "The provider answered with an error that could not be read.", None, False),
    (
        "a message that is no text",
        400,
        b'{"error":{"message":{"a":1}}}',
        REFUSED,
        "The provider answered with status 400 and no message.",
        None,
        False,
    ),
    ("not UTF-8", 500, b"caf\xe9", FAILED, "caf\ufffd", None, False),
]


@pytest.mark.parametrize(
    ("status", "body", "kind", "message", "code", "verbatim"), [row[1:] for row in SHAPES], ids=[row[0] for row in SHAPES]
)
def test_every_shape_is_understood(
    status: int, body: bytes, kind: Kind, message: str, code: str | None, verbatim: bool
) -> None:
    """The provider's own words are what tells a user what to change; its status is what clients decide by."""
    error = read_error(status, "application/json", body)
    assert (error.kind, error.status, error.message, error.code) == (kind, status, message, code)
    assert error.retryable == (kind is FAILED)
    assert error.upstream is not None
    assert error.upstream.verbatim == verbatim
    assert error.upstream.body == (body if verbatim else body[:4096])
    assert (error.upstream.status, error.upstream.content_type) == (status, "application/json")


@pytest.mark.parametrize(
    ("status", "kind", "shown", "retryable"),
    [
        (200, PROTOCOL, 502, True),
        (204, PROTOCOL, 502, True),
        (302, PROTOCOL, 502, True),
        (400, REFUSED, 400, False),
        (401, REFUSED, 401, False),
        (402, REFUSED, 402, False),
        (403, REFUSED, 403, False),
        (404, REFUSED, 404, False),
        (408, FAILED, 408, True),
        (409, FAILED, 409, True),
        (413, REFUSED, 413, False),
        (422, REFUSED, 422, False),
        (429, FAILED, 429, True),
        (498, REFUSED, 498, False),
        (500, FAILED, 500, True),
        (503, FAILED, 503, True),
        (529, FAILED, 529, True),
        (600, PROTOCOL, 502, True),
    ],
)
def test_the_status_decides_what_may_be_tried_again(status: int, kind: Kind, shown: int, retryable: bool) -> None:
    """A refusal tried again costs money and time; an overload not tried again costs the answer."""
    error = read_error(status, "", b'{"error":{"message":"429 overloaded rate limit"}}')
    assert (error.kind, error.status, error.retryable) == (kind, shown, retryable)


def test_a_redirect_is_named_and_its_body_is_not_shown() -> None:
    """A wrong base URL is the usual cause; following it would hand the key to another host."""
    error = read_error(302, "text/html", b"see http://elsewhere")
    assert "redirect (302)" in error.message
    assert "elsewhere" not in error.message


def test_an_exhausted_quota_is_not_tried_again() -> None:
    """It is a 429 by status, but no waiting cures it."""
    body = b'{"error":{"message":"You exceeded it","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}'
    error = read_error(429, "application/json", body)
    assert (error.kind, error.status, error.retryable) == (FAILED, 429, False)


def test_the_content_type_unmasks_a_page() -> None:
    """Some pages do not begin with a tag."""
    assert "web page" in read_error(502, "text/HTML; charset=x", b"nginx says no").message


def test_param_is_kept() -> None:
    """SDK users branch on it."""
    assert read_error(400, "", b'{"error":{"message":"m","param":"messages[0].role","code":true}}').param is None
    assert read_error(400, "", b'{"error":{"message":"m","param":"temperature"}}').param == "temperature"


def test_a_long_error_is_bounded() -> None:
    """An error body of megabytes must reach neither the client nor the ledger nor the log whole."""
    error = read_error(400, "", json.dumps({"error": {"message": "x" * 100_000}}).encode())
    assert len(error.message) == 2048
    assert error.upstream is not None
    assert not error.upstream.verbatim
    assert len(error.upstream.body) == 4096


@given(
    st.integers(100, 700),
    st.sampled_from(["", "text/html", "application/json"]),
    st.binary(max_size=80) | st.text(alphabet='{}[]":,error msgdtail0').map(str.encode),
)
def test_any_answer_maps_to_an_error_that_can_be_written(status: int, content_type: str, body: bytes) -> None:
    """This runs when something is already wrong; it must not go wrong too."""
    error = read_error(status, content_type, body)
    assert 400 <= error.status < 600
    assert error.message == clean(error.message) != ""
    told = json.loads(write_error(error))["error"]
    assert told["message"] == error.message
    assert list(told) == ["message", "type", "param", "code"]


@pytest.mark.parametrize(
    ("error", "kind", "code", "param"),
    [
        (GatewayError(Kind.BAD_REQUEST, "m", param="model"), "invalid_request_error", "bad_request", "model"),
        (GatewayError(Kind.UNAUTHENTICATED, "m", code="invalid_api_key"), "authentication_error", "invalid_api_key", None),
        (GatewayError(Kind.FORBIDDEN, "m"), "permission_error", "forbidden", None),
        (GatewayError(Kind.NOT_FOUND, "m", code="model_not_found"), "invalid_request_error", "model_not_found", None),
        (GatewayError(Kind.TOO_LARGE, "m"), "invalid_request_error", "too_large", None),
        (GatewayError(Kind.RATE_LIMITED, "m"), "rate_limit_error", "rate_limited", None),
        (GatewayError(Kind.INTERNAL, "m"), "server_error", "internal", None),
        (GatewayError(Kind.UPSTREAM_TIMEOUT, "m"), "server_error", "upstream_timeout", None),
        (GatewayError(Kind.UPSTREAM_FAILED, "m", status=429), "rate_limit_error", "upstream_failed", None),
    ],
)
def test_our_errors_are_in_openais_words(error: GatewayError, kind: str, code: str, param: str | None) -> None:
    """An OpenAI client must be able to branch on them as on OpenAI's own."""
    assert json.loads(write_error(error)) == {"error": {"message": "m", "type": kind, "param": param, "code": code}}


def test_a_stream_error_is_one_event_and_no_end_mark() -> None:
    """The official SDK raises on it; a `[DONE]` after it would let other clients take the answer for whole."""
    event = write_stream_error(GatewayError(Kind.UPSTREAM_BROKEN, "line\nbreak"))
    assert event.startswith(b'data: {"error":{')
    assert event.endswith(b"}}\n\n")
    assert event.count(b"\n") == 2
    assert b"[DONE]" not in event
    told = json.loads(event[6:])["error"]
    sdk = APIError(told["message"], request=None, body=told)  # type: ignore[arg-type]
    assert (sdk.code, sdk.type, sdk.param) == ("upstream_broken", "server_error", None)


def test_what_is_kept_of_a_reported_error_is_bounded() -> None:
    """A failed generation of megabytes inside an error must not stay in memory with it."""
    error = reported({"message": "m"}, Upstream(200, b"x" * 10_000))
    assert error.upstream is not None
    assert len(error.upstream.body) == 4096


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\r\n\tb", "a b"),
        ("\x00\x1b[2Ja\u202eb\u2028c\u200b", "[2Ja b c"),
        ("  ", ""),
        ("é 漢 😀", "é 漢 😀"),
        ("x" * 3000, "x" * 2048),
    ],
)
def test_foreign_text_is_shown_without_its_tricks(text: str, shown: str) -> None:
    """It ends in terminals, logs and dashboards: no new lines, no escapes, no reversed text."""
    assert clean(text) == shown

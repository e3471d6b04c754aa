"""Provider errors in every shape they were seen in."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.canon.errors import GatewayError, Kind, Upstream
from trunkline.dialects import errors
from trunkline.dialects.errors import clean, kind_of, protocol, reported, unfinished, word_of


def read_error(status: int, content_type: str, body: bytes) -> GatewayError:
    """As a dialect reads it whose own errors are objects with a `message` in `error`."""
    return errors.read_error(status, content_type, body, is_own=_is_own)


def _is_own(told: object) -> bool:
    error = told.get("error") if isinstance(told, dict) else None
    return isinstance(error, dict) and isinstance(error.get("message"), str)


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
    ("xAI", 400, b'{"code":"The field is wrong","error":"No such model"}', REFUSED, "No such model", None, False),
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


@pytest.mark.parametrize(
    ("status", "body", "shown"),
    [
        (400, b'{"code":"invalid-argument","error":"Incorrect API key provided. You can get one elsewhere."}', 401),
        (400, b'{"code":"invalid-argument","error":"No such model"}', 400),
        (400, b'{"error":"Your API key has no such model"}', 400),
        (403, b'{"code":"invalid-argument","error":"Incorrect API key provided."}', 403),
        (400, b'{"error":{"code":400,"message":"m","details":[{"reason":"API_KEY_INVALID"}]}}', 401),
        (400, b'[{"error":{"code":400,"message":"m","details":[{"x":1},{"reason":"API_KEY_INVALID"}]}}]', 401),
        (400, b'{"error":{"code":400,"message":"API key expired","details":[7]}}', 400),
        (400, b'{"error":{"message":"m","details":"API_KEY_INVALID"}}', 400),
        (400, b'{"error":{"message":"m","code":"invalid_api_key"}}', 401),
    ],
)
def test_a_wrong_key_is_a_401_whatever_its_provider_calls_it(status: int, body: bytes, shown: int) -> None:
    """A client that sees 400 looks for the fault in its request, and its user never at the key."""
    error = read_error(status, "application/json", body)
    assert (error.status, error.kind, error.retryable) == (shown, REFUSED, False)
    assert error.upstream is not None
    assert error.upstream.status == status


@pytest.mark.parametrize(
    ("delay", "seconds"), [("34.4s", 34.4), ("7s", 7.0), ("s", None), ("-1s", None), ("1e9s", None), (7, None), (None, None)]
)
def test_googles_delay_is_read(delay: object, seconds: float | None) -> None:
    """It sends no `retry-after`: without this a client tries again too soon and is refused again."""
    detail = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}
    error = read_error(429, "", json.dumps({"error": {"code": 429, "message": "m", "details": [detail]}}).encode())
    assert error.retry_after == seconds


def test_a_dialect_may_know_what_an_errors_own_word_means() -> None:
    """Anthropic's `overloaded_error` in a stream is a 529, though no number stands there."""
    error = reported({"type": "overloaded_error", "message": "Overloaded"}, Upstream(200, b""), 529)
    assert (error.kind, error.status, error.retryable) == (FAILED, 529, True)


def test_an_answer_that_is_none_is_a_502() -> None:
    """Another try may get a better one; what is kept of it is bounded."""
    error = protocol("m", b"x" * 10_000)
    assert (error.kind, error.status, error.retryable, error.message) == (PROTOCOL, 502, True, "m")
    assert error.upstream is not None
    assert (error.upstream.status, len(error.upstream.body)) == (200, 4096)


def test_what_the_others_build_on() -> None:
    """Each dialect finds its own words with these."""
    assert kind_of(404) is REFUSED
    assert word_of({"error": {"type": "rate_limit_error"}}, "type") == "rate_limit_error"
    assert word_of({"type": "a sentence of words"}, "type") is None
    assert word_of([], "type") is None


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


def test_an_answer_that_did_not_end_is_an_error() -> None:
    """With the provider's own word; one that a provider wants sent back is not cured by another try."""
    failed, paused = unfinished("error", "MALFORMED"), unfinished("pause", "pause_turn")
    assert failed is not None
    assert (failed.message, failed.retryable) == ("The model could not finish its answer (MALFORMED).", True)
    assert paused is not None
    assert paused.message.startswith("The provider wants its answer sent back to go on with it (pause_turn)")
    assert not paused.retryable
    assert [unfinished(reason, "x") for reason in ("", "stop", "length", "tool_calls", "content_filter")] == [None] * 5

"""Two ways to a target: bytes that pass, and words translated; and what must not be lost on either."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.gateway import PROVIDER_KEY
from harness.script import END, STREAM_HEADERS, chunk, event, head, whole
from harness.upstream import Upstream
from pipeline.inside import Inside
from trunkline.canon.chat import Seal
from trunkline.dialects.state import wrap
from trunkline.dialects.table import DIALECTS

MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-4-5-20250929",
    "content": [{"type": "text", "text": "Good day."}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 7, "cache_read_input_tokens": 3, "output_tokens": 5},
}
THINKING = {"type": "thinking", "thinking": "A tool will tell.", "signature": "c2lnbmVk"}
CALL = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Ulm"}}
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}]


def _ask(inside: Inside, model: str = "anthropic", **fields: Any) -> Any:
    return inside.ask("/v1/chat/completions", {"model": model, "messages": [{"role": "user", "content": "hello"}], **fields})


def _events(*events: dict[str, Any]) -> bytes:
    return b"".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events)


STREAM = _events(
    {"type": "message_start", "message": MESSAGE | {"content": [], "stop_reason": None}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Good day."}},
)
STREAM_END = _events(
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": {"output_tokens": 5}},
    {"type": "message_stop"},
)


def test_a_whole_answer_is_translated(inside: Inside, upstream: Upstream) -> None:
    """The provider is asked in its own words with its own credential; the client reads its own API."""
    upstream.then([whole(200, json.dumps(MESSAGE).encode())])
    reply = _ask(inside, temperature=0.5)
    seen = upstream.requests[0]
    assert (seen.target, seen.header("x-api-key"), seen.header("authorization")) == ("/v1/messages", PROVIDER_KEY, None)
    assert seen.header("anthropic-version") == "2023-06-01"
    assert (seen.fields["model"], seen.fields["temperature"]) == ("claude-sonnet-4-5", 0.5)
    told = json.loads(reply.body)
    assert reply.status == 200
    assert told["choices"][0]["message"]["content"] == "Good day."
    assert (told["usage"]["prompt_tokens"], told["usage"]["completion_tokens"]) == (10, 5)
    record = inside.last()
    assert (record.usage.input, record.usage.cache_read, record.usage.output, record.usage.basis) == (10, 3, 5, "reported")
    assert (record.finish, record.opened.dialect, record.cost_nano is not None) == ("end_turn", "openai_chat", True)


def test_a_whole_answer_without_usage_is_estimated_by_what_it_says(inside: Inside, upstream: Upstream) -> None:
    """What stands around it (ids, an echo of the request) is nothing that the model wrote, and nobody pays for it."""
    untold = {name: value for name, value in MESSAGE.items() if name != "usage"}
    untold |= {"content": [{"type": "text", "text": "x" * 400}], "echo": "y" * 40_000}
    upstream.then([whole(200, json.dumps(untold).encode())])
    assert _ask(inside).status == 200
    assert (inside.last().usage.basis, inside.last().usage.output) == ("estimated", 100)


def test_a_stream_is_translated(inside: Inside, upstream: Upstream) -> None:
    """As above, event by event, with the client's own end mark."""
    upstream.then([head(200, STREAM_HEADERS), chunk(STREAM), chunk(STREAM_END), END])
    reply = _ask(inside, stream=True)
    assert reply.header("content-type") == "text/event-stream"
    assert b'"content":"Good day."' in reply.body
    assert reply.body.endswith(b"data: [DONE]\n\n")
    assert inside.last().usage.output == 5


def test_a_broken_stream_never_looks_whole(inside: Inside, upstream: Upstream) -> None:
    """The provider leaves in the middle: the client's dialect says so, and what was streamed is accounted for."""
    upstream.then([head(200, STREAM_HEADERS), chunk(STREAM), END])
    reply = _ask(inside, stream=True)
    last = json.loads(reply.body.rstrip().rpartition(b"data: ")[2])
    assert "error" in last
    assert b"[DONE]" not in reply.body
    record = inside.last()
    assert (record.outcome, record.usage.basis) == ("upstream_broken", "estimated")
    assert (record.usage.input, record.usage.cache_read) == (10, 3)  # told at the beginning
    assert record.usage.output > 0


def test_a_stream_whose_model_could_not_finish_is_a_failure_in_the_books(inside: Inside, upstream: Upstream) -> None:
    """The client is told an error; the ledger would call the request a success. What was used is still accounted for."""
    broken = {"candidates": [{"finishReason": "MALFORMED_FUNCTION_CALL", "index": 0}], "usageMetadata": {"promptTokenCount": 7}}
    upstream.then([head(200, STREAM_HEADERS), chunk(event(broken)), END])
    reply = _ask(inside, "gemini", stream=True)
    assert b'"error"' in reply.body
    assert b"[DONE]" not in reply.body
    record = inside.last()
    assert (record.outcome, record.usage.input, record.usage.basis) == ("upstream_error", 7, "reported")


def test_an_error_that_comes_first_is_a_status(inside: Inside, upstream: Upstream) -> None:
    """Anthropic answers 200 and then says it is overloaded: the client must see a failure that its SDK retries."""
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    upstream.then([head(200, STREAM_HEADERS), chunk(_events(error)), END])
    reply = _ask(inside, stream=True)
    assert reply.status >= 500
    assert reply.error["message"] == "Overloaded"


def test_a_refusal_is_translated(inside: Inside, upstream: Upstream) -> None:
    """The provider's own words in the client's own shape, with the status it had."""
    error = {"type": "error", "error": {"type": "not_found_error", "message": "model: gone"}}
    upstream.then([whole(404, json.dumps(error).encode())])
    reply = _ask(inside)
    assert (reply.status, reply.error["message"]) == (404, "model: gone")
    assert "type" in reply.error


def test_a_whole_answer_to_who_asked_for_a_stream(inside: Inside, upstream: Upstream) -> None:
    """A server that cannot stream answers whole: the client still gets the stream that it will read."""
    upstream.then([whole(200, json.dumps(MESSAGE).encode())])
    reply = _ask(inside, stream=True)
    assert reply.header("content-type") == "text/event-stream"
    assert b"Good day." in reply.body
    assert reply.body.endswith(b"data: [DONE]\n\n")


def test_losses_are_named(inside: Inside, upstream: Upstream) -> None:
    """Nothing is lost in silence."""
    upstream.then([whole(200, json.dumps(MESSAGE).encode())])
    reply = _ask(inside, seed=7, logit_bias={"1": 1})
    assert set(str(reply.header("x-trunkline-dropped")).split(", ")) == {"seed", "logit_bias"}


def test_a_strict_model_refuses_instead(inside: Inside, upstream: Upstream) -> None:
    """Who must know gets an error that names the field, and nothing is sent."""
    reply = _ask(inside, "strict", seed=7)
    assert (reply.status, reply.error["param"]) == (400, "seed")
    assert upstream.requests == []
    assert inside.last().outcome == "refused"


@pytest.mark.parametrize("stream", [False, True])
def test_state_survives_a_client_without_a_slot(inside: Inside, upstream: Upstream, stream: bool) -> None:
    """A client that hands back only text and calls: the signature must be there again, or Anthropic refuses the turn."""
    answer = MESSAGE | {"content": [THINKING, CALL], "stop_reason": "tool_use"}
    if stream:
        deltas = [
            {"type": "thinking_delta", "thinking": THINKING["thinking"]},
            {"type": "signature_delta", "signature": THINKING["signature"]},
        ]
        body = _events(
            {"type": "message_start", "message": MESSAGE | {"content": []}},
            {"type": "content_block_start", "index": 0, "content_block": THINKING | {"thinking": "", "signature": ""}},
            *({"type": "content_block_delta", "index": 0, "delta": delta} for delta in deltas),
            {"type": "content_block_stop", "index": 0},
            {"type": "content_block_start", "index": 1, "content_block": CALL | {"input": {}}},
            {
                "type": "content_block_delta",
                "index": 1,
                "delta": {"type": "input_json_delta", "partial_json": '{"city": "Ulm"}'},
            },
            {"type": "content_block_stop", "index": 1},
            {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 5}},
            {"type": "message_stop"},
        )
        upstream.then([head(200, STREAM_HEADERS), chunk(body), END])
    else:
        upstream.then([whole(200, json.dumps(answer).encode())])
    _ask(inside, tools=TOOLS, stream=stream)
    call = {"id": "toolu_1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Ulm"}'}}
    turns = [
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "toolu_1", "content": "rain"},
    ]
    upstream.then([whole(200, json.dumps(MESSAGE).encode())])
    _ask(inside, tools=TOOLS, messages=turns)
    sent = upstream.requests[1].fields["messages"]
    assert sent[1]["content"] == [THINKING, CALL]
    assert sent[2]["content"][0]["tool_use_id"] == "toolu_1"


def test_the_memory_is_the_tenants_own(inside: Inside, upstream: Upstream) -> None:
    """Another key that says the same words must not be given what a model thought for the first."""
    answer = MESSAGE | {"content": [THINKING, CALL], "stop_reason": "tool_use"}
    upstream.script(lambda _: [whole(200, json.dumps(answer).encode())])
    _ask(inside, tools=TOOLS)
    call = {"id": "toolu_1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Ulm"}'}}
    turns = [
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "toolu_1", "content": "rain"},
    ]
    digests = [principal.digest.hex() for principal in inside.parts.live.snapshot.principals]
    first, second = (f"{digest} anthropic/claude-sonnet-4-5" for digest in digests)
    openai = DIALECTS["openai_chat"]
    ask = openai.read_request(json.dumps({"model": "anthropic", "messages": turns}).encode())
    read = openai.read_chat(ask)
    assert inside.parts.memory.restore(first, read) != read
    assert inside.parts.memory.restore(second, read) == read


def test_pictures_are_fetched_for_who_cannot(inside: Inside, upstream: Upstream) -> None:
    """Ollama takes no URL: the picture itself goes out, in the place of its URL."""
    part = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    answer = {"model": "tiny", "created_at": "2026-01-01T00:00:00Z", "message": {"role": "assistant", "content": "A cat."}}
    upstream.then([whole(200, json.dumps(answer | {"done": True, "done_reason": "stop"}).encode())])
    inside.fetched.clear()
    reply = _ask(inside, "ollama", messages=[{"role": "user", "content": [part]}])
    assert json.loads(reply.body)["choices"][0]["message"]["content"] == "A cat."
    assert inside.fetched == ["https://example.com/a.png"]
    assert upstream.requests[0].fields["messages"][0]["images"][0]


def test_a_provider_that_fetches_gets_the_url(inside: Inside, upstream: Upstream) -> None:
    """What the provider does itself we do not do for it: no request of ours leaves for a URL of a client's."""
    part = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    upstream.then([whole(200, json.dumps(MESSAGE).encode())])
    inside.fetched.clear()
    _ask(inside, messages=[{"role": "user", "content": [part]}])
    assert inside.fetched == []
    assert b"https://example.com/a.png" in upstream.requests[0].body


def test_the_echo_answers_every_dialect(inside: Inside) -> None:
    """The first request works with no account, whatever API the client speaks."""
    messages = [{"role": "user", "content": "hello"}]
    anthropic = inside.ask("/v1/messages", {"model": "echo/echo", "max_tokens": 9, "messages": messages})
    assert json.loads(anthropic.body)["content"][0]["text"] == "hello"
    gemini = inside.ask("/v1beta/models/echo/echo:generateContent", {"contents": [{"parts": [{"text": "hello"}]}]})
    assert json.loads(gemini.body)["candidates"][0]["content"]["parts"][0]["text"] == "hello"
    ollama = inside.ask("/api/chat", {"model": "echo/echo", "messages": messages, "stream": False})
    assert json.loads(ollama.body)["message"]["content"] == "hello"


@pytest.mark.parametrize("provider", ["m", "anthropic", "gemini"])
def test_state_of_another_family_stays_behind(inside: Inside, upstream: Upstream, provider: str) -> None:
    """A conversation that moves to a model of the client's own dialect: a foreign signature there is an error, or an unknown
    field, whatever the slot; the words all arrive, and the answer passes as bytes.
    """
    sealed = wrap(Seal("elsewhere", "c2lnbmVk"))
    asked: dict[str, tuple[str, dict[str, Any], str, dict[str, Any]]] = {
        "m": (
            "/v1/chat/completions",
            {"model": "m", "messages": [
                {"role": "user", "content": "hello"},
                {"role": "assistant", "content": "Hi.", "reasoning_content": "hm",
                 "reasoning_details": [{"type": "reasoning.text", "text": "hm", "signature": sealed, "format": "elsewhere"}]},
                {"role": "user", "content": "more"},
            ]},
            "messages",
            {"id": "c", "object": "chat.completion", "created": 1, "model": "tiny", "x_own": [1],
             "choices": [{"index": 0, "message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"}]},
        ),
        "anthropic": (
            "/v1/messages",
            {"model": "anthropic", "max_tokens": 9, "messages": [
                {"role": "user", "content": "hello"},
                {"role": "assistant", "content": [
                    {"type": "thinking", "thinking": "hm", "signature": sealed}, {"type": "text", "text": "Hi."}]},
                {"role": "user", "content": "more"},
            ]},
            "messages",
            MESSAGE | {"x_own": [1]},
        ),
        "gemini": (
            "/v1beta/models/gemini:generateContent",
            {"contents": [
                {"role": "user", "parts": [{"text": "hello"}]},
                {"role": "model", "parts": [{"text": "Hi.", "thoughtSignature": sealed}]},
                {"role": "user", "parts": [{"text": "more"}]},
            ]},
            "contents",
            {"candidates": [{"content": {"parts": [{"text": "ok"}], "role": "model"}, "finishReason": "STOP"}], "xOwn": [1]},
        ),
    }  # fmt: skip
    path, body, history, answer = asked[provider]
    told = json.dumps(answer).encode()
    upstream.then([whole(200, told)])
    reply = inside.ask(path, body)
    assert (reply.status, reply.body) == (200, told)
    sent = upstream.requests[0]
    assert b"dGwx" not in sent.body
    assert b"hm" not in sent.body
    assert len(sent.fields[history]) == 3
    assert all(word in sent.body for word in (b"hello", b"Hi.", b"more"))
    assert len([name for name, _ in sent.headers if name == "anthropic-version"]) == (provider == "anthropic")
    assert "reasoning" in str(reply.header("x-trunkline-dropped"))


def test_an_answer_that_failed_is_paid_for_all_the_same(inside: Inside, upstream: Upstream) -> None:
    """The client gets an error, because there is nothing to read; the provider charged for its tokens."""
    usage = {"promptTokenCount": 7, "candidatesTokenCount": 5, "totalTokenCount": 12}
    answer = {"candidates": [{"finishReason": "MALFORMED_FUNCTION_CALL", "index": 0}], "usageMetadata": usage}
    upstream.then([whole(200, json.dumps(answer).encode())])
    reply = _ask(inside, "gemini")
    assert reply.status == 502
    assert "MALFORMED_FUNCTION_CALL" in reply.error["message"]
    record = inside.last()
    assert (record.outcome, record.usage.basis, record.usage.input, record.usage.output) == ("upstream_error", "reported", 7, 5)


def test_ids_that_we_made_are_not_shown_to_their_provider(inside: Inside, upstream: Upstream) -> None:
    """A Gemini client that called another model's tool: Gemini 3 refuses the turn without a signature, or Google's word for
    none.
    """
    contents = [
        {"role": "user", "parts": [{"text": "hello"}]},
        {"role": "model", "parts": [{"functionCall": {"id": "tlc_x_0", "name": "weather", "args": {}}}]},
        {"role": "user", "parts": [{"functionResponse": {"id": "tlc_x_0", "name": "weather", "response": {"output": "rain"}}}]},
    ]
    answer = {"candidates": [{"content": {"parts": [{"text": "ok"}], "role": "model"}, "finishReason": "STOP"}]}
    upstream.then([whole(200, json.dumps(answer).encode())])
    inside.ask("/v1beta/models/gemini/gemini-3-pro:generateContent", {"contents": contents})
    sent = upstream.requests[0]
    assert b"tlc_" not in sent.body
    assert sent.fields["contents"][1]["parts"][0]["thoughtSignature"] == "skip_thought_signature_validator"


def test_opt_ins_are_no_silent_loss(inside: Inside, upstream: Upstream) -> None:
    """Claude Code asks for betas of Anthropic's: another provider cannot be told, and the answer says so."""
    answer = {"model": "tiny", "created_at": "2026-01-01T00:00:00Z", "message": {"role": "assistant", "content": "Hi."}}
    upstream.then([whole(200, json.dumps(answer | {"done": True, "done_reason": "stop"}).encode())])
    asked = {"model": "ollama", "max_tokens": 9, "messages": [{"role": "user", "content": "hello"}]}
    reply = inside.ask("/v1/messages", asked, headers=[("anthropic-beta", "context-1m-2025-08-07")])
    assert "anthropic-beta" in str(reply.header("x-trunkline-dropped"))
    assert reply.header("request-id") == reply.header("x-request-id")


_THOUGHT = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "c2VhbA=="}
_RESPONSE_CALL = {
    "type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "weather", "arguments": '{"city":"Ulm"}',
    "status": "completed",
}  # fmt: skip
_RESPONSE = {
    "id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "model": "gpt-6-sol", "error": None,
    "output": [_THOUGHT, _RESPONSE_CALL],
    "usage": {"input_tokens": 9, "output_tokens": 5, "output_tokens_details": {"reasoning_tokens": 3}, "total_tokens": 14},
}  # fmt: skip


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", ["gpt-6-sol", "gpt-5-pro"])
def test_a_chat_with_a_model_that_is_only_had_elsewhere(tmp_path: Path, upstream: Upstream, model: str, stream: bool) -> None:
    """OpenAI answers such a chat with an error: it is asked in Responses, answered as a chat, and goes on with its thoughts."""
    provider = {
        "kind": "openai",
        "base_url": upstream.url,
        "api_key": PROVIDER_KEY,
        "dialect": ["openai_chat", "openai_responses"],
    }
    body = json.dumps(_RESPONSE).encode()
    events = [
        {"type": "response.created", "response": _RESPONSE | {"status": "in_progress", "output": []}},
        {"type": "response.output_item.done", "output_index": 0, "item": _THOUGHT},
        {"type": "response.output_item.done", "output_index": 1, "item": _RESPONSE_CALL},
        {"type": "response.completed", "response": _RESPONSE},
    ]
    upstream.clear()
    with Inside(tmp_path, upstream.url, config={"providers": {"both": provider}}) as inside:
        upstream.then([head(200, STREAM_HEADERS), chunk(_events(*events)), END] if stream else [whole(200, body)])
        reply = _ask(inside, f"both/{model}", tools=TOOLS, stream=stream, verbosity="low")
        assert reply.status == 200
        assert b'"name":"weather"' in reply.body
        assert b'"tool_calls"' in reply.body
        assert inside.last().usage.reasoning == 3
        seen = upstream.requests[0]
        assert (seen.target, seen.fields["store"], seen.fields["text"]) == ("/v1/responses", False, {"verbosity": "low"})
        assert seen.fields["tools"][0]["name"] == "weather"
        call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Ulm"}'}}
        turns = [
            {"role": "user", "content": "hello"},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "call_1", "content": "rain"},
        ]
        upstream.then([whole(200, body)])
        _ask(inside, f"both/{model}", tools=TOOLS, messages=turns)
    items = upstream.requests[1].fields["input"]
    assert [item["type"] for item in items] == ["message", "reasoning", "function_call", "function_call_output"]
    assert items[1]["encrypted_content"] == "c2VhbA=="


def test_an_error_that_follows_an_announcement_is_a_status(tmp_path: Path, upstream: Upstream) -> None:
    """OpenAI announces an answer and then says that the quota is used up: nothing was shown, so it is an ordinary error."""
    provider = {"kind": "openai", "base_url": upstream.url, "api_key": PROVIDER_KEY, "dialect": "openai_responses"}
    begun = {"type": "response.created", "response": _RESPONSE | {"status": "in_progress", "output": []}}
    error = {"type": "error", "code": "insufficient_quota", "message": "Pay first.", "param": None}
    upstream.clear()
    with Inside(tmp_path, upstream.url, config={"providers": {"it": provider}}) as inside:
        for path, told in (
            ("/v1/responses", {"input": "hello"}),
            ("/v1/chat/completions", {"messages": [{"role": "user", "content": "hello"}]}),
        ):
            upstream.then([head(200, STREAM_HEADERS), chunk(_events(begun, error)), END])
            reply = inside.ask(path, {"model": "it/gpt-5", "stream": True, **told})
            assert (reply.status, reply.error["message"]) == (429, "Pay first.")

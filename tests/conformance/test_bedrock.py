"""Every recorded answer of Bedrock, read by us under every slicing and by boto3: both must have heard the same.

boto3 asks a loopback server that answers with the recorded bytes; what it makes of them is the yardstick.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

import boto3
import pytest
from botocore.config import Config
from typing_extensions import override

from conformance.recordings import Recording, combined, parameters, recordings
from conformance.said import Said, Spent, said
from conformance.stage import CLIENT_ENDPOINTS, DIALECTS
from conformance.test_answers import finishes, shown
from conformance.test_readers import slicings
from trunkline.canon.chat import Other, Reply, Text, Thinking, ToolCall
from trunkline.canon.stream import Begin, Count, End, Finished, Fold, unfold
from trunkline.dialects.bedrock.dialect import Bedrock
from trunkline.dialects.dialect import Ask, Frame
from trunkline.dialects.table import DIALECTS as TABLE

DIALECT = Bedrock()
STREAM_TYPE = "application/vnd.amazon.eventstream"
FINISHES = {
    "end_turn": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "stop_sequence": "stop_sequence",
    "guardrail_intervened": "content_filter",
}


class Heard(NamedTuple):
    """What an answer says."""

    text: str
    thinking: str
    seals: tuple[str, ...]
    calls: tuple[tuple[str, str, Any], ...]
    citations: tuple[tuple[str, str], ...]
    """Title, and what is quoted."""
    others: int
    finish: str
    usage: tuple[int, int, int, int]
    """Prompt with its caches, read from one, written to one, answer."""


class Replay:
    """A server that answers with given bytes."""

    def __init__(self) -> None:
        self.body = b""
        self.content_type = ""
        replay = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                self.send_response(200)
                self.send_header("content-type", replay.content_type)
                self.send_header("content-length", str(len(replay.body)))
                self.end_headers()
                self.wfile.write(replay.body)

            @override
            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.client: Any = boto3.client(
            "bedrock-runtime",
            region_name="us-east-1",
            endpoint_url=f"http://127.0.0.1:{self.server.server_address[1]}",
            aws_access_key_id="AKIDEXAMPLE",
            aws_secret_access_key="secret",
            config=Config(retries={"max_attempts": 0}, proxies={}),
        )
        self.ask = {"modelId": "m", "messages": [{"role": "user", "content": [{"text": "Hello"}]}]}


@pytest.fixture(scope="module")
def replay() -> Iterator[Replay]:
    """One server and one client for all."""
    made = Replay()
    yield made
    made.client.close()
    made.server.shutdown()
    made.server.server_close()


def by_boto3(blocks: list[dict[str, Any]], reason: str, usage: dict[str, Any]) -> Heard:
    """What boto3 made of an answer, in the yardstick's words."""
    text, thinking = "", ""
    seals, calls, citations = [], [], []
    others = 0
    for block in blocks:
        if "text" in block:
            text += block["text"]
        elif "citationsContent" in block:
            text += "".join(one["text"] for one in block["citationsContent"]["content"])
            citations += [cited(one) for one in block["citationsContent"]["citations"]]
        elif "reasoningContent" in block:
            told = block["reasoningContent"]
            thinking += told.get("reasoningText", {}).get("text", "")
            seals += [told["reasoningText"]["signature"]] if told.get("reasoningText", {}).get("signature") else []
            seals += [base64.b64encode(told["redactedContent"]).decode()] if "redactedContent" in told else []
        elif "toolUse" in block and block["toolUse"].get("type") != "server_tool_use":
            calls.append((block["toolUse"]["toolUseId"], block["toolUse"]["name"], block["toolUse"]["input"]))
        else:
            others += 1
    read, wrote = usage.get("cacheReadInputTokens", 0), usage.get("cacheWriteInputTokens", 0)
    spent = (usage["inputTokens"] + read + wrote, read, wrote, usage["outputTokens"])
    return Heard(text, thinking, tuple(seals), tuple(calls), tuple(citations), others, FINISHES[reason], spent)


def cited(told: dict[str, Any]) -> tuple[str, str]:
    """A citation's title and quote."""
    return told.get("title", ""), "".join(one["text"] for one in told.get("sourceContent", ()))


def by_us(reply: Reply) -> Heard:
    """What our reader made of it."""
    (choice,) = reply.choices
    usage = reply.usage
    parts = choice.parts
    return Heard(
        "".join(part.text for part in parts if isinstance(part, Text)),
        "".join(part.text for part in parts if isinstance(part, Thinking)),
        tuple(part.seal.data for part in parts if isinstance(part, Thinking) and part.seal is not None),
        tuple((part.id, part.name, json.loads(part.arguments)) for part in parts if isinstance(part, ToolCall)),
        tuple((one.title, one.quote) for part in parts if isinstance(part, Text) for one in part.citations),
        sum(isinstance(part, Other) for part in parts),
        choice.finish,
        (usage.input, usage.cache_read, usage.cache_write_5m + usage.cache_write_1h, usage.output),
    )


def strict(body: bytes) -> bytes:
    """Without the `type` that one recording has beside its texts: boto3 refuses such a block, Bedrock sends none."""
    told = json.loads(body)
    for block in told["output"]["message"]["content"]:
        if "text" in block:
            block.pop("type", None)
    return json.dumps(told).encode()


@pytest.mark.parametrize("recording", parameters(recordings("bedrock.converse")))
def test_whole_answers(recording: Recording, replay: Replay) -> None:
    """A word, a call, a signature or a token that boto3 sees and we do not would be missing in every client."""
    replay.body, replay.content_type = strict(recording.body), "application/json"
    told = replay.client.converse(**replay.ask)
    reply = DIALECT.read_answer(recording.body, "seed")
    assert by_us(reply) == by_boto3(told["output"]["message"]["content"], told["stopReason"], told["usage"])
    assert json.loads(reply.raw_usage) == json.loads(recording.body)["usage"]


def gathered(events: Iterator[dict[str, Any]]) -> tuple[list[dict[str, Any]], str, dict[str, Any]]:
    """boto3's events as the blocks of a whole answer."""
    blocks: dict[int, dict[str, Any]] = {}
    reason, usage = "", {}
    for event in events:
        if told := event.get("contentBlockStart"):
            blocks[told["contentBlockIndex"]] = {"toolUse": {**told["start"]["toolUse"], "input": ""}}
        elif told := event.get("contentBlockDelta"):
            grow(blocks.setdefault(told["contentBlockIndex"], {}), told["delta"])
        elif told := event.get("messageStop"):
            reason = told["stopReason"]
        elif told := event.get("metadata"):
            usage = told["usage"]
    for block in blocks.values():
        if "toolUse" in block:
            block["toolUse"]["input"] = json.loads(block["toolUse"]["input"] or "{}")
    return [block for _, block in sorted(blocks.items())], reason, usage


def grow(block: dict[str, Any], delta: dict[str, Any]) -> None:
    """A block with one more piece."""
    if "toolUse" in delta:
        block["toolUse"]["input"] += delta["toolUse"]["input"]
    elif "citation" in delta:
        block.setdefault("citationsContent", {"content": [], "citations": []})["citations"].append(delta["citation"])
    elif "text" in delta and "citationsContent" in block:
        block["citationsContent"]["content"].append({"text": delta["text"]})
    elif "text" in delta:
        block["text"] = block.get("text", "") + delta["text"]
    else:
        told = delta["reasoningContent"]
        inside = block.setdefault("reasoningContent", {})
        if "redactedContent" in told:
            inside["redactedContent"] = inside.get("redactedContent", b"") + told["redactedContent"]
        else:
            inside = inside.setdefault("reasoningText", {"text": ""})
            inside["text"] += told.get("text", "")
            inside |= {"signature": told["signature"]} if "signature" in told else {}


@pytest.mark.parametrize("recording", parameters(recordings("bedrock.converse_stream")))
def test_streams_under_every_slicing(recording: Recording, replay: Replay) -> None:
    """Sockets cut frames where they like; what is told must not depend on it, nor differ from what boto3 hears."""
    replay.body, replay.content_type = recording.body, STREAM_TYPE
    want = by_boto3(*gathered(replay.client.converse_stream(**replay.ask)["stream"]))
    reader = DIALECT.reader("seed")
    whole = reader.feed(recording.body) + reader.close()
    assert isinstance(whole[0], Begin)
    assert [type(event) for event in whole[-3:]] == [Finished, Count, End] or isinstance(whole[-1], End)
    fold = Fold("bedrock")
    fold.add(whole)
    assert by_us(fold.reply()) == want
    for pieces in slicings(recording.body):
        reader = DIALECT.reader("seed")
        assert [event for piece in pieces for event in reader.feed(piece)] + reader.close() == whole


@pytest.mark.parametrize("recording", parameters(recordings("bedrock.converse_stream")))
def test_a_stream_that_breaks_is_no_answer(recording: Recording) -> None:
    """Cut anywhere before its stop reason, a stream must not end cleanly; a changed byte must not pass."""
    reader = DIALECT.reader("seed")
    before = reader.feed(recording.body[: len(recording.body) // 2]) + reader.close()
    assert not any(isinstance(event, End) for event in before)
    changed = bytearray(recording.body)
    changed[len(changed) // 2] ^= 1
    reader = DIALECT.reader("seed")
    events = reader.feed(bytes(changed)) + reader.close()
    assert events[-1].error.kind == "upstream_protocol"  # type: ignore[union-attr]


ALL = [*recordings("bedrock.converse"), *recordings("bedrock.converse_stream")]


@combined("recording, client, way", ((one, who, way) for one in ALL for who in CLIENT_ENDPOINTS for way in ("whole", "stream")))
def test_every_client_hears_it(recording: Recording, client: str, way: str) -> None:
    """Whole or streamed, whichever way Bedrock answered: the same words, calls, finish and tokens in each API's own form."""
    writes, stream = TABLE[DIALECTS[client]], way == "stream"
    if recording.endpoint == "bedrock.converse":
        reply = DIALECT.read_answer(recording.body, "seed")
        events = unfold(reply)
    else:
        reader, fold = DIALECT.reader("seed"), Fold("bedrock")
        events = reader.feed(recording.body) + reader.close()
        fold.add(events)
        reply = fold.reply()
    frame = Frame(Ask({}, "m", stream, include_usage=True, form="sse" if stream and client == "gemini" else ""), "id-1", 1)
    body = writes.writer(frame).write(events) if stream else writes.write_answer(reply, frame)
    got, want = said(CLIENT_ENDPOINTS[client], 200, body), by_us(reply)
    assert (got.text, got.thinking) == (want.text, want.thinking)
    assert [(call.name, call.arguments) for call in got.calls] == [call[1:] for call in want.calls]
    told = Said(finish="stop" if want.finish == "stop_sequence" else want.finish)
    assert got.finish in finishes(client, told)
    assert got.spent == shown(client, Spent(*want.usage))

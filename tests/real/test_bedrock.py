"""The official SDKs through the gateway to Bedrock: a scripted one, which believes no request whose signature is wrong.

It thinks, signs its thought and calls a tool, twice, and says at the end what it saw. As Claude does, it refuses a history
in which a call has lost the thought before it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import anthropic
import openai
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from dialects.bedrock.samples import begin, call, delta, end, event, text, thought, told
from harness.gateway import KEY, Gateway
from harness.script import END, Pause, Seen, Step, chunk, head, whole
from harness.upstream import Upstream
from real.scripted import COMMANDS, PRINTED
from real.test_tool_rounds import LOOPS

ACCESS, SECRET, SESSION, REGION = "AKIDCANARY", "canary-secret-of-aws-0123456789", "canary-session/+token==", "eu-central-1"
MODEL = "eu.anthropic.claude-sonnet-4-5-20250929-v1:0"
ARN = f"arn:aws:bedrock:{REGION}:123456789012:inference-profile/{MODEL}"
STREAM_TYPE = "application/vnd.amazon.eventstream"
SIGNATURES = ("c2lnbmVkIG9uY2U=", "c2lnbmVkIHR3aWNl")


class Bedrock:
    """The provider. `seen` keeps every request, `strange` why one was refused."""

    def __init__(self) -> None:
        self.strange: list[str] = []
        self.fault: bytes | None = None
        """Said instead of the next answer."""
        self.midway = False
        """Only after a stream's beginning."""
        self.upstream = Upstream()
        self.upstream.script(self._answer)

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://{self.upstream.host}:{self.upstream.port}"

    @property
    def bodies(self) -> list[dict[str, Any]]:
        """What was asked."""
        return [seen.fields for seen in self.upstream.requests]

    def _answer(self, seen: Seen) -> Iterator[Step]:
        wrong = signature_fault(seen, self.url) or history_fault(seen.fields)
        if wrong:
            self.strange.append(wrong)
            yield whole(403, json.dumps({"message": wrong}).encode(), headers=[("x-amzn-errortype", "AccessDeniedException")])
            return
        streams = seen.target.endswith("/converse-stream")
        if self.fault is not None and not streams:
            fault, self.fault = self.fault, None
            yield whole(429, fault, headers=[("x-amzn-errortype", "ThrottlingException:http://internal.amazon.com/")])
        elif not streams:
            more = [("x-amzn-requestid", "canary-request-1")]
            yield whole(200, json.dumps(whole_answer(seen.fields)).encode(), headers=more)
        else:
            yield head(200, [("content-type", STREAM_TYPE), ("transfer-encoding", "chunked")])
            for piece in self._pieces(seen.fields):
                yield chunk(piece)
                yield Pause(0.001)
            yield END

    def _pieces(self, body: dict[str, Any]) -> Iterator[bytes]:
        data = stream_answer(body)
        if self.fault is not None:
            fault, self.fault = self.fault, None
            data = begin() + delta(0, text="It ") + fault if self.midway else fault
        for at in range(0, len(data), 37):
            yield data[at : at + 37]


def signature_fault(seen: Seen, url: str) -> str:
    """Why AWS would refuse this request's signature, worked out by botocore from what arrived; empty where it is right."""
    given = seen.header("authorization") or ""
    if not given.startswith("AWS4-HMAC-SHA256 "):
        return "no signature"
    fields = dict(part.split("=", 1) for part in given.removeprefix("AWS4-HMAC-SHA256 ").split(", "))
    stamp = seen.header("x-amz-date") or ""
    names = fields["SignedHeaders"].split(";")
    request = AWSRequest("POST", url + seen.target, data=seen.body)
    for name, value in seen.headers:
        if name in names:
            request.headers[name] = value
    request.context["timestamp"] = stamp
    signer = SigV4Auth(Credentials(ACCESS, SECRET, SESSION), "bedrock", REGION)
    right = signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)
    age = abs((datetime.now(UTC) - datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)).total_seconds())
    if right != fields["Signature"] or fields["Credential"] != signer.scope(request) or age > 300:
        return "The request signature we calculated does not match the signature you provided."
    missing = {"host", "content-type", "x-amz-date", "x-amz-security-token"} - set(names)
    return f"not signed: {sorted(missing)}" if missing else ""


def history_fault(body: dict[str, Any]) -> str:
    """Claude's rules: results first, calls known, the thought before a call as it was."""
    rounds = 0
    for message in body["messages"]:
        blocks = message["content"]
        kinds = [next(iter(block)) for block in blocks]
        if message["role"] == "assistant":
            signature = blocks[0].get("reasoningContent", {}).get("reasoningText", {}).get("signature")
            if "toolUse" in kinds and signature != SIGNATURES[rounds]:
                return f"messages: the thought of round {rounds} is not what it was"
            rounds += "toolUse" in kinds
        elif "toolResult" in kinds and kinds[0] != "toolResult":
            return "messages: a result must come first"
    return ""


def done(body: dict[str, Any]) -> list[str]:
    """What the tools printed."""
    blocks = [block for message in body["messages"] for block in message["content"] if "toolResult" in block]
    results = [block["toolResult"]["content"][0]["text"] for block in blocks]
    return [json.loads(one)["output"] if one.startswith("{") else one for one in results]


def whole_answer(body: dict[str, Any]) -> dict[str, Any]:
    """The next answer of this conversation."""
    results = done(body)
    usage = {"inputTokens": 100, "outputTokens": 10, "totalTokens": 115, "cacheReadInputTokens": 5}
    if "toolConfig" not in body or len(results) == len(COMMANDS):
        content: list[dict[str, Any]] = [{"text": "It printed: " + " / ".join(results)}]
    else:
        signed = {"text": "Hm. 漢字", "signature": SIGNATURES[len(results)]}
        given = {"command": COMMANDS[len(results)]}
        called = {"toolUseId": f"tooluse_{len(results)}", "name": "bash", "input": given}
        content = [{"reasoningContent": {"reasoningText": signed}}, {"text": "I run it."}, {"toolUse": called}]
    reason = "tool_use" if len(content) > 1 else "end_turn"
    output = {"message": {"role": "assistant", "content": content}}
    return {"output": output, "stopReason": reason, "usage": usage, "metrics": {"latencyMs": 5}}


def stream_answer(body: dict[str, Any]) -> bytes:
    """The same as frames."""
    said = whole_answer(body)
    blocks = said["output"]["message"]["content"]
    if len(blocks) == 1:
        told = text(0, *blocks[0]["text"].partition(":"))
    else:
        arguments = json.dumps(blocks[2]["toolUse"]["input"])
        told = thought(0, "Hm. ", "漢字", signature=SIGNATURES[len(done(body))]) + text(1, "I run ", "it.")
        told += call(2, "", arguments[:9], arguments[9:], toolUseId=blocks[2]["toolUse"]["toolUseId"], name="bash")
    return begin() + told + end(said["stopReason"], said["usage"])


@pytest.fixture(scope="module")
def bedrock() -> Iterator[Bedrock]:
    """The provider."""
    made = Bedrock()
    yield made
    made.upstream.stop()


@pytest.fixture(scope="module")
def gateway(bedrock: Bedrock, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway that signs with keys of its configuration, with keys of the machine's, and that sends an API key."""
    keys = {"access_key_id": ACCESS, "secret_access_key": SECRET, "session_token": SESSION}
    lab = {"kind": "bedrock", "base_url": bedrock.url, "region": REGION}
    config = {
        "server": {"listen": "127.0.0.1:0", "admin": "127.0.0.1:0"},
        "providers": {
            "lab": {**lab, "aws": keys},
            "found": {**lab, "aws": {}},
            "keyed": {**lab, "api_key": "canary-bedrock-api-key"},
        },
        "models": {"via-bedrock": {"targets": [f"lab/{MODEL}"]}},
        "keys": [{"name": "tester", "secret": KEY}],
    }
    environ = {"AWS_ACCESS_KEY_ID": ACCESS, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_SESSION_TOKEN": SESSION}
    with Gateway(config, tmp_path_factory.mktemp("gateway"), env=environ) as running:
        yield running
        assert SECRET.encode() not in b"".join(running.stdout + running.stderr)


@pytest.fixture
def url(bedrock: Bedrock, gateway: Gateway) -> str:
    """The gateway's address, nothing seen yet."""
    bedrock.upstream.requests = []
    bedrock.strange.clear()
    return "http://{}:{}".format(*gateway.listen)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("sdk", LOOPS)
def test_two_rounds_of_tools(sdk: str, stream: bool, url: str, bedrock: Bedrock) -> None:
    """Every SDK's program works with Claude on Bedrock: signed, called, and its thoughts find their way back."""
    assert LOOPS[sdk](url, "via-bedrock", stream=stream) == "It printed: " + " / ".join(PRINTED)
    assert bedrock.strange == []
    asked = bedrock.bodies
    assert len(asked) == 3
    assert asked[2]["messages"][: len(asked[1]["messages"])] == asked[1]["messages"]
    targets = {seen.target for seen in bedrock.upstream.requests}
    assert targets == {f"/model/{MODEL.replace(':', '%3A')}/converse{'-stream' if stream else ''}"}


def test_an_arn_is_a_models_name(url: str, bedrock: Bedrock, gateway: Gateway) -> None:
    """An inference profile's ARN has slashes and colons; it is one segment of the path, and its signature holds."""
    with openai.OpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0, timeout=20) as client:
        told = client.chat.completions.with_raw_response.create(
            model=f"lab/{ARN}", messages=[{"role": "user", "content": "Hello"}]
        )
    answer = told.parse()
    assert answer.choices[0].message.content == "It printed: "
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (105, 10)
    assert float(told.headers["x-trunkline-cost-usd"]) > 0
    row = next(row for row in gateway.ledger() if row["id"] == told.headers["x-request-id"])
    assert (row["target"], row["upstream_id"]) == (ARN, "canary-request-1")
    (seen,) = bedrock.upstream.requests
    assert seen.target == f"/model/{ARN.replace(':', '%3A').replace('/', '%2F')}/converse"


def test_an_api_key_is_sent_as_it_is(url: str, bedrock: Bedrock) -> None:
    """Bedrock's own keys need no signature; one that it refuses is the operator's to mend."""
    client = openai.OpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0, timeout=20)
    with client, pytest.raises(openai.PermissionDeniedError, match="no signature"):
        client.chat.completions.create(model=f"keyed/{MODEL}", messages=[{"role": "user", "content": "Hello"}])
    (seen,) = bedrock.upstream.requests
    assert seen.header("authorization") == "Bearer canary-bedrock-api-key"
    assert seen.header("x-amz-date") is None


def test_keys_that_the_machine_has(url: str, bedrock: Bedrock) -> None:
    """On AWS's own machines nothing needs to be configured but the region."""
    with openai.OpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0, timeout=20) as client:
        answer = client.chat.completions.create(model=f"found/{MODEL}", messages=[{"role": "user", "content": "Hello"}])
    assert answer.choices[0].finish_reason == "stop"
    assert bedrock.strange == []


def test_throttling_is_a_429(url: str, bedrock: Bedrock) -> None:
    """An SDK that knows 429 waits and tries again; whole, and as the first frame of a stream of status 200."""
    ask: Any = {"model": "via-bedrock", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 100}
    with anthropic.Anthropic(base_url=url, api_key=KEY, max_retries=0, timeout=20) as client:
        bedrock.fault = b'{"message":"Too many requests, please wait."}'
        with pytest.raises(anthropic.RateLimitError, match="please wait"):
            client.messages.create(**ask)
        bedrock.fault = told("exception", "throttlingException", b'{"message":"Too many tokens."}')
        with pytest.raises(anthropic.RateLimitError, match="Too many tokens"):
            client.messages.create(**ask, stream=True)


def test_a_stream_that_breaks_does_not_end_cleanly(url: str, bedrock: Bedrock) -> None:
    """An exception in mid-stream, and bytes that fail their checksum: the client's SDK must raise, not believe it is done."""
    ask: Any = {"model": "via-bedrock", "messages": [{"role": "user", "content": "Hello"}], "stream": True}
    broke = told("exception", "modelStreamErrorException", b'{"message":"It broke.","originalStatusCode":500}')
    spoilt = bytearray(event("contentBlockDelta", contentBlockIndex=0, delta={"text": "more"}))
    spoilt[-1] ^= 1
    with openai.OpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0, timeout=20) as client:
        for fault, said in ((broke, "It broke"), (bytes(spoilt), "checksum")):
            bedrock.fault, bedrock.midway = fault, True
            stream = client.chat.completions.create(**ask)
            heard = [next(stream).choices[0].delta.content or "" for _ in range(2)]
            with pytest.raises(openai.APIError, match=said):
                list(stream)
            assert "".join(heard) == "It "
            bedrock.midway = False

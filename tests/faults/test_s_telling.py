"""S11, S12: what is written down, and what must never be told."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest

from harness.gateway import KEY, PROVIDER_KEY
from harness.invariants import Case, eventually
from harness.script import Seen, event, whole

CONTROLS = re.compile(rb"[\x00-\x09\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80[\xa8\xa9]")

ESCAPES = [
    "two\nlines",
    "\x1b[31mred\x1b[0m",
    '"}\n{"event":"request","key":"forged"}',
    "\x00nul",
    "\x9b31m",
    "\u2028sep",
    "\u202ebidi",
    "\r overwrite",
]


@pytest.mark.parametrize("text", ESCAPES, ids=range(len(ESCAPES)))
def test_s11_one_request_is_one_line(case: Case, text: str) -> None:
    """A log that can be forged proves nothing, and a terminal that obeys it is an open door."""
    gateway = case.gateway
    before = len(gateway.logs())
    gateway.chat(model=f"lab/{text}")
    gateway.chat(model=text)
    gateway.chat(user=text, nonce=text)
    header = "".join(c for c in text if c.isprintable() and ord(c) < 256)
    gateway.chat(headers=[("user-agent", header), ("x-request-id", header)])
    path = "/v1/" + "".join(f"%{byte:02x}" for byte in text.encode())
    gateway.get(path, key=KEY)
    wanted = 5
    eventually(lambda: len([1 for line in gateway.logs()[before:] if line.get("event") == "request"]) >= wanted, "5 log lines")
    time.sleep(0.1)
    lines = gateway.stdout[before:]
    parsed = gateway.logs()[before:]
    assert all("unparsed" not in line for line in parsed)
    assert len([line for line in parsed if line.get("event") == "request"]) == wanted
    assert not any(CONTROLS.search(line) for line in lines)
    assert not any(line.get("key") == "forged" for line in parsed)


def test_s11_long_values_are_capped(case: Case) -> None:
    """One request cannot fill the disk with its name."""
    gateway = case.gateway
    gateway.chat(model="x" * 500_000)
    gateway.get("/v1/" + "y" * 10_000, key=KEY)
    eventually(lambda: sum(line.get("status") == 404 for line in gateway.logs()) >= 1, "its line")
    assert max(len(line) for line in gateway.stdout) < 8192


def test_s11_prompts_are_not_logged(case: Case) -> None:
    """What people ask is nobody's business unless the operator says so."""
    gateway = case.gateway
    prompt = [{"role": "user", "content": "canary-prompt-4711"}]
    for mock in ("", "status=500", "html", "short"):
        gateway.chat(messages=prompt, mock=mock, nonce="canary-answer-4711")
    gateway.chat(messages=prompt, stream=True, mock="frames=3;rst_at=2", nonce="canary-answer-4711")
    gateway.chat(body=b'{"messages": "canary-prompt-4711"')
    eventually(lambda: gateway.in_flight() == 0, "all settled")
    told = b"".join([*gateway.stdout, *gateway.stderr])
    assert b"canary-prompt" not in told
    assert b"canary-answer" not in told


def parrot(seen: Seen) -> bytes:
    """A provider that repeats the credential it was shown."""
    text = f"Incorrect API key provided: {seen.header('authorization')}"
    return json.dumps(
        {"error": {"message": text, "type": "invalid_request_error", "param": None, "code": "invalid_api_key"}}
    ).encode()


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("status", [200, 400, 401, 500])
def test_s12_providers_that_repeat_our_key(case: Case, status: int, stream: bool) -> None:
    """OpenAI's own 401 shows most of the key: the client of a gateway must never see it."""
    case.upstream.script(lambda seen: [whole(status, parrot(seen))])
    reply = case.gateway.chat(stream=stream)
    assert reply.status >= 400
    assert PROVIDER_KEY.encode() not in reply.body
    case.check_secrets(reply.head)


def test_s12_keys_in_headers_and_html(case: Case) -> None:
    """Not in the body only: an answer's headers and a page that is no JSON are told too."""
    case.upstream.script(
        lambda seen: [
            whole(
                500,
                f"<p>{seen.header('authorization')}</p>".encode(),
                "text/html",
                [("x-echo", PROVIDER_KEY), ("x-request-id", PROVIDER_KEY)],
            )
        ]
    )
    reply = case.gateway.chat()
    assert reply.status == 500
    eventually(case.new_rows, "a row")
    case.check_secrets(reply.head, reply.body, json.dumps(case.new_rows()).encode())


def test_s12_key_in_a_stream_error(case: Case) -> None:
    """An error in mid-stream is scrubbed like an error before it."""
    case.upstream.script(
        lambda seen: [
            whole(
                200, b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n' + event(json.loads(parrot(seen))), "text/event-stream"
            )
        ]
    )
    reply = case.gateway.chat(stream=True)
    assert PROVIDER_KEY.encode() not in reply.body


def test_s12_nothing_on_the_command_line_or_in_the_data(case: Case) -> None:
    """`ps` is readable by everybody, a data directory by backups: a key's text stands in neither."""
    gateway = case.gateway
    gateway.chat()
    gateway.chat(key="tl-canary-unknown")
    gateway.get(f"/v1/models?key={KEY}")
    gateway.get(f"/v1beta/models?key={KEY}")
    told = [Path(f"/proc/{gateway.pid}/cmdline").read_bytes()]
    told += [file.read_bytes() for file in gateway.data.rglob("*") if file.is_file()]
    case.check_secrets(*told)

"""Hand-written streams of every OpenAI-compatible provider, and what a tap must make of each.

The shapes are those of recorded traffic, the words are not: a clone without recordings proves itself on these.
"""

from __future__ import annotations

from typing import NamedTuple


class Variant(NamedTuple):
    """One stream: its bytes, and what is reported in it."""

    name: str
    body: bytes
    input: int
    output: int
    finish: str
    hidden: bytes = b""
    """The chunk that `hide_usage` keeps from the client."""
    error: str = ""
    complete: bool = True
    unread: int = 0


def events(*data: str, end: str = "\n\n") -> bytes:
    """Each piece as an event of one line."""
    return "".join(f"data: {piece}{end}" for piece in data).encode()


def chunk(choices: str, rest: str = "") -> str:
    """A chunk with these choices."""
    return '{"id":"c1","object":"chat.completion.chunk","created":1,"model":"m","choices":[' + choices + "]" + rest + "}"


def delta(fields: str, finish: str = "null") -> str:
    """A choice with this delta."""
    return '{"index":0,"delta":{' + fields + '},"finish_reason":' + finish + "}"


HELLO = chunk(delta('"role":"assistant","content":""')), chunk(delta('"content":"Hel"')), chunk(delta('"content":"lo"'))
STOP = chunk(delta("", '"stop"'))
USAGE = '"usage":{"prompt_tokens":7,"completion_tokens":2,"total_tokens":9}'
XAI = '"usage":{"prompt_tokens":7,"completion_tokens":2,"total_tokens":19,"completion_tokens_details":{"reasoning_tokens":10}}'

VARIANTS = [
    Variant(
        "openai",
        events(
            *(chunk(delta('"content":"Hi"'), ',"usage":null,"obfuscation":"aB3"') for _ in range(3)),
            chunk(delta("", '"stop"'), ',"usage":null'),
            chunk("", "," + USAGE),
            "[DONE]",
        ),
        *(7, 2, "stop", events(chunk("", "," + USAGE))),
    ),
    Variant("openai without usage", events(*HELLO, STOP, "[DONE]"), 0, 0, "stop"),
    Variant(
        "azure: a first chunk with no choices",
        events(chunk("", ',"prompt_filter_results":[{"prompt_index":0}]'), *HELLO, STOP, chunk("", "," + USAGE), "[DONE]"),
        *(7, 2, "stop", events(chunk("", "," + USAGE))),
    ),
    Variant(
        "deepseek: usage in the finish chunk, keep-alive comments",
        b": keep-alive\n\n"
        + events(chunk(delta('"content":null,"reasoning_content":"hm"')), *HELLO)
        + b": keep-alive\n\n"
        + events(chunk(delta('"content":""', '"stop"'), "," + USAGE), "[DONE]"),
        *(7, 2, "stop"),
    ),
    Variant(
        "xai: reasoning beside the completion",
        events(*HELLO, STOP, chunk("", "," + XAI), "[DONE]"),
        *(7, 12, "stop", events(chunk("", "," + XAI))),
    ),
    Variant(
        "groq: x_groq",
        events(*HELLO, chunk(delta("", '"stop"'), ',"x_groq":{"id":"r",' + USAGE + "}"), "[DONE]"),
        *(7, 2, "stop"),
    ),
    Variant(
        "groq: an error event, no end mark",
        events(*HELLO)
        + b'event: error\ndata: {"error":{"message":"Tool needed","code":"tool_use_failed","status_code":400}}\n\n\n',
        *(0, 0, "", b"", "Tool needed", False),
    ),
    Variant(
        "mistral: a content list, usage in the finish chunk",
        events(
            chunk(delta('"content":[{"type":"thinking","thinking":[{"type":"text","text":"hm"}]}]'), ',"p":"abc"'),
            chunk(
                delta('"content":"","tool_calls":[{"id":"a1","function":{"name":"f","arguments":"{}"}}]', '"tool_calls"'),
                "," + USAGE,
            ),
            "[DONE]",
        ),
        *(7, 2, "tool_calls"),
    ),
    Variant(
        "openrouter: comments and two finish chunks",
        b": OPENROUTER PROCESSING\n\n"
        + events(*HELLO, STOP, chunk(delta('"role":"assistant","content":""', '"stop"'), "," + USAGE), "[DONE]"),
        *(7, 2, "stop"),
    ),
    Variant(
        "openrouter: an error in a chunk, yet an end mark",
        events(
            *HELLO, chunk(delta('"content":""', '"error"'), ',"error":{"code":502,"message":"Provider disconnected"}'), "[DONE]"
        ),
        *(0, 0, "error", b"", "Provider disconnected"),
    ),
    Variant(
        "perplexity: usage in every chunk, CRLF, no end mark",
        b": ping\r\n\r\n"
        + events(
            chunk(delta('"content":"a"'), ',"usage":{"prompt_tokens":7,"completion_tokens":1,"total_tokens":8}'),
            chunk(delta('"content":"b"', '"stop"'), "," + USAGE),
            end="\r\n\r\n",
        ),
        *(7, 2, "stop"),
    ),
    Variant(
        "a server that writes spaces, no blank line at the end",
        b'data:{"choices" : [ {"delta" : {"content" : "x"}, "finish_reason" : "length"} ], "usage" : null}\n\n'
        b'data:{"choices" : [ ], "usage" : {"prompt_tokens" : 7, "completion_tokens" : 2}}',
        *(7, 2, "length", b'data:{"choices" : [ ], "usage" : {"prompt_tokens" : 7, "completion_tokens" : 2}}'),
    ),
    Variant(
        "CR only, a byte order mark, data over several lines",
        b"\xef\xbb\xbf"
        + events(*HELLO, end="\r\r")
        + b'data: {"choices":[{"finish_reason":"stop"}],\rdata: '
        + USAGE.encode()
        + b"}\r\r"
        + events("[DONE]", end="\r\r"),
        *(7, 2, "stop"),
    ),
    Variant(
        "malformed events in between",
        events(
            HELLO[0],
            '{"choices":[{"delta"',
            "NaN",
            '"text"',
            "[1]",
            '{"choices":7}',
            '{"choices":[],"x":"\\ud83d"}',
            STOP,
            "[DONE]",
            HELLO[1],
        ),
        *(0, 0, "stop", b"", "", True, 6),
    ),
    Variant("cut in the middle of an event", events(*HELLO) + b'data: {"choices":[{"del', 0, 0, "", b"", "", False, 1),
    Variant(
        "no usage but a strange one",
        events(STOP, chunk("", ',"usage":{}'), "[DONE]"),
        0,
        0,
        "stop",
        events(chunk("", ',"usage":{}')),
    ),
    Variant(
        "an error that names itself in words only", b"event: error\ndata: overloaded\n\n", 0, 0, "", b"", "overloaded", False
    ),
    Variant("nothing", b"", 0, 0, "", b"", "", False),
]

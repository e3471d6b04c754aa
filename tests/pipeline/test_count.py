"""Counting tokens: against counts of two other implementations, at every cut, and without holding up the loop."""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
import subprocess
import sys
import threading
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trunkline.canon.chat import (
    Chat,
    Media,
    Message,
    Other,
    OutputFormat,
    Refusal,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolResult,
)
from trunkline.canon.errors import GatewayError, Kind
from trunkline.pipeline import count
from trunkline.pipeline.count import MAX_COUNTED, PIECE, TABLE, Counter, pieces

COUNTER = Counter()
NOTE = base64.b64encode(b"some text").decode()
PIXEL = base64.b64encode(b"\x89PNG").decode()

# Counted with tiktoken 0.14 and with GitHub's bpe (bpe-openai 0.1.4), which agree.
GOLDEN = [
    ("", 0),
    ("a", 1),
    ("Hello, world!", 4),
    ("The quick brown fox jumps over the lazy dog.", 10),
    ("def settle(usage: Usage) -> int:\n    return sum(rate * part for rate, part in zip(self.rates, usage))\n", 28),
    ('{"type":"object","properties":{"city":{"type":"string","description":"City"}},"required":["city"]}', 23),
    ("\u7f51\u5173\u628a\u6bcf\u4e00\u4e2a\u8bf7\u6c42\u9001\u5230\u5b83\u8be5\u53bb\u7684\u5730\u65b9\u3002", 14),
    ("\u0428\u043b\u044e\u0437 \u0437\u043d\u0430\u0435\u0442 \u043f\u0443\u0442\u044c.", 6),
    ("\U0001f389\U0001f469\u200d\U0001f469\u200d\U0001f467\U0001f3f4\u2620\ufe0f na\u00efve caf\u00e9", 18),
    ("    \t\n\n  indented\r\n\r\n   text  \n", 9),
    ("1234567890 3.14159 0xDEADBEEF", 15),
    ("I'll say WE'RE sure it's HTTPServer's XMLHttpRequest", 12),
    ("antidisestablishmentarianism pneumonoultramicroscopicsilicovolcanoconiosis", 19),
    ("<|endoftext|> is not a mark here", 12),
    ("a" * 40, 5),
    ("https://example.com/a/b?c=d&e=%20f#g", 14),
]


@pytest.mark.parametrize(("text", "tokens"), GOLDEN)
def test_counts_as_others_do(text: str, tokens: int) -> None:
    """A count that is not the model's own makes an agent compact its history too early or too late."""
    assert COUNTER.count(text) == tokens


def test_the_table_is_the_one_that_tiktoken_pins() -> None:
    """A damaged or exchanged table would count wrongly in silence."""
    table = gzip.decompress(TABLE.read_bytes())
    assert hashlib.sha256(table).hexdigest() == "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d"


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        (" " * 2_000_000, 2_000_000 // 128),
        ("\n" * 200_000, 12_500),
        ("a" * 1_000_000, 125_000),
        ("\u30fc" * 100_000, 25_000),
        (" \r\n" * 100_000, 100_000),
    ],
)
def test_no_text_ends_the_process(text: str, tokens: int) -> None:
    """A million spaces given to the library at once abort the gateway: a request anyone can send."""
    assert COUNTER.count(text) == pytest.approx(tokens, rel=0.01)


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb", "\ud83d" * 3])
def test_half_a_character_is_counted_as_a_mark(text: str) -> None:
    """The tokenizer takes no lone surrogate; the request must not fail for one."""
    assert COUNTER.count(text) == COUNTER.count(text.encode("utf-8", "replace").decode())


@given(st.text(alphabet="ab \n\t\u00e9'1", max_size=300), st.integers(1, 2000))
@settings(max_examples=30)
def test_pieces_are_the_text(text: str, times: int) -> None:
    """Nothing is lost or said twice at a cut, and no piece is longer than the tokenizer bears."""
    whole = (text * times)[: PIECE * 3]
    cut = list(pieces(whole))
    assert "".join(cut) == whole
    assert all(len(piece) <= PIECE for piece in cut)


@given(
    st.lists(
        st.sampled_from(["word", "x", "1234", "(a):", "\n", "\n\n    ", "don't", "\u00e9t\u00e9", "...", "   "]),
        min_size=1,
        max_size=50,
    )
)
@settings(max_examples=20, deadline=None)  # a loaded machine takes its time
def test_a_cut_adds_no_token(words: list[str]) -> None:
    """Text with words in it is counted exactly, however long: the cut lies where no token goes across."""
    text = (" ".join(words) + " or word") * (2 * PIECE // len(" ".join(words)) + 1)
    assert COUNTER.count(text) == len(COUNTER._load().encode(text))


def test_what_is_beyond_the_bound_is_counted_by_proportion(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request of many megabytes must not take a core for minutes."""
    exact = COUNTER.count("word " * 50_000)
    monkeypatch.setattr(count, "MAX_COUNTED", 10_000)
    assert COUNTER.count("word " * 50_000) == pytest.approx(exact, rel=0.01)
    assert MAX_COUNTED == 4 * 1024 * 1024


def chat(*parts: Any, **fields: Any) -> Chat:
    """A conversation of one message."""
    return Chat("openai_chat", "m", (Message("user", parts),), **fields)


def tokens_of(conversation: Chat, dialect: str = "") -> int:
    """As the gateway counts it."""
    return asyncio.run(COUNTER.count_chat(conversation, dialect))


def words(text: str) -> int:
    """Tokens of a text."""
    return COUNTER.count(text)


EMPTY = 3 + 3 + 1
"""The beginning of the answer, the message, its role."""
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
WRITTEN = '{"type":"object","properties":{"city":{"type":"string"}}}'


def test_a_message_costs_what_openai_documents() -> None:
    """Three tokens a message and three for the answer's beginning: 'hi' is 8 in OpenAI's own usage."""
    assert tokens_of(chat(Text("hi"))) == 8
    assert tokens_of(Chat("openai_chat", "m", (Message("user", (Text("hi"),), name="Ann"),))) == 8 + words("Ann") + 1
    assert tokens_of(Chat("openai_chat", "m", ())) == 3


@pytest.mark.parametrize(
    ("parts", "tokens"),
    [
        ((Text("one two"), Text("three")), words("one two") + words("three")),
        ((Thinking("deep thoughts"),), words("deep thoughts")),
        ((Refusal("I will not."),), words("I will not.")),
        ((ToolCall("call_1", "weather", '{"city":"Oslo"}'),), words("weather") + words('{"city":"Oslo"}')),
        ((ToolResult("call_1", "weather", (Text("rain"), Media("image", "image/png", PIXEL))),), words("rain") + 765),
        ((Other("anthropic", {"type": "x"}),), words('{"type":"x"}')),
        ((Media("document", "text/plain", NOTE, name="a.txt"),), words("a.txt\nsome text")),
        ((Media("document", "text/plain", "abcde"),), words("abcde")),
        ((Media("document", "application/pdf", "A" * 4 * 50_000),), 2250 * 3),
        ((Media("document", url="https://example.com/a.pdf"),), 2250),
        ((Media("audio", "audio/wav", "A" * 4 * 1024),), 6),
        ((Media("video", file_id="file_1"),), 128),
    ],
)  # fmt: skip
def test_everything_in_a_message_is_counted(parts: Any, tokens: int) -> None:
    """Calls, results, thinking and files fill the context as words do."""
    assert tokens_of(chat(*parts)) == EMPTY + tokens


@pytest.mark.parametrize(
    ("dialect", "tokens"), [("", 765), ("openai_chat", 765), ("anthropic", 1568), ("gemini", 1120), ("ollama", 765)]
)
def test_an_image_has_its_familys_figure(dialect: str, tokens: int) -> None:
    """Documented figures, since the size of an image is not known."""
    assert tokens_of(chat(Media("image", "image/png", PIXEL)), dialect) == EMPTY + tokens
    assert tokens_of(chat(Media("image", "image/png", PIXEL, detail="low")), dialect) == EMPTY + 85


def test_tools_and_schemas_are_counted() -> None:
    """Claude Code sends 60 KB of tools with each request: the greater part of its prompt."""
    plain = tokens_of(chat(Text("hi")))
    one = tokens_of(chat(Text("hi"), tools=(Tool("f", "Does it", SCHEMA),)))
    assert one == plain + 12 + 8 + words("f") + words("Does it") + words(WRITTEN)
    two = tokens_of(chat(Text("hi"), tools=(Tool("f", "Does it", SCHEMA), Other("anthropic", {"type": "bash"}))))
    assert two == one + 8 + words('{"type":"bash"}')
    assert tokens_of(chat(Text("hi"), tools=(Tool("f"),))) == plain + 12 + 8 + words("f")
    assert tokens_of(chat(Text("hi"), output=OutputFormat("schema", SCHEMA))) == plain + words(WRITTEN)
    assert tokens_of(chat(Text("hi"), output=OutputFormat("json"))) == plain


def test_many_counts_do_not_hold_up_the_loop() -> None:
    """Claude Code counts 34 requests at once; streams of others must flow meanwhile. The tokenizer is loaded on the way."""
    text = "The gateway must answer every request, however many there are; (def f(x): return x+1)\n" * 800
    counter = Counter()
    late = 0.0

    async def main() -> list[int]:
        nonlocal late
        counts = asyncio.gather(*(counter.count_chat(chat(Text(text[: 50_000 + 500 * n]))) for n in range(34)))
        while not counts.done():
            before = time.perf_counter()
            await asyncio.sleep(0)
            late = max(late, time.perf_counter() - before)
        return await counts

    assert asyncio.run(main()) == [EMPTY + words(text[: 50_000 + 500 * n]) for n in range(34)]
    assert late < 0.25  # 0.02 on a quiet machine; all of it would be 0.5
    counter.close()


def test_no_more_wait_than_may(monkeypatch: pytest.MonkeyPatch) -> None:
    """A flood of counts must not pile up without bound; each is told to come back."""
    monkeypatch.setattr(count, "MAX_WAITING", 2)
    counter = Counter()

    async def main() -> list[Any]:
        return await asyncio.gather(*(counter.count_chat(chat(Text("hi"))) for _ in range(3)), return_exceptions=True)

    first, second, refused = asyncio.run(main())
    assert (first, second) == (8, 8)
    assert isinstance(refused, GatewayError)
    assert (refused.kind, refused.retry_after) == (Kind.OVERLOADED, 1.0)
    assert asyncio.run(counter.count_chat(chat(Text("hi")))) == 8


def test_a_client_that_leaves_gives_its_place_free() -> None:
    """Cancelled counts must not stay in the count of those waiting."""
    counter = Counter()

    async def main() -> None:
        task = asyncio.ensure_future(counter.count_chat(chat(Text("hi"))))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert counter._waiting == 0


def test_threads_share_one_table() -> None:
    """Two loads at once would take twice the memory."""
    counter = Counter()
    loaded: list[Any] = []
    threads = [threading.Thread(target=lambda: loaded.append(counter._load())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(loaded) == 4
    assert all(machine is loaded[0] for machine in loaded)


def test_closing_twice_or_unused_is_fine() -> None:
    """The gateway closes what it made, used or not."""
    counter = Counter()
    counter.close()
    asyncio.run(counter.count_chat(chat(Text("hi"))))
    counter.close()
    counter.close()


def test_nothing_is_loaded_before_it_is_asked_for() -> None:
    """65 MB would double the idle memory of a gateway nobody asks to count."""
    code = (
        "import sys, trunkline.pipeline.count as c\nc.Counter()\nassert 'kitoken' not in sys.modules\n"
        "assert c.Counter().count('a') == 1\nassert 'kitoken' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)

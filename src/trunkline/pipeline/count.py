"""How many tokens a text or a conversation has, counted by a real tokenizer, here and without a network.

The table is OpenAI's `o200k_base` (GPT-4o and later). Other families cut text their own way: what is counted here is a close
guess for them, and is only asked for where the provider itself cannot count. Why this tokenizer: docs/decisions/012.
"""

from __future__ import annotations

import asyncio
import gzip
import re
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from trunkline.canon.chat import (
    Chat,
    Json,
    Media,
    Other,
    Part,
    Refusal,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolResult,
)
from trunkline.canon.errors import GatewayError, Kind
from trunkline.dialects.plain import document
from trunkline.pipeline.media import media_of

if TYPE_CHECKING:
    from kitoken import Kitoken

TABLE = Path(__file__).with_name("o200k_base.tiktoken.gz")
MAX_COUNTED = 4 * 1024 * 1024
"""Characters of one conversation that are counted, a second of one core at most; longer ones are counted by proportion."""
PIECE = 16 * 1024
"""Characters given to the tokenizer at once. It matches with a backtracking machine whose stack is bounded: a million spaces in
a row end the whole process (kitoken 0.11.1), sixty times this do not."""
MAX_WAITING = 512
"""Conversations that may wait to be counted; one more is told to come back."""

_LOOK = 1024
"""Characters at the end of a piece in which a good place to cut is looked for."""
_AFTER_A_WORD = re.compile(r"(?<=\S) ")

_MESSAGE, _NAME, _PRIMING = 3, 1, 3
"""Tokens a message, its name and the beginning of the answer cost (OpenAI cookbook, "How to count tokens with tiktoken")."""
_TOOL, _TOOLS = 8, 12
"""Tokens of one function and of all together beside their words; from the same page's counts for tools."""
_IMAGE = 765
_IMAGES = {"anthropic": 1568, "gemini": 1120}
"""An image's tokens by provider dialect, its size unknown. OpenAI: 1024 x 1024 in high detail is 765, any in low detail 85.
Anthropic: what the models before Claude 4.7 shrink a large one to. Gemini 3: 1120 (its guide to media resolution)."""
_LOW_DETAIL = 85
_PAGE, _PAGE_BYTES = 2250, 64 * 1024
"""A PDF's page is 1,500 to 3,000 tokens (Anthropic's PDF guide). How many pages there are is guessed from its size."""
_PER_KIB = 2
"""Tokens per KiB of sound or film: 32 a second (Gemini's guide to audio) at 128 kbit/s; film at eight times both."""
_UNSEEN = 64 * 1024
"""Bytes a file is taken to have that is named, but not here."""


class Counter:
    """The tokenizer. Loaded at first use (0.3 s in the worker thread, 65 MB), so a gateway nobody asks to count pays nothing.

    One worker thread: the library lets go of the interpreter's lock while it counts, so the loop is free meanwhile.
    """

    def __init__(self) -> None:
        self._machine: Kitoken | None = None
        self._loading = threading.Lock()
        self._worker: ThreadPoolExecutor | None = None
        self._waiting = 0

    def count(self, text: str) -> int:
        """Tokens of a text; those beyond `MAX_COUNTED` characters by proportion. Blocks; may be called in any thread."""
        return self._count([text])

    async def count_chat(self, chat: Chat, dialect: str = "") -> int:
        """Tokens a conversation has as a prompt, its tools and media with it; `dialect` is the provider's, for its images.

        Raises `GatewayError(OVERLOADED)` when too many wait. The text beyond `MAX_COUNTED` characters is counted by
        proportion.
        """
        if self._waiting >= MAX_WAITING:
            raise GatewayError(Kind.OVERLOADED, "Too many token counts are waiting. Try again shortly.", retry_after=1.0)
        if self._worker is None:
            self._worker = ThreadPoolExecutor(1, "count")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._worker, self._count_chat, chat, dialect)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """Forget what waits, and let the worker go."""
        if self._worker is not None:
            self._worker.shutdown(wait=False, cancel_futures=True)
            self._worker = None

    def _count_chat(self, chat: Chat, dialect: str) -> int:
        return self._count(_texts(chat)) + _overhead(chat) + sum(_media(one, dialect) for one in _all_media(chat))

    def _count(self, texts: Iterable[str]) -> int:
        machine = self._machine or self._load()
        tokens = counted = size = 0
        for text in texts:
            size += len(text)
            taken = text[: MAX_COUNTED - counted]
            counted += len(taken)
            tokens += sum(len(machine.encode(_sound(piece))) for piece in pieces(taken))
        return tokens * size // counted if counted else 0

    def _load(self) -> Kitoken:
        from kitoken import Kitoken  # noqa: PLC0415 - 5 MB that most processes never need

        with self._loading:
            if self._machine is None:
                self._machine = Kitoken.from_tiktoken(gzip.decompress(TABLE.read_bytes()))
            return self._machine


def pieces(text: str) -> Iterator[str]:
    """The text in pieces of at most `PIECE` characters, cut before a space that ends a word: there no token goes across.

    A piece without such a place is cut anywhere, which adds a token or two.
    """
    start = 0
    while len(text) - start > PIECE:
        most = start + PIECE
        end = max((space.start() for space in _AFTER_A_WORD.finditer(text, most - _LOOK, most)), default=most)
        yield text[start:end]
        start = end
    yield text[start:]


def _sound(piece: str) -> str:
    """Without lone surrogates, which no tokenizer takes: a question mark stands for each."""
    return piece.encode("utf-8", "replace").decode("utf-8")


def _texts(chat: Chat) -> Iterator[str]:
    for message in chat.messages:
        yield message.role
        yield message.name
        for part in message.parts:
            yield from _part_texts(part)
    for tool in chat.tools:
        yield from _tool_texts(tool)
    if chat.output is not None and chat.output.schema is not None:
        yield _json(chat.output.schema)


def _part_texts(part: Part) -> Iterator[str]:
    match part:
        case Text() | Thinking() | Refusal():
            yield part.text
        case ToolCall():
            yield part.name
            yield part.arguments
        case ToolResult():
            for inner in part.parts:
                yield from _part_texts(inner)
        case Media():
            yield document(part) if part.media_type.startswith("text/") else part.name
        case _:
            yield _json(part.value)


def _tool_texts(tool: Tool | Other) -> Iterator[str]:
    if isinstance(tool, Other):
        yield _json(tool.value)
        return
    yield tool.name
    yield tool.description
    if tool.parameters is not None:
        yield _json(tool.parameters)


def _json(value: Json) -> str:
    return msgspec.json.encode(dict(value)).decode("utf-8")


def _overhead(chat: Chat) -> int:
    names = sum(bool(message.name) for message in chat.messages)
    tools = _TOOLS + _TOOL * len(chat.tools) if chat.tools else 0
    return _PRIMING + _MESSAGE * len(chat.messages) + _NAME * names + tools


def _all_media(chat: Chat) -> Iterator[Media]:
    for message in chat.messages:
        yield from media_of(message)


def _media(media: Media, dialect: str) -> int:
    if media.kind == "image":
        return _LOW_DETAIL if media.detail == "low" else _IMAGES.get(dialect, _IMAGE)
    size = len(media.data) * 3 // 4 or _UNSEEN
    if media.kind == "document":
        return 0 if media.data and media.media_type.startswith("text/") else _PAGE * -(-size // _PAGE_BYTES)
    return _PER_KIB * -(-size // 1024)

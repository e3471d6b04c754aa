"""The official SDK twice: directly at llama.cpp, and through the gateway. What both return is brought into one form here.

What is asked, and what may differ, is in the tests.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from types import TracebackType
from typing import Any, Literal, Self

import openai

from harness.gateway import KEY, NARROW_KEY, Gateway
from real.llama import API_KEY, MODEL, Llama

CROWD_KEY = "tl-canary-crowd-key-0123456789abcdefghijklmnopqrs"
"""A key that one test has to itself, so that it can add up what it used."""
WRONG_KEY = "wrong-canary-key-0123456789abcdef"
Side = Literal["direct", "through"]
_RANDOM = frozenset({"id", "created", "timings", "_request_id"})
"""What is another at every request: ids (of tool calls too), times, and how long llama.cpp took."""


def settings(url: str) -> dict[str, Any]:
    """llama.cpp twice: once with its credential, once with a wrong one."""
    lab = {"kind": "openai", "base_url": f"{url}/v1"}
    return {
        "server": {"listen": "127.0.0.1:0", "admin": "127.0.0.1:0"},
        "providers": {"lab": {**lab, "api_key": API_KEY}, "locked": {**lab, "api_key": WRONG_KEY}},
        "models": {
            MODEL: {"targets": [f"lab/{MODEL}"]},
            "renamed": {"targets": [f"lab/{MODEL}"]},
            "locked": {"targets": [f"locked/{MODEL}"]},
        },
        "keys": [
            {"name": "tester", "secret": KEY},
            {"name": "narrow", "secret": NARROW_KEY, "models": ["renamed"]},
            {"name": "crowd", "secret": CROWD_KEY},
        ],
    }


class Sides:
    """One SDK client for each way, sync; async ones are made for each use, as they belong to an event loop."""

    def __init__(self, llama: Llama, gateway: Gateway) -> None:
        self.llama = llama
        self.gateway = gateway
        self.direct = self.client(side="direct")
        self.through = self.client()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.direct.close()
        self.through.close()

    def client(self, key: str = KEY, *, side: Side = "through") -> openai.OpenAI:
        """A client; whoever asks for one closes it."""
        return openai.OpenAI(**self._place(side, key))

    def run(self, side: Side, use: Callable[[openai.AsyncOpenAI], Coroutine[Any, Any, Any]], key: str = KEY) -> Any:
        """What `use` returns, given an async client."""

        async def once() -> Any:
            async with openai.AsyncOpenAI(**self._place(side, key)) as client:
                return await use(client)

        return asyncio.run(once())

    def _place(self, side: Side, key: str) -> dict[str, Any]:
        host, port = self.gateway.listen
        url = f"http://{host}:{port}" if side == "through" else self.llama.url
        key = API_KEY if side == "direct" and key == KEY else key
        return {"base_url": f"{url}/v1", "api_key": key, "max_retries": 0, "timeout": 30.0}

    def rows(self) -> dict[str, dict[str, Any]]:
        """The ledger, by request id."""
        return {row["id"]: row for row in self.gateway.ledger()}


def plain(answer: Any) -> Any:
    """An SDK object without what is another at every request."""
    return _plain(answer.to_dict())


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items() if name not in _RANDOM}
    return [_plain(inner) for inner in value] if isinstance(value, list) else value


def by_choice(chunks: Iterable[Any]) -> dict[int | None, list[Any]]:
    """A stream's chunks, in order, for each choice: which choice comes first is llama.cpp's chance."""
    found: dict[int | None, list[Any]] = {}
    for chunk in map(plain, chunks):
        found.setdefault(chunk["choices"][0]["index"] if chunk["choices"] else None, []).append(chunk)
    return dict(sorted(found.items(), key=lambda pair: -1 if pair[0] is None else pair[0]))


def failure(error: openai.APIStatusError) -> tuple[str, int, Any]:
    """What a program sees of a failure: the class it catches, the status, and the error object."""
    return type(error).__name__, error.status_code, error.body

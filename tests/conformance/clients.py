"""The official SDKs as clients of the gateway: each asks in its own way, and what its own objects hold is read like an answer.

How a request is spelled for each is in `saying`; what an answer says is in `said`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, NamedTuple, Self

import anthropic
import ollama
import openai
from google import genai
from google.genai import errors as genai_errors
from typing_extensions import override

from conformance import saying
from conformance.asked import Asked
from conformance.said import Json, Said, reading


class Heard(NamedTuple):
    """What a program saw: the answer, the exceptions it could have caught, and the answer's headers."""

    said: Said
    raised: tuple[str, ...] = ()
    """Names of the exception's class and of those above it."""
    head: dict[str, str] = {}  # noqa: RUF012 - never written to
    raw: tuple[Json, ...] = ()
    """The SDK's objects, as dictionaries."""


class Client:
    """One SDK. `helper`: streams are read with the SDK's own accumulating helper, where it has one."""

    name = ""
    endpoint = ""
    arguments: Callable[[Asked], Json]
    sdk: Any

    def __init__(self) -> None:
        self._head: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Leave."""
        self.sdk.close()

    def ask(self, model: str, asked: Asked, *, stream: bool, helper: bool = True) -> Heard:
        """Ask what is `asked`."""
        return self.send(model, type(self).arguments(saying.numbered(asked)), stream=stream, helper=helper)

    def send(self, model: str, arguments: Json, *, stream: bool, helper: bool = True) -> Heard:
        """Ask in the SDK's own arguments. Its exceptions come back as what they tell."""
        self._head = {}
        told: list[Json] = []
        try:
            for one in self._stream(model, arguments, helper) if stream else self._whole(model, arguments):
                told.append(one)  # noqa: PERF402 - what came before an exception counts
        except Exception as error:
            status, message = self._failure(error)
            if not message:
                raise
            names = tuple(kind.__name__ for kind in type(error).__mro__)
            return Heard(reading(self.endpoint, told)._replace(error=message, status=status), names, self._head, tuple(told))
        return Heard(reading(self.endpoint, told), (), self._head, tuple(told))

    def _see(self, response: Any) -> None:
        """A hook that each SDK calls with its HTTP library's answer."""
        self._head = {name.lower(): value for name, value in response.headers.items()}

    def _whole(self, model: str, arguments: Json) -> Iterable[Json]:
        raise NotImplementedError

    def _stream(self, model: str, arguments: Json, helper: bool) -> Iterable[Json]:
        raise NotImplementedError

    def _failure(self, error: Exception) -> tuple[int, str]:
        """Status (200 where it broke in mid-stream) and message of an SDK's exception; no message for any other."""
        raise NotImplementedError


class OpenAI(Client):
    """`openai`."""

    name = "openai"
    endpoint = "openai.chat"
    arguments = staticmethod(saying.openai)

    def __init__(self, origin: str, key: str) -> None:
        super().__init__()
        self._http = openai.DefaultHttpxClient(event_hooks={"response": [self._see]})
        self.sdk = openai.OpenAI(base_url=f"{origin}/v1", api_key=key, max_retries=0, timeout=30, http_client=self._http)

    @override
    def _whole(self, model: str, arguments: Json) -> Iterable[Json]:
        yield self.sdk.chat.completions.create(model=model, **arguments).to_dict(warnings=False)

    @override
    def _stream(self, model: str, arguments: Json, helper: bool) -> Iterable[Json]:
        options = {"stream_options": {"include_usage": True}}
        if not helper:
            yield from (
                one.to_dict(warnings=False)
                for one in self.sdk.chat.completions.create(model=model, stream=True, **options, **arguments)
            )
            return
        with self.sdk.chat.completions.stream(model=model, **options, **arguments) as events:
            yield from (event.chunk.to_dict(warnings=False) for event in events if event.type == "chunk")
            whole = events.get_final_completion()
        assert whole.choices, "the helper put no answer together"

    @override
    def _failure(self, error: Exception) -> tuple[int, str]:
        if not isinstance(error, openai.APIError):
            return 0, ""
        body = error.body if isinstance(error.body, dict) else {}
        message = body.get("message") or body.get("detail") or (error.body if isinstance(error.body, str) else error.message)
        return getattr(error, "status_code", 200), str(message)


class Responses(OpenAI):
    """`openai`, by its newer API."""

    name = "responses"
    endpoint = "openai.responses"
    arguments = staticmethod(saying.responses)

    @override
    def _whole(self, model: str, arguments: Json) -> Iterable[Json]:
        yield self.sdk.responses.create(model=model, **arguments).to_dict(warnings=False)

    @override
    def _stream(self, model: str, arguments: Json, helper: bool) -> Iterable[Json]:
        if not helper:
            for event in self.sdk.responses.create(model=model, stream=True, **arguments):
                yield event.to_dict(warnings=False)
            return
        told = []
        with self.sdk.responses.stream(model=model, **arguments) as events:
            for event in events:
                told.append(event.to_dict(warnings=False))
                yield told[-1]
            if told[-1]["type"] != "response.completed":
                return  # it has no other word for the whole
            whole = events.get_final_response().to_dict(warnings=False)
        numbers = [one["sequence_number"] for one in told if "sequence_number" in one]
        assert numbers == list(range(len(numbers))), "events are numbered without a gap"
        mine, theirs = reading(self.endpoint, told), reading(self.endpoint, [whole])
        assert mine._replace(seals=()) == theirs._replace(seals=()), "the last event tells another answer"


class Anthropic(Client):
    """`anthropic`."""

    name = "anthropic"
    endpoint = "anthropic.messages"
    arguments = staticmethod(saying.anthropic)

    def __init__(self, origin: str, key: str) -> None:
        super().__init__()
        self._http = anthropic.DefaultHttpxClient(event_hooks={"response": [self._see]})
        self.sdk = anthropic.Anthropic(base_url=origin, api_key=key, max_retries=0, timeout=30, http_client=self._http)

    @override
    def _whole(self, model: str, arguments: Json) -> Iterable[Json]:
        yield self.sdk.messages.create(model=model, **arguments).to_dict(warnings=False)

    @override
    def _stream(self, model: str, arguments: Json, helper: bool) -> Iterable[Json]:
        if not helper:
            yield from (one.to_dict(warnings=False) for one in self.sdk.messages.create(model=model, stream=True, **arguments))
            return
        raw = {
            "message_start",
            "content_block_start",
            "content_block_delta",
            "content_block_stop",
            "message_delta",
            "message_stop",
        }
        with self.sdk.messages.stream(model=model, **arguments) as events:
            told = []
            for event in events:
                if event.type in raw:
                    told.append(event.to_dict(warnings=False))
                    yield told[-1]
            whole = events.get_final_message().to_dict(warnings=False)
        mine, theirs = reading(self.endpoint, told), reading(self.endpoint, [whole])
        assert mine.text == theirs.text, "the helper put another text together"
        assert mine.calls == theirs.calls, "the helper put other calls together"

    @override
    def _failure(self, error: Exception) -> tuple[int, str]:
        if not isinstance(error, anthropic.APIError):
            return 0, ""
        body = error.body if isinstance(error.body, dict) else {}
        inner = body.get("error") if isinstance(body.get("error"), dict) else {}
        return getattr(error, "status_code", 200), str(inner.get("message") or error.message)


class Gemini(Client):
    """`google-genai`."""

    name = "gemini"
    endpoint = "gemini"
    arguments = staticmethod(saying.gemini)

    def __init__(self, origin: str, key: str) -> None:
        super().__init__()
        options = {"base_url": origin, "timeout": 30_000, "client_args": {"event_hooks": {"response": [self._see]}}}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of its own parts
            self.sdk = genai.Client(api_key=key, http_options=options)

    @override
    def _whole(self, model: str, arguments: Json) -> Iterable[Json]:
        yield _dumped(self.sdk.models.generate_content(model=model, **arguments))

    @override
    def _stream(self, model: str, arguments: Json, helper: bool) -> Iterable[Json]:
        for one in self.sdk.models.generate_content_stream(model=model, **arguments):
            yield _dumped(one)

    @override
    def _failure(self, error: Exception) -> tuple[int, str]:
        if not isinstance(error, genai_errors.APIError):
            return 0, ""
        broke = not isinstance(error.response.status_code, int) or error.response.status_code == 200
        return 200 if broke else error.code, error.message or ""


def _dumped(answer: Any) -> Json:
    """Seals are bytes in this SDK; they come back in the URL's alphabet."""
    told: Json = answer.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"sdk_http_response", "parsed"})
    for candidate in told.get("candidates") or ():
        for part in (candidate.get("content") or {}).get("parts") or ():
            if "thoughtSignature" in part:
                part["thoughtSignature"] = part["thoughtSignature"].replace("-", "+").replace("_", "/")
    return told


class Ollama(Client):
    """`ollama`."""

    name = "ollama"
    endpoint = "ollama.chat"
    arguments = staticmethod(saying.ollama)

    def __init__(self, origin: str, key: str) -> None:
        super().__init__()
        headers = {"authorization": f"Bearer {key}"}
        self.sdk = ollama.Client(host=origin, headers=headers, timeout=30, event_hooks={"response": [self._see]})

    @override
    def _whole(self, model: str, arguments: Json) -> Iterable[Json]:
        ask = self.sdk.generate if "prompt" in arguments else self.sdk.chat
        yield ask(model=model, **arguments).model_dump()

    @override
    def _stream(self, model: str, arguments: Json, helper: bool) -> Iterable[Json]:
        ask = self.sdk.generate if "prompt" in arguments else self.sdk.chat
        yield from (one.model_dump() for one in ask(model=model, stream=True, **arguments))

    @override
    def _failure(self, error: Exception) -> tuple[int, str]:
        if not isinstance(error, ollama.ResponseError):
            return 0, ""
        return 200 if error.status_code == -1 else error.status_code, str(error.error)


CLIENTS: dict[str, Callable[[str, str], Client]] = {
    "openai": OpenAI,
    "responses": Responses,
    "anthropic": Anthropic,
    "gemini": Gemini,
    "ollama": Ollama,
}

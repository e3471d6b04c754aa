"""A provider's stream into canon. Every line is whole, so there is little to remember: which part is open."""

from __future__ import annotations

import msgspec

from trunkline.canon.chat import Json, Text, Thinking
from trunkline.canon.errors import GatewayError, Upstream
from trunkline.canon.stream import Begin, Close, Count, Delta, End, Event, Fail, Finished, Open
from trunkline.canon.usage import NO_USAGE
from trunkline.dialects.errors import protocol, reported
from trunkline.dialects.ndjson import NdjsonReader
from trunkline.dialects.ollama import line
from trunkline.dialects.ollama.line import Line, Said
from trunkline.dialects.ollama.read_answer import call, created, logprobs, pictures


class OllamaReader:
    """Reads one stream of either form; see `dialects.dialect.Reader`."""

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._lines = NdjsonReader()
        self._begun = False
        self._ended = False
        self._open: type[Text | Thinking] | None = None
        self._parts = 0
        self._calls = 0
        self._logprobs: list[Json] = []

    def feed(self, data: bytes) -> list[Event]:
        """Take the next bytes; what follows the end is passed over."""
        try:
            lines = self._lines.feed(data)
        except GatewayError as error:
            lines, events = [], self._failed(error)
        else:
            events = []
        for body in lines:
            events += self._read(body)
        return events

    def close(self) -> list[Event]:
        """The provider ended cleanly; the last line may lack its end."""
        return [event for body in self._lines.close() for event in self._read(body)]

    def count(self) -> None:
        """Every usage is told in an event of its own at once."""

    def _read(self, body: bytes) -> list[Event]:
        if self._ended:
            return []
        try:
            told = line.decode(body)
            if told.error:
                upstream = Upstream(status=200, body=body, content_type="application/x-ndjson")
                return self._failed(reported(told.error, upstream))
            return self._told(told, body)
        except (ValueError, RecursionError):
            return self._failed(protocol("The provider's stream holds a line that is not Ollama's.", body))

    def _failed(self, error: GatewayError) -> list[Event]:
        if self._ended:
            return []
        self._ended = True
        return [Fail(error)]

    def _told(self, told: Line, body: bytes) -> list[Event]:
        events: list[Event] = []
        if not self._begun:
            self._begun = True
            events.append(Begin("", line.text(told.model), created(told)))
        self._logprobs += logprobs(told)
        said = told.said()
        if thinking := line.text(said.thinking):
            events += self._text(Thinking, thinking)
        if content := line.text(said.content):
            events += self._text(Text, content)
        events += self._whole(said)
        return events + self._end(told, body) if told.done is True else events

    def _text(self, kind: type[Text | Thinking], text: str) -> list[Event]:
        events: list[Event] = []
        if self._open is not kind:
            events = [*self._close(), Open(self._parts, kind(""))]
            self._open = kind
            self._parts += 1
        events.append(self._delta(self._parts - 1, text))
        return events

    def _whole(self, said: Said) -> list[Event]:
        """The parts that come in one piece."""
        events: list[Event] = []
        for one in pictures(said):
            events += [*self._close(), Open(self._parts, one), Close(self._parts)]
            self._parts += 1
        for told in line.calls(said):
            made, at = call(told, self._seed, self._calls), self._parts
            opened = Open(at, msgspec.structs.replace(made, arguments=""))
            events += [*self._close(), opened, self._delta(at, made.arguments), Close(at)]
            self._parts += 1
            self._calls += 1
        return events

    def _end(self, told: Line, body: bytes) -> list[Event]:
        self._ended = True
        events: list[Event] = []
        if self._logprobs and self._open is not None:
            events.append(self._delta(self._parts - 1, ""))
        events += self._close()
        events.append(Finished(line.finish(told, called=self._calls > 0), line.native_finish(told), vendor=line.rest(body)))
        usage = line.usage(told)
        if usage is not NO_USAGE:
            events.append(Count(usage, line.raw_usage(body)))
        events.append(End())
        return events

    def _delta(self, index: int, text: str) -> Delta:
        logprobs, self._logprobs = self._logprobs, []
        return Delta(index, text, tuple(logprobs))

    def _close(self) -> list[Event]:
        if self._open is None:
            return []
        self._open = None
        return [Close(self._parts - 1)]

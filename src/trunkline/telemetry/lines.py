"""What a log line says and how it is written: the words, and their JSON and pretty forms.

Pure: a clock reading comes in with each line. What must not be seen is masked in `mask`; queues and threads belong in `log`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from operator import attrgetter
from typing import Literal, Protocol

import msgspec

from trunkline.telemetry.mask import Mask

Level = Literal["debug", "info", "warning", "error"]
Value = str | int | float | bool | None

RANKS: dict[Level, int] = {"debug": 10, "info": 20, "warning": 30, "error": 40}
"""Levels in order, with the numbers of the standard library's logging."""

_COLOURS: dict[Level, str] = {"debug": "\x1b[2m", "info": "", "warning": "\x1b[33m", "error": "\x1b[31m"}
_PLAIN = "\x1b[0m"

TEXT_CAP = 512
"""Characters of one field; what is longer is cut."""
TRACE_CAP = 8000
"""Characters of an exception's traceback, of which the end is kept."""


class RequestLine(msgspec.Struct, frozen=True, gc=False):
    """One request, as settled: what the log says of it and what the metrics count. Strings may be hostile; they are cleaned."""

    ts_ns: int
    """Wall clock at the end, nanoseconds since the epoch."""
    request_id: str
    key: str
    """Name of the client's key, never the key; empty where none was accepted."""
    method: str
    path: str
    """Without the query, which may hold a credential."""
    endpoint: str
    """`chat.completions`, …; empty where no endpoint answers at the path."""
    model: str
    """As the client named it."""
    provider: str
    target: str
    """The model name sent to the provider."""
    status: int
    outcome: str
    """One of `ledger.record.Outcome`."""
    error: str = ""
    """The failure's `Kind`, empty on success."""
    stream: bool = False
    duration_us: int = 0
    first_byte_us: int = 0
    """Microseconds to the first byte given to the client; 0 where none was."""
    input_tokens: int = 0
    output_tokens: int = 0
    cost_nano: int | None = None
    """Nano-dollars; None where no price is known."""
    basis: str = "none"
    """Where the usage comes from; `none` where nothing was used, and so nothing need be paid."""
    attempts: int = 1
    client: str = ""
    """The client's address."""
    bytes_out: int = 0
    detail: str = ""
    """On failures: the beginning of what the provider said."""

    @property
    def level(self) -> Level:
        """Our failures are errors, the provider's are warnings, the client's are its own affair."""
        if self.error == "internal":
            return "error"
        return "warning" if self.status >= 500 or self.outcome in {"upstream_error", "upstream_broken", "error"} else "info"


class EventLine(msgspec.Struct, frozen=True):
    """Anything else worth a line. `message` is fixed text; what varies goes into `fields`."""

    ts_ns: int
    level: Level
    message: str
    fields: Mapping[str, Value]


class Form(Protocol):
    """Writes lines one way. Every line comes back as one line of bytes, ending LF."""

    def request(self, line: RequestLine) -> bytes:
        """A request."""
        ...

    def event(self, line: EventLine) -> bytes:
        """Anything else."""
        ...


class Stamps:
    """Clock readings as UTC text with milliseconds. Remembers the last second, as most lines share it."""

    def __init__(self) -> None:
        self._second = -1
        self._text = ""

    def text(self, ts_ns: int) -> str:
        """`2026-01-31T12:00:00.123Z` for nanoseconds since the epoch."""
        second, rest = divmod(ts_ns, 1_000_000_000)
        if second != self._second:
            self._text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
            self._second = second
        return f"{self._text}.{rest // 1_000_000:03d}Z"


_TEXTS = (
    "request_id",
    "key",
    "method",
    "path",
    "endpoint",
    "model",
    "provider",
    "target",
    "outcome",
    "error",
    "client",
    "detail",
)
_texts_of = attrgetter(*_TEXTS)


def _cleaned(line: RequestLine, mask: Mask) -> RequestLine:
    """The line with clean strings; almost always the line itself."""
    texts: tuple[str, ...] = _texts_of(line)
    if mask.clean(texts, TEXT_CAP):
        return line
    return msgspec.structs.replace(line, **{name: mask.text(text, TEXT_CAP) for name, text in zip(_TEXTS, texts, strict=True)})


def _event_fields(line: EventLine, mask: Mask) -> dict[str, Value]:
    """An event's fields, cleaned; a traceback keeps its end, everything else its beginning."""
    cleaned: dict[str, Value] = {}
    for name, value in line.fields.items():
        if isinstance(value, str):
            cleaned[name] = mask.tail(value, TRACE_CAP) if name == "exception" else mask.text(value, TEXT_CAP)
        elif value is None or isinstance(value, int | float):
            cleaned[name] = value
        else:
            cleaned[name] = mask.text(str(value), TEXT_CAP)
    return cleaned


class Json:
    """One JSON object per line, for machines."""

    def __init__(self, mask: Mask, worker: int | None = None) -> None:
        """`worker`: said in every line, where there are several processes."""
        self._mask = mask
        self._worker = {} if worker is None else {"worker": worker}
        self._stamps = Stamps()
        self._encode = msgspec.json.Encoder().encode

    def request(self, line: RequestLine) -> bytes:
        """Every field, always, in one order; times in milliseconds, money in dollars."""
        line = _cleaned(line, self._mask)
        shown = {
            "ts": self._stamps.text(line.ts_ns),
            "level": line.level,
            "event": "request",
            **self._worker,
            "request_id": line.request_id,
            "key": line.key,
            "method": line.method,
            "path": line.path,
            "endpoint": line.endpoint,
            "model": line.model,
            "provider": line.provider,
            "target": line.target,
            "status": line.status,
            "outcome": line.outcome,
            "error": line.error,
            "stream": line.stream,
            "duration_ms": line.duration_us / 1000,
            "first_byte_ms": line.first_byte_us / 1000,
            "input_tokens": line.input_tokens,
            "output_tokens": line.output_tokens,
            "cost_usd": None if line.cost_nano is None else line.cost_nano / 1e9,
            "attempts": line.attempts,
            "client": line.client,
            "bytes_out": line.bytes_out,
            "detail": line.detail,
        }
        return self._encode(shown) + b"\n"

    def event(self, line: EventLine) -> bytes:
        """`ts`, `level`, `event`, then the fields; a field may not take the place of those three."""
        message = self._mask.text(line.message, TEXT_CAP)
        head = {"ts": self._stamps.text(line.ts_ns), "level": line.level, "event": message, **self._worker}
        return self._encode(head | _event_fields(line, self._mask) | head if line.fields else head) + b"\n"


class Pretty:
    """One line of text, for people; in colour where asked."""

    def __init__(self, mask: Mask, *, colour: bool, worker: int | None = None) -> None:
        """`worker`: as for `Json`."""
        self._mask = mask
        self._worker = "" if worker is None else f"[{worker}] "
        self._stamps = Stamps()
        self._colour = colour

    def request(self, line: RequestLine) -> bytes:
        """What happened, to whom, how long it took and what it cost; empty parts are left out."""
        line = _cleaned(line, self._mask)
        parts = [str(line.status), line.method, line.path]
        if line.model:
            parts.append(f"{line.model} -> {line.provider}/{line.target}" if line.provider else line.model)
        if line.key:
            parts.append(f"key={line.key}")
        parts.append(f"{line.duration_us / 1000:.1f}ms")
        if line.stream:
            parts.append(f"first={line.first_byte_us / 1000:.1f}ms")
        if line.input_tokens or line.output_tokens:
            parts.append(f"tokens={line.input_tokens}+{line.output_tokens}")
        if line.cost_nano is not None:
            parts.append(f"${line.cost_nano / 1e9:.6f}")
        if line.attempts > 1:
            parts.append(f"attempts={line.attempts}")
        if line.outcome != "ok":
            parts.append(f"{line.outcome} {line.error}".rstrip())
        parts.append(f"id={line.request_id}")
        if line.detail:
            parts.append(f"detail={line.detail}")
        return self._write(line.ts_ns, line.level, " ".join(parts))

    def event(self, line: EventLine) -> bytes:
        """The message and its fields."""
        fields = "".join(f" {name}={value}" for name, value in _event_fields(line, self._mask).items())
        return self._write(line.ts_ns, line.level, self._mask.text(line.message, TEXT_CAP) + fields)

    def _write(self, ts_ns: int, level: Level, text: str) -> bytes:
        line = f"{self._stamps.text(ts_ns)} {level.upper():7} {self._worker}{text}"
        if self._colour and _COLOURS[level]:
            line = f"{_COLOURS[level]}{line}{_PLAIN}"
        return line.encode() + b"\n"

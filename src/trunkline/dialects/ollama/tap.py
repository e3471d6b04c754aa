"""A streamed answer read in passing: usage, finish and errors, without changing a byte."""

from __future__ import annotations

from trunkline.canon.errors import GatewayError, Upstream
from trunkline.canon.usage import NO_USAGE, Usage
from trunkline.dialects.dialect import Ask
from trunkline.dialects.errors import reported
from trunkline.dialects.ndjson import LineCutter, bare
from trunkline.dialects.ollama import line
from trunkline.dialects.ollama.errors import write_line
from trunkline.dialects.ollama.line import Line
from trunkline.dialects.watch import Watch

#: Bytes of one line that are held back until it is whole. A longer one is passed on as it comes, unread. The last line of
#: the generate form holds the whole context as numbers, so it is not short.
HOLD = 1024 * 1024


class OllamaTap(Watch):
    """The tap of one stream; its attributes are those of `dialects.dialect.Tap`.

    Whatever the slices the bytes arrive in, what goes out is what came in.
    """

    __slots__ = ("_cut", "_loose", "_torn", "raw_usage", "usage")

    def __init__(self, ask: Ask, *, hide_usage: bool) -> None:  # noqa: ARG002 - Ollama has no usage that only we ask for
        super().__init__()
        self.usage: Usage = NO_USAGE
        self.raw_usage = ""
        self._cut = LineCutter()
        self._loose = False
        self._torn = False

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes; return the lines that are now whole (`data` itself where it is just one of them)."""
        lines = self._cut.feed(data)
        for whole in lines:
            self._read(whole)
        if self._loose or len(self._cut.held) > HOLD:
            lines.append(self._loosened())
        out = lines[0] if len(lines) == 1 else b"".join(lines)
        if out:
            self._torn = not out.endswith(b"\n")
        return out

    def close(self) -> bytes:
        """The provider ended cleanly: return what was still held back. The last line may lack its end."""
        last = self._cut.release()
        self._read(last)
        if last:
            self._torn = True
        return last

    def fail(self, error: GatewayError) -> bytes:
        """The line that ends this stream as broken, on a line of its own."""
        return (b"\n" if self._torn else b"") + write_line(error)

    def _loosened(self) -> bytes:
        if not self._loose:
            self._loose = True
            self._skip()
        return self._cut.release()

    def _read(self, raw: bytes) -> None:
        if self._loose:  # the end of a line whose beginning went out before it was whole
            self._loose = False
            return
        if len(raw) > HOLD:  # that it came in one piece is chance, and must make no difference
            self._skip()
            return
        body = bare(raw)
        if not body:
            return
        try:
            told = line.decode(body)
        except (ValueError, RecursionError):
            self._skip()
            return
        if told.error:
            self._fail(told.error, body)
            return
        self._open()
        said = told.said()
        self._weigh(len(line.text(said.content)) + len(line.text(said.thinking)) + len(bytes(said.tool_calls)))
        if told.done is True:
            self._end(told, body)

    def _end(self, told: Line, body: bytes) -> None:
        self.complete = self.ended = True
        self.finish = line.native_finish(told)
        usage = line.usage(told)
        if usage is not NO_USAGE:
            self.usage, self.raw_usage = usage, line.raw_usage(body)

    def _fail(self, told: object, body: bytes) -> None:
        if self.error is None:
            self.error = reported(told, Upstream(status=200, body=body, content_type="application/x-ndjson"))

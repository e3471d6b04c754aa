"""Newline-delimited JSON: cutting a byte stream at its line feeds.

A line ends at LF and at nothing else (JSON allows a CR before it as white space); reading text would also break lines at
U+2028. What a line means belongs in the dialects.
"""

from __future__ import annotations

from trunkline.canon.errors import GatewayError, Kind

_BOM = b"\xef\xbb\xbf"


class LineCutter:
    """Cuts bytes into lines, each with its LF; joined again they are the bytes that came in."""

    __slots__ = ("held",)

    def __init__(self) -> None:
        self.held = bytearray()
        """The bytes of a line that has not ended yet."""

    def feed(self, data: bytes) -> list[bytes]:
        """Take the next bytes; return the lines that are now whole. Blank ones are cut the same way."""
        held = self.held
        if not held and data.find(b"\n") == len(data) - 1:  # as nearly every read from an LLM is
            return [data] if data else []
        end = data.rfind(b"\n") + 1
        if not end:
            held += data
            return []
        lines = [line + b"\n" for line in (bytes(held) + data[:end]).split(b"\n")[:-1]]
        held[:] = data[end:]
        return lines

    def release(self) -> bytes:
        """Give up the held bytes."""
        freed = bytes(self.held)
        self.held.clear()
        return freed


class NdjsonReader:
    """Reads a stream of bytes into lines that hold something, for readers that translate."""

    __slots__ = ("_cut", "_limit")

    def __init__(self, limit: int = 1024 * 1024) -> None:
        """`limit`: bytes of one line, its end too."""
        self._cut = LineCutter()
        self._limit = limit

    def feed(self, data: bytes) -> list[bytes]:
        """Take the next bytes; return the lines that are now whole. Raises `GatewayError` where one is over the limit.

        Lines come without white space around them; a byte order mark before one is passed over.
        """
        lines = self._cut.feed(data)
        if len(self._cut.held) > self._limit or any(len(line) > self._limit for line in lines):
            raise GatewayError(Kind.UPSTREAM_PROTOCOL, f"The provider sent a line of more than {self._limit} bytes.")
        return [text for line in lines if (text := bare(line))]

    def close(self) -> list[bytes]:
        """The stream ended: the last line, where its end is missing."""
        text = bare(self._cut.release())
        return [text] if text else []


def bare(line: bytes) -> bytes:
    """What a line holds; empty for a blank one."""
    return line.removeprefix(_BOM).strip()

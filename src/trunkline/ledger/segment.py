"""One file of the journal: the bytes of its records, and the counts that tell when it may be deleted.

Pure but for reading a directory's names. Writing belongs in `journal`, moving records into the store in `writer`.

A segment is a row of records, each `length` (4 bytes, big-endian), `crc32` of the payload (4 bytes), payload (msgpack of an
`Open` or a `Settle`). Nothing marks the end: a record that is cut, or whose checksum fails, ends what can be read.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import msgspec

from trunkline.ledger.record import Open, Record, Settle

HEADER = struct.Struct(">II")
MAX_RECORD = 1024 * 1024
"""Bytes of one payload. Tamed records are far smaller, so a greater length is damage."""

_NAME = re.compile(r"journal-(\d{20})\.log")
_decode = msgspec.msgpack.Decoder(Open | Settle).decode


class Segment:
    """A segment this process writes. Each count has one thread that changes it, so none needs a lock."""

    __slots__ = ("closed", "done", "fd", "last", "owed", "path", "size", "spilled_at", "synced", "written")

    def __init__(self, path: Path, fd: int) -> None:
        self.path = path
        self.fd = fd
        self.size = 0
        """Bytes of whole records. Changed by the journal."""
        self.last = 0
        """Offset of the newest record. Changed by the journal."""
        self.written = 0
        """Records appended. Changed by the journal."""
        self.closed = False
        """No more records will come. Set by the journal, after its last change to `written`."""
        self.done = 0
        """Records whose request is in the store. Changed by the writer; at `written` the segment is no longer needed."""
        self.synced = 0
        """Bytes known to be on the disk. Changed by the writer."""
        self.owed: dict[Segment, int] = {}
        """Records to count as done, by segment, once this file's spilled settlements are stored. Behind the spill lock."""
        self.spilled_at = 0
        """Offset before the first of those settlements. Behind the spill lock."""


def segment_path(directory: Path, sequence: int) -> Path:
    """The file of the segment with this number."""
    return directory / f"journal-{sequence:020d}.log"


def segments(directory: Path) -> list[tuple[int, Path]]:
    """The segments of a directory with their numbers, oldest first. An absent directory has none."""
    if not directory.is_dir():
        return []
    named = ((_NAME.fullmatch(path.name), path) for path in directory.iterdir())
    return sorted((int(match[1]), path) for match, path in named if match)


def directories(root: Path) -> list[Path]:
    """The journal's directory and those below it that several processes had, each its own."""
    own = [path for path in root.iterdir() if path.name.isdecimal()] if root.is_dir() else []
    return [root, *sorted(own, key=lambda path: int(path.name))]


def frame(payload: bytes) -> bytes:
    """A payload as it stands in the file."""
    return HEADER.pack(len(payload), zlib.crc32(payload)) + payload


def scan(data: bytes, start: int = 0) -> Iterator[tuple[int, Record]]:
    """The records from offset `start` (a record's beginning) on, each with the offset at which it ends.

    Stops before the first record that is cut or damaged, and never raises: the last offset given is below `len(data)` then.
    """
    while start + HEADER.size <= len(data):
        length, checksum = HEADER.unpack_from(data, start)
        end = start + HEADER.size + length
        if end > len(data) or length > MAX_RECORD:
            return
        payload = data[start + HEADER.size : end]
        if zlib.crc32(payload) != checksum:
            return
        try:
            record: Record = _decode(payload)
        except (msgspec.MsgspecError, ValueError):
            return
        yield end, record
        start = end


def settled(root: Path) -> list[Settle]:
    """Every settlement in the journal, leaving it as it is: for readers beside a gateway that may be running. Oldest first,
    where one process wrote it.

    A segment that vanishes meanwhile was moved into the store; so read the journal first, then the store. Raises OSError for
    one that cannot be read: without it the accounts would be short.
    """
    found: list[Settle] = []
    for path in (path for directory in directories(root) for _, path in segments(directory)):
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            continue
        found.extend(record for _, record in scan(data) if isinstance(record, Settle))
    return found

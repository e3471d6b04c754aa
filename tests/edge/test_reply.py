"""Answers as bytes on a line that remembers."""

from __future__ import annotations

from typing import Any

import pytest

from trunkline.canon.errors import GatewayError, Kind
from trunkline.edge.reply import Reply


class Line:
    """Remembers what was written, and how it ended."""

    date = b"date: now\r\n"

    def __init__(self) -> None:
        self.out = b""
        self.parts = 0
        self.finished: list[bool] = []
        self.cuts = 0
        self.switched = 0

    def switch(self) -> Any:
        """Count."""
        self.switched += 1

    def write(self, data: bytes) -> None:
        """Keep."""
        self.out += data

    def write_parts(self, parts: list[bytes]) -> None:
        """Keep."""
        self.parts += 1
        self.out += b"".join(parts)

    def finish(self, *, keep: bool) -> None:
        """Count."""
        self.finished.append(keep)

    def cut(self) -> None:
        """Count."""
        self.cuts += 1


def make(*, head_only: bool = False, keep: bool = True, chunked: bool = True) -> tuple[Line, Reply]:
    """A line and a reply on it."""
    line = Line()
    return line, Reply(line, head_only=head_only, keep=keep, chunked=chunked)


def test_a_whole_answer() -> None:
    """What most clients read."""
    line, reply = make()
    reply.send(200, b"a: b\r\n", b"hello")
    assert line.out == b"HTTP/1.1 200 OK\r\na: b\r\ndate: now\r\ncontent-length: 5\r\n\r\nhello"
    assert (line.finished, reply.status, reply.started, reply.ended) == ([True], 200, True, True)
    assert reply.bytes_out == len(line.out)


def test_a_large_body_is_not_copied() -> None:
    """A megabyte copied for its 100 bytes of head costs more than all the rest of the request."""
    line, reply = make()
    reply.send(200, b"", b"x" * 100_000)
    assert line.parts == 1
    assert line.out.endswith(b"content-length: 100000\r\n\r\n" + b"x" * 100_000)
    assert reply.bytes_out == len(line.out)


def test_a_stream() -> None:
    """Chunked framing, small and large pieces; an empty piece would have been the end."""
    line, reply = make()
    reply.start(200, b"")
    reply.write(b"ab")
    reply.write(b"")
    reply.write(b"x" * 20_000)
    reply.end()
    head, _, body = line.out.partition(b"\r\n\r\n")
    assert head == b"HTTP/1.1 200 OK\r\ndate: now\r\ntransfer-encoding: chunked"
    assert body == b"2\r\nab\r\n4e20\r\n" + b"x" * 20_000 + b"\r\n0\r\n\r\n"
    assert line.finished == [True]
    assert reply.bytes_out == len(line.out)


def test_http_1_0_gets_no_chunks_and_a_close() -> None:
    """Old clients know only the end of the connection as the end of a stream."""
    line, reply = make(chunked=False)
    reply.start(200, b"")
    reply.write(b"ab")
    reply.end()
    assert line.out == b"HTTP/1.1 200 OK\r\ndate: now\r\nconnection: close\r\n\r\nab"
    assert line.finished == [False]


def test_head_gets_the_head_alone() -> None:
    """A body after HEAD would be read as the next answer."""
    line, reply = make(head_only=True)
    reply.send(200, b"", b"hello")
    assert line.out.endswith(b"content-length: 5\r\n\r\n")
    line, reply = make(head_only=True)
    reply.start(200, b"")
    reply.write(b"ab")
    reply.probe()
    reply.end()
    assert line.out.endswith(b"transfer-encoding: chunked\r\n\r\n")


@pytest.mark.parametrize("status", [204, 304])
def test_answers_without_a_body_announce_none(status: int) -> None:
    """RFC 9110 section 8.6: a 204 must not carry Content-Length; strict proxies drop the connection."""
    line, reply = make()
    reply.send(status, b"", b"")
    assert b"content-length" not in line.out
    assert line.out.endswith(b"\r\n\r\n")


def test_an_unknown_status_is_written_too() -> None:
    """A provider's own status goes through, even one without a name."""
    line, reply = make()
    reply.send(599, b"", b"")
    assert line.out.startswith(b"HTTP/1.1 599 Unknown\r\n")
    line, reply = make()
    reply.send(529, b"", b"")
    assert line.out.startswith(b"HTTP/1.1 529 ")


def test_close_is_said_and_done() -> None:
    """A client that is not told would send its next request into a closing connection."""
    line, reply = make()
    reply.close_after()
    reply.send(400, b"", b"")
    assert b"connection: close\r\n" in line.out
    assert line.finished == [False]


def test_after_its_end_nothing_is_written() -> None:
    """The connection may carry the next answer by then: a second `end` would be read as part of it."""
    line, reply = make()
    reply.start(200, b"")
    reply.end()
    out = line.out
    reply.end()
    reply.write(b"late")
    reply.write(b"late" * 10_000)
    reply.send(500, b"", b"late")
    reply.abort()
    reply.probe()
    assert (line.out, line.finished, line.cuts) == (out, [True], 0)


def test_after_the_client_left_nothing_is_written() -> None:
    """Handlers need not ask before each piece."""
    line, reply = make()
    reply.gone = True
    reply.start(200, b"")
    reply.write(b"a")
    reply.write(b"a" * 20_000)
    reply.end()
    reply.abort()
    assert (line.out, line.finished, line.cuts) == (b"", [], 0)
    assert reply.ended


def test_abort_cuts() -> None:
    """A broken stream must not look like a clean end."""
    line, reply = make()
    reply.start(200, b"")
    reply.abort()
    reply.abort()
    assert (line.cuts, line.finished) == (1, [])
    assert not line.out.endswith(b"0\r\n\r\n")
    line, reply = make()
    reply.gone = True
    reply.abort()
    assert line.cuts == 0


@pytest.mark.parametrize("probes", range(12))
def test_probes_change_nothing_in_a_whole_answer(probes: int) -> None:
    """A client that half-closed gets the same bytes as any other (docs/faults.md A3), however long it waited."""
    line, reply = make()
    for _ in range(probes):
        reply.probe()
    assert len(line.out) == min(probes, 9)
    reply.send(200, b"", b"hello")
    assert line.out == b"HTTP/1.1 200 OK\r\ndate: now\r\ncontent-length: 5\r\n\r\nhello"


def test_probes_in_a_stream_are_zeros_before_a_size() -> None:
    """RFC 9112 section 7.1: a chunk size may have leading zeros, the last chunk too; never more than a parser takes."""
    line, reply = make()
    reply.probe()
    reply.start(200, b"")
    for _ in range(20):
        reply.probe()
    reply.write(b"ab")
    reply.probe()
    reply.write(b"x" * 20_000)
    reply.probe()
    reply.end()
    body = line.out.partition(b"\r\n\r\n")[2]
    assert body == b"000000002\r\nab\r\n04e20\r\n" + b"x" * 20_000 + b"\r\n00\r\n\r\n"


def test_no_probe_where_none_is_safe() -> None:
    """A byte in a body that ends with the connection would be part of it."""
    line, reply = make(chunked=False)
    reply.start(200, b"")
    before = line.out
    reply.probe()
    assert line.out == before


def test_a_connection_may_be_kept_after_all() -> None:
    """A body that is passed on came to its end before its answer began: nothing unread is left."""
    line, reply = make()
    reply.close_after()
    reply.keep_after()
    reply.send(200, b"", b"")
    assert (b"connection: close" in line.out, line.finished) == (False, [True])


def test_what_the_head_said_holds() -> None:
    """A client that was told of a close would not read what came after it."""
    line, reply = make()
    reply.close_after()
    reply.start(200, b"")
    reply.keep_after()
    reply.end()
    assert (b"connection: close" in line.out, line.finished) == (True, [False])


def test_a_switch_to_another_protocol() -> None:
    """A 101 without framing, after which nothing of HTTP is written; letters of a probe are its beginning."""
    line, reply = make()
    reply.probe()
    reply.probe()
    reply.switch(b"a: b\r\n")
    assert line.out == b"HTTP/1.1 101 Switching Protocols\r\na: b\r\n\r\n"
    assert (reply.status, reply.started, reply.ended, line.switched) == (101, True, True, 1)
    reply.send(500, b"", b"late")
    reply.abort()
    assert (len(line.out), line.cuts, line.finished) == (reply.bytes_out + 2, 0, [])


def test_no_switch_for_a_client_that_is_gone() -> None:
    """Its connection is no longer there to be handed over."""
    line, reply = make()
    reply.gone = True
    with pytest.raises(GatewayError) as gone:
        reply.switch(b"")
    assert (gone.value.kind, line.switched) == (Kind.CLIENT_GONE, 0)

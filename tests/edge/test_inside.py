"""Questions between processes: answered, refused, or given up in time."""

from __future__ import annotations

import asyncio
import socket
import stat
import time
from pathlib import Path

import pytest

from trunkline.edge.inside import ask, listen


async def echo(question: str) -> bytes:
    """Answers with the question, and more than a socket takes at once."""
    return question.encode() + b"x" * 1_000_000


async def _once(path: Path, question: str) -> bytes | None:
    door = await listen(path, echo)
    try:
        return await ask(path, question, 5)
    finally:
        door.close()
        await door.wait_closed()


@pytest.mark.parametrize("depth", [0, 8])
def test_a_question_is_answered(tmp_path: Path, depth: int) -> None:
    """Whole, however long; also where the directory's name alone is longer than a socket's may be."""
    folder = tmp_path.joinpath(*["a-rather-long-name"] * depth)
    folder.mkdir(parents=True, exist_ok=True)
    assert asyncio.run(_once(folder / "door", "metrics")) == b"metrics" + b"x" * 1_000_000


def test_the_door_is_its_owners(tmp_path: Path) -> None:
    """Whoever may look into the directory must not hear who uses which model."""

    async def look() -> int:
        door = await listen(tmp_path / "door", echo)
        mode = stat.S_IMODE((tmp_path / "door").stat().st_mode)
        door.close()
        await door.wait_closed()
        return mode

    assert asyncio.run(look()) == 0o600


def test_what_an_earlier_process_left_is_replaced(tmp_path: Path) -> None:
    """A killed worker leaves its socket behind; its successor is asked at the same place."""
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "door"))
    answer = asyncio.run(_once(tmp_path / "door", "status"))
    assert answer is not None
    assert answer.startswith(b"status")


def test_nobody_there(tmp_path: Path) -> None:
    """No socket, or one that nobody listens at: no answer, at once."""
    assert asyncio.run(ask(tmp_path / "door", "status", 5)) is None
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "door"))
    assert asyncio.run(ask(tmp_path / "door", "status", 5)) is None


def test_one_that_hangs_is_given_up(tmp_path: Path) -> None:
    """It takes the connection, by its kernel, and says nothing: a scrape must not wait for it."""
    with socket.socket(socket.AF_UNIX) as hung:
        hung.bind(str(tmp_path / "door"))
        hung.listen()
        begin = time.monotonic()
        assert asyncio.run(ask(tmp_path / "door", "status", 0.1)) is None
        assert time.monotonic() - begin < 2


def test_whoever_asks_nonsense_or_too_much_gets_nothing(tmp_path: Path) -> None:
    """A door is no way to fill memory."""

    async def shout() -> bytes:
        door = await listen(tmp_path / "door", echo)
        reader, writer = await asyncio.open_unix_connection(tmp_path / "door")
        writer.write(b"a" * 10_000)
        try:
            return await asyncio.wait_for(reader.read(), 5)
        except ConnectionResetError:
            return b""
        finally:
            writer.close()
            door.close()

    assert asyncio.run(shout()) == b""


def test_a_place_that_cannot_be(tmp_path: Path) -> None:
    """Told as an error of the system; no socket stays open."""
    with pytest.raises(OSError, match="No such file"):
        asyncio.run(listen(tmp_path / "absent" / "door", echo))


def test_half_an_answer_is_none(tmp_path: Path) -> None:
    """Whoever is killed while it answers must not turn the scrape of all others into an error."""

    async def half() -> bytes | None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readline()
            writer.write(b'20\n{"half')
            writer.close()

        async with await asyncio.start_unix_server(serve, tmp_path / "door"):
            return await ask(tmp_path / "door", "status", 5)

    assert asyncio.run(half()) is None


def test_an_end_while_it_is_asked_is_no_error(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A worker that is told to end while somebody scrapes leaves no trace of a fault."""
    asked = asyncio.Event()

    async def never(question: str) -> bytes:
        asked.set()
        await asyncio.Event().wait()
        return question.encode()

    async def end() -> None:
        door = await listen(tmp_path / "door", never)
        _, writer = await asyncio.open_unix_connection(tmp_path / "door")
        writer.write(b"metrics\n")
        await asked.wait()
        writer.close()
        door.close()

    asyncio.run(end())
    assert caplog.records == []

"""A form on its way: read ahead, renamed, passed on, given up. The sockets are tested in `edge` and `faults`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from trunkline.canon.errors import GatewayError, Kind
from trunkline.dialects.forms import Form
from trunkline.pipeline.upload import Upload

TYPE = b"multipart/form-data; boundary=XX"
MODEL = b'--XX\r\nContent-Disposition: form-data; name="model"\r\n\r\nm\r\n'
OURS = MODEL.replace(b"\r\n\r\nm\r\n", b"\r\n\r\ntiny\r\n")
FILE = b'--XX\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n' + b"s" * 1000 + b"\r\n"
END = b"--XX--\r\n"


class Source:
    """A client's body that comes in these pieces, one a turn of the loop."""

    def __init__(self, *pieces: bytes, error: GatewayError | None = None, known: bool = True) -> None:
        self.length = sum(map(len, pieces)) if known else None
        self._pieces = pieces
        self._error = error
        self.flowing = asyncio.Event()
        self.flowing.set()
        self.given = 0
        self.cancelled = False

    async def pump(self, sink: Callable[[bytes], None]) -> None:
        """Every piece, then the error."""
        try:
            for piece in self._pieces:
                await self.flowing.wait()
                sink(piece)
                self.given += 1
                await asyncio.sleep(0)
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        if self._error is not None:
            raise self._error

    def pause(self) -> None:
        """Bring no more."""
        self.flowing.clear()

    def resume(self) -> None:
        """Go on."""
        self.flowing.set()


def run(use: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """On a loop of its own, which must have nothing to report."""
    reported: list[str] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(str(context)))
        await use()
        await asyncio.sleep(0)

    asyncio.run(main())
    assert reported == []


def test_a_model_is_found_and_the_rest_flows() -> None:
    """No piece behind the model is taken before somebody wants it; the length is told to the byte."""

    async def use() -> None:
        source = Source(MODEL + b"--XX", FILE[4:], END)
        upload = Upload(source, Form(TYPE))
        assert await upload.read_ahead(100) == "m"
        await asyncio.sleep(0)
        assert (source.given, source.flowing.is_set()) == (1, False)
        upload.put("tiny")
        assert upload.length == len(OURS + FILE + END)
        out = bytearray()
        await upload.pump(out.extend)
        assert out == OURS + FILE + END
        upload.close()

    run(use)


def test_a_provider_that_is_slow_from_the_start() -> None:
    """What was held fills it at once: taking more from the client all the same would take it without end."""

    async def use() -> None:
        source = Source(FILE + MODEL + b"--XX", FILE[4:], FILE, END)
        upload = Upload(source, Form(TYPE))
        assert await upload.read_ahead(2000) == "m"
        upload.put("tiny")
        out = bytearray()

        def full(data: bytes) -> None:
            out.extend(data)
            if len(out) == len(data):
                upload.pause()

        running = asyncio.create_task(upload.pump(full))
        for _ in range(5):
            await asyncio.sleep(0)
        assert (source.given, source.flowing.is_set()) == (1, False)
        upload.resume()
        await running
        assert out == FILE + OURS + FILE + FILE + END

    run(use)


def test_a_form_that_is_all_there() -> None:
    """Small forms are read whole before a provider is asked."""

    async def use() -> None:
        source = Source(FILE + MODEL + END, known=False)
        upload = Upload(source, Form(TYPE))
        assert await upload.read_ahead(10_000) == "m"
        await asyncio.sleep(0)
        source.resume()
        await asyncio.sleep(0)
        upload.put("tiny")
        assert upload.length is None, "its sender did not say"
        out = bytearray()
        await upload.pump(out.extend)
        assert out == FILE + OURS + END

    run(use)


def test_a_form_without_a_model_is_read_to_its_end() -> None:
    """Only then is it known to name none; it goes as it came."""

    async def use() -> None:
        upload = Upload(Source(FILE, END), Form(TYPE))
        assert await upload.read_ahead(10_000) == ""
        upload.put("")
        assert upload.length == len(FILE + END)
        out = bytearray()
        await upload.pump(out.extend)
        assert out == FILE + END

    run(use)


def test_a_model_named_in_a_header() -> None:
    """Nothing is read ahead; how long the form will be is not known."""

    async def use() -> None:
        source = Source(FILE, MODEL, END)
        upload = Upload(source, Form(TYPE))
        upload.put("tiny")
        assert (source.given, upload.length) == (0, None)
        out = bytearray()
        await upload.pump(out.extend)
        assert out == FILE + OURS + END

    run(use)


def test_a_model_that_comes_too_late() -> None:
    """What comes before it is held within a bound; the words say what to do."""

    async def use() -> None:
        source = Source(FILE, FILE, MODEL, END)
        upload = Upload(source, Form(TYPE))
        with pytest.raises(GatewayError) as caught:
            await upload.read_ahead(500)
        assert (caught.value.kind, caught.value.status, caught.value.code) == (Kind.TOO_LARGE, 413, "model_too_late")
        assert "x-trunkline-model" in caught.value.message
        upload.close()
        await asyncio.sleep(0.01)
        assert source.cancelled

    run(use)


@pytest.mark.parametrize("pieces", [(b"no form",), (FILE, b"--XX\n"), (FILE,)])
def test_a_form_that_is_none(pieces: tuple[bytes, ...]) -> None:
    """It is refused as soon as it is seen, at the latest at its end."""

    async def use() -> None:
        upload = Upload(Source(*pieces), Form(TYPE))
        with pytest.raises(GatewayError) as caught:  # noqa: PT012 - either may see it
            await upload.read_ahead(10_000)
            upload.put("")
            await upload.pump(lambda _: None)
        assert caught.value.code == "invalid_form"
        upload.close()

    run(use)


def test_a_client_that_breaks_off() -> None:
    """Before the model is known, and after."""

    async def use() -> None:
        gone = GatewayError(Kind.CLIENT_GONE, "gone")
        with pytest.raises(GatewayError, match="gone"):
            await Upload(Source(FILE, error=gone), Form(TYPE)).read_ahead(10_000)
        upload = Upload(Source(MODEL + b"--XX", FILE[4:], error=gone), Form(TYPE))
        await upload.read_ahead(10_000)
        upload.put("tiny")
        with pytest.raises(GatewayError, match="gone"):
            await upload.pump(lambda _: None)
        Upload(Source(), Form(TYPE)).close()

    run(use)


def test_a_slow_provider_holds_up_the_client() -> None:
    """What it does not take stays where it is."""

    async def use() -> None:
        source = Source(MODEL, FILE, END)
        upload = Upload(source, Form(TYPE))
        upload.pause()
        assert not source.flowing.is_set()
        upload.resume()
        assert source.flowing.is_set()

    run(use)

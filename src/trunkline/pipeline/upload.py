"""A client's form on its way to a provider: read ahead until its model is known, then passed on as it arrives.

How a form is read belongs in `dialects.forms`; sockets in `edge`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.wire import Body
from trunkline.dialects.forms import Form


class Upload:
    """A request's body (`canon.wire.Body`) made from another, with the name of the model changed. Used once; `close` it."""

    def __init__(self, source: Body, form: Form) -> None:
        self._source = source
        self._form = form
        self._sink: Callable[[bytes], None] | None = None
        self._known: asyncio.Future[None] | None = None
        self._most = 0
        self._slow = False
        """The provider is."""
        self._running: asyncio.Task[None] | None = None
        self.length: int | None = None

    async def read_ahead(self, most: int) -> str:
        """The model that the form names; empty where the form ended without one.

        Raises `GatewayError`: the form is broken, or more than `most` bytes of it come before the model.
        """
        self._most = most
        self._known = asyncio.get_running_loop().create_future()
        running = self._start()
        await asyncio.wait((running, self._known), return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()
        if self._form.model is None and not running.done():
            raise GatewayError(
                Kind.TOO_LARGE,
                f"The form's field 'model' does not come within its first {most} bytes."
                " Put it before the file, or name the model in the header x-trunkline-model.",
                code="model_too_late",
                param="model",
            )
        return self._form.model or ""

    def put(self, model: str) -> None:
        """What the provider calls the model; empty for a form that names none and goes as it is."""
        self._form.put(model)
        growth = self._form.growth if model else 0
        if growth is not None and self._source.length is not None:
            self.length = self._source.length + growth

    async def pump(self, sink: Callable[[bytes], None]) -> None:
        """Push the form into `sink`. Raises what reading it raises; the provider then never sees its end."""
        self._sink = sink
        running = self._running or self._start()
        if held := self._form.feed(b""):
            sink(held)
        if not (running.done() or self._slow):
            self._source.resume()
        await running
        self._form.close()

    def pause(self) -> None:
        """The provider is slow."""
        self._slow = True
        self._source.pause()

    def resume(self) -> None:
        """Go on."""
        self._slow = False
        self._source.resume()

    def close(self) -> None:
        """Read no more."""
        if self._running is not None:
            self._running.cancel()

    def _start(self) -> asyncio.Task[None]:
        self._running = asyncio.get_running_loop().create_task(self._source.pump(self._take))
        self._running.add_done_callback(_looked_at)
        return self._running

    def _take(self, data: bytes) -> None:
        ready = self._form.feed(data)
        if self._sink is not None:
            if ready:
                self._sink(ready)
        elif self._form.model is not None or self._form.held > self._most:
            self._source.pause()
            if self._known is not None and not self._known.done():
                self._known.set_result(None)


def _looked_at(task: asyncio.Task[None]) -> None:
    """Whoever waits has been told already; where nobody does, the failure is of no interest."""
    if not task.cancelled():
        task.exception()

"""An event loop in a thread of its own, so that servers run while a test blocks on a socket.

Every mock and shim owns one. What is served belongs in their files.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class LoopThread:
    """A running loop; `stop()` cancels what is left and joins the thread."""

    def __init__(self, name: str) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()
        self.loop.run_until_complete(self._wind_up())
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()

    async def _wind_up(self) -> None:
        """A connection that was just being taken is closed by its cancelled task, and by the loop only in its next turns."""
        left = asyncio.all_tasks(self.loop) - {asyncio.current_task(self.loop)}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        for _ in range(3):
            await asyncio.sleep(0)

    def run(self, coroutine: Coroutine[Any, Any, T], timeout: float = 10.0) -> T:
        """Run `coroutine` on the loop and wait for its result."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(timeout)

    def call(self, function: Callable[[], T]) -> T:
        """Call a plain function on the loop's thread and wait for its result."""

        async def once() -> T:
            return function()

        return self.run(once())

    def stop(self) -> None:
        """End the loop and its thread; calling it twice is harmless."""
        if self._thread.is_alive():
            self.loop.call_soon_threadsafe(self.loop.stop)
            self._thread.join(10.0)

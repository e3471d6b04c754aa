"""Looking up names of hosts, off the event loop; and what is remembered of them for connections to providers.

`Lookups` asks the system in threads of its own. The names that strangers choose are looked up apart from those that the gateway
itself lives on, by an instance of their own and without memory: a name server that never answers must not stop the way to every
provider, and what an address is allowed to be is checked at each look-up (`fetch_guard`).
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import socket
import threading
from collections.abc import Awaitable, Callable
from ipaddress import ip_address

Resolve = Callable[[str, int], Awaitable[list[str]]]
"""The addresses of a host for a port, each once, in the order to try them. Raises OSError."""

_MAX_ALIVE = 32
"""Look-ups at the same time, abandoned ones included: the system's cannot be stopped, and give up after half a minute."""
_FRESH = 30.0
"""Seconds an answer is used without asking again. The system's resolver does not tell how long it holds."""
_AGAIN = 1.0
"""Seconds between two look-ups of a name at least, also after a failure."""
_LAST_GOOD = 900.0
"""Seconds the last answer is used while there is no new one."""
_PATIENCE = 1.0
"""Seconds a new answer is waited for before the last one is used."""
_GIVE_UP = 10.0
"""Seconds after which a look-up that says nothing has failed."""
_MAX_NAMES = 1024


class Lookups:
    """The system's resolver, each look-up in a thread that does not hold up the end of the process."""

    def __init__(self, look_up: Callable[[str, int], list[str]] | None = None) -> None:
        """`look_up` blocks, and raises OSError."""
        self._look_up = look_up or system
        self._alive = threading.Semaphore(_MAX_ALIVE)

    async def __call__(self, host: str, port: int) -> list[str]:
        """The addresses of `host`. Raises OSError, also where too many look-ups hang."""
        if not self._alive.acquire(blocking=False):
            raise OSError("too many names are being looked up")
        loop = asyncio.get_running_loop()
        found: asyncio.Future[list[str]] = loop.create_future()

        def work() -> None:
            addresses: list[str] | OSError
            try:
                addresses = self._look_up(host, port)
            except OSError as error:
                addresses = error
            finally:
                self._alive.release()
            with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
                loop.call_soon_threadsafe(_tell, found, addresses)

        try:
            threading.Thread(target=work, name="look-up", daemon=True).start()
        except RuntimeError as error:
            self._alive.release()
            raise OSError("no thread to look it up in") from error
        return await found


def system(host: str, port: int) -> list[str]:
    """What the system's resolver says. Blocks."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:  # what the resolver says to a name that cannot be one
        raise socket.gaierror(socket.EAI_NONAME, "not a name") from error
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def _tell(found: asyncio.Future[list[str]], addresses: list[str] | OSError) -> None:
    if found.done():
        return
    if isinstance(addresses, OSError):
        found.set_exception(addresses)
    else:
        found.set_result(addresses)


class _Name:
    """What is known of one name."""

    def __init__(self) -> None:
        self.addresses: list[str] = []
        self.error = OSError("it was not looked up")
        self.found = -math.inf
        """When `addresses` were the resolver's answer."""
        self.asked = -math.inf
        """When the last look-up began."""
        self.until = -math.inf
        """Until when it is not looked up again."""
        self.task: asyncio.Task[None] | None = None
        """The look-up that runs: everybody waits for the same."""


class Names:
    """The addresses of the providers' names: remembered for a while, and for longer while the resolver fails.

    A name server that fails or says nothing does not take the providers with it: the last good answer goes on being used, as
    DNS servers themselves do it (RFC 8767, Serving Stale Data to Improve DNS Resiliency, sections 4 and 5).
    """

    def __init__(self, resolve: Resolve, clock: Callable[[], float]) -> None:
        """`clock` tells seconds; it never goes back."""
        self._resolve = resolve
        self._clock = clock
        self._names: dict[str, _Name] = {}

    async def __call__(self, host: str, port: int) -> list[str]:
        """The addresses of `host`, in the order to try them; an address is its own. Raises OSError."""
        if _is_address(host):
            return [host]
        name = self._names.get(host) or self._new(host)
        now = self._clock()
        if now >= name.until and name.task is None:
            name.asked = now
            name.task = asyncio.get_running_loop().create_task(self._ask(name, host, port))
        known = now - name.found < _LAST_GOOD
        patience = name.asked + _PATIENCE - now if known else _GIVE_UP + _PATIENCE
        if name.task is not None and patience > 0:
            await asyncio.wait((name.task,), timeout=patience)  # cancelled, it lets the look-up go on for the others
            known = known or name.found >= now
        if not known:
            raise name.error.with_traceback(None)  # told several times, it would grow each time
        return name.addresses

    def doubt(self, host: str) -> None:
        """None of its addresses could be reached: ask again before they are used again, but not more often than allowed."""
        name = self._names.get(host)
        if name is not None:
            name.until = min(name.until, name.asked + _AGAIN)

    def _new(self, host: str) -> _Name:
        if len(self._names) >= _MAX_NAMES:
            self._names = {host: name for host, name in self._names.items() if name.task is not None}
        return self._names.setdefault(host, _Name())

    async def _ask(self, name: _Name, host: str, port: int) -> None:
        hold = _AGAIN
        try:
            async with asyncio.timeout(_GIVE_UP):
                found = await self._resolve(host, port)
            if not found:
                raise socket.gaierror(socket.EAI_NONAME, "it has no address")
            name.addresses, name.found, hold = found, self._clock(), _FRESH
        except TimeoutError:
            name.error = socket.gaierror(socket.EAI_AGAIN, "the name server did not answer")
        except OSError as error:
            name.error = error
        finally:
            name.task, name.until = None, self._clock() + hold


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True

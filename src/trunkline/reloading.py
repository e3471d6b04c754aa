"""The configuration in force gives way to another one, whole and at once: when to read it, the swap, and what is said of it.

Reading and all that may block is done on another thread, one reading at a time; the swap is one tick of the loop, so that no
request sees half of it. What changes is decided in `config.reload`. A configuration with a mistake changes nothing.
"""

from __future__ import annotations

import asyncio
import time
import traceback
from collections import Counter
from collections.abc import Callable, Collection

import msgspec

from trunkline.canon.wire import Origin
from trunkline.config.mistakes import ConfigError
from trunkline.config.reload import Change, Mark, Settling, change
from trunkline.config.snapshot import Snapshot
from trunkline.credentials.credential import Spec
from trunkline.credentials.table import follow_credentials, prepare_credentials
from trunkline.house import House, key_ring, price_list, reload_keys
from trunkline.ledger.prices import Prices
from trunkline.policy.keys import KeyRing
from trunkline.store.errors import StoreError
from trunkline.store.lock import Verdict, tell

LOOK = 0.5
"""Seconds between looks at the file."""
_MOST_LINES = 20
"""Mistakes that are logged."""


class Reading(msgspec.Struct, frozen=True):
    """What one reading brought."""

    began_ns: int
    mistakes: tuple[str, ...] = ()
    """Why it cannot be used."""
    change: Change | None = None
    """None where nothing can be different."""
    ring: KeyRing | None = None
    """The keys that go with it."""
    prices: Prices | None = None
    """And the prices."""


class Reloader:
    """Follows keys and configuration. Used from the loop's thread."""

    def __init__(self, house: House, loop: asyncio.AbstractEventLoop, keep: Callable[[Collection[Origin]], None]) -> None:
        """`keep`: is told where all providers are, after each swap."""
        self._house = house
        self._loop = loop
        self._keep = keep
        self._settling = Settling()
        self._timer: asyncio.TimerHandle | None = None
        self._running = False
        self._again = False
        """Asked for once more while a reading goes on, which may have begun too early."""
        self._closed = False
        self._generation = 1
        self._ok = True
        self._results = Counter(applied=0, unchanged=0, refused=0)
        self._measure()

    def signalled(self) -> None:
        """Read all again, now or as soon as the reading that goes on has ended."""
        self._again = True
        if not self._running:
            self._begin()

    def watch(self) -> None:
        """From now on, read again whenever the file was changed and then left alone for a second."""
        source = self._house.source
        if source is not None and source.path is not None:
            self._timer = self._loop.call_later(LOOK, self._look)

    @property
    def generation(self) -> int:
        """1 at the start; one more with each configuration that was applied."""
        return self._generation

    def close(self) -> None:
        """Change nothing any more."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()

    # the file ---------------------------------------------------------------------------------------------------------

    def _look(self) -> None:
        source = self._house.source
        assert source is not None  # noqa: S101 - as `watch` saw
        if self._house.snapshot.server.watch:
            self._loop.run_in_executor(None, source.look).add_done_callback(self._looked)
        else:
            self.watch()

    def _looked(self, looking: asyncio.Future[Mark | None]) -> None:
        source = self._house.source
        assert source is not None  # noqa: S101 - as `watch` saw
        if self._closed:
            return
        if self._settling.look(looking.result(), source.read, self._loop.time()):
            self.signalled()
        self.watch()

    # a reading --------------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        if self._again and not self._closed:
            self._again, self._running = False, True
            self._loop.run_in_executor(None, self._read).add_done_callback(self._end)

    def _read(self) -> Reading:
        """On another thread. The keys come first: no mistake in a file may keep a revoked one valid."""
        began = time.monotonic_ns()
        try:
            self._read_keys()
            return self._read_configuration(began)
        except ConfigError as error:
            return Reading(began, tuple(str(error).splitlines()))
        except Exception as error:  # noqa: BLE001 - a fault of ours must not end that the configuration is followed
            trace = "".join(traceback.format_exception(error))
            self._house.log.event("error", "the configuration could not be read, by a fault of the gateway", exception=trace)
            return Reading(began, (f"the gateway failed on it ({type(error).__name__}); its log has the reason",))

    def _read_keys(self) -> None:
        try:
            reload_keys(self._house)
        except StoreError as error:
            self._house.log.event("error", "keys could not be read again; the old ones stay in force", reason=str(error))

    def _read_configuration(self, began: int) -> Reading:
        house = self._house
        if house.source is None:
            return Reading(began)
        found = change(house.snapshot, house.source.load())
        prepare_credentials(_specs(found.snapshot))
        return Reading(began, change=found, ring=key_ring(house, found.snapshot), prices=price_list(house, found.snapshot))

    def _end(self, reading: asyncio.Future[Reading]) -> None:
        if self._closed:
            return
        try:
            verdict = self._judge(reading.result())
        except BaseException:
            self._running = False
            raise
        self._loop.run_in_executor(None, self._tell, verdict).add_done_callback(self._told)

    def _told(self, _: asyncio.Future[None]) -> None:
        self._running = False
        self._begin()

    def _tell(self, verdict: Verdict) -> None:
        """On another thread: whoever waits for it."""
        try:
            tell(self._house.data, verdict, self._house.worker)
        except OSError as error:
            message = "`trunkline reload` cannot be told what became of the configuration"
            self._house.log.event("warning", message, reason=str(error))

    # the swap ---------------------------------------------------------------------------------------------------------

    def _judge(self, reading: Reading) -> Verdict:
        """Put it in force where it can be; what became of it, logged and counted."""
        log, found, ring, prices = self._house.log, reading.change, reading.ring, reading.prices
        self._ok = not reading.mistakes
        if reading.mistakes:
            for line in reading.mistakes[:_MOST_LINES]:
                log.event("error", "mistake in the configuration", mistake=line)
            log.event("error", "configuration refused; the old one stays in force", mistakes=len(reading.mistakes))
            return self._counted(Verdict(reading.began_ns, "refused", reading.mistakes))
        told = {} if found is None else found.told()
        if found is None or ring is None or prices is None or not told:
            log.event("info", "configuration unchanged", generation=self._generation)
            return self._counted(Verdict(reading.began_ns, "unchanged", warnings=self._warn(found)))
        self._swap(found.snapshot, ring, prices)
        log.event("info", "configuration applied", generation=self._generation, **told)
        for warning in found.snapshot.warnings:
            log.event("warning", warning)
        lines = tuple(f"{what.replace('_', ' ')}: {names}" for what, names in told.items())
        return self._counted(Verdict(reading.began_ns, "applied", lines, (*found.snapshot.warnings, *self._warn(found))))

    def _swap(self, snapshot: Snapshot, ring: KeyRing, prices: Prices) -> None:
        house, live = self._house, self._house.live
        credentials = follow_credentials(_specs(live.snapshot), _specs(snapshot), live.credentials)
        house.log.configure(snapshot.log.level, snapshot.secrets())
        house.metrics.configure(models=[name for name, _ in snapshot.models()], providers=snapshot.providers)
        live.snapshot, live.keys, live.credentials, live.prices = snapshot, ring, credentials, prices
        self._keep({provider.origin for provider in snapshot.providers.values()})
        self._generation += 1

    def _warn(self, found: Change | None) -> tuple[str, ...]:
        """Name what was changed in vain, for now."""
        if found is None or not found.later:
            return ()
        self._house.log.event("warning", "takes effect at the next start", settings=", ".join(found.later))
        return tuple(f"{name} takes effect at the next start" for name in found.later)

    def _counted(self, verdict: Verdict) -> Verdict:
        self._results[verdict.result] += 1
        return verdict

    def _measure(self) -> None:
        watch = self._house.metrics.watch
        watch(
            "counter",
            "trunkline_config_reloads_total",
            "Times the configuration was read again.",
            lambda: {(result,): count for result, count in self._results.items()},
            labels=("result",),
        )
        ok, generation = "trunkline_config_last_reload_ok", "trunkline_config_generation"
        watch("gauge", ok, "0 when the configuration, last read, was refused.", lambda: {(): self._ok})
        watch("gauge", generation, "1 at the start; one more with each that was applied.", lambda: {(): self._generation})


def _specs(snapshot: Snapshot) -> dict[str, Spec | None]:
    return {name: provider.credential for name, provider in snapshot.providers.items()}

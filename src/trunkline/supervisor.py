"""Several workers under one supervisor: begun, watched, replaced, told, ended together. What a worker does is `assemble`'s.

Workers are forked, not begun anew: they share with the supervisor what is loaded, are there in a tenth of a second, and work
with a configuration that was checked. So the supervisor must stay fit to fork: it has no loop, no thread and no open store,
only a `select` on its workers' lines and on signals. It listens but never accepts: what waits for a connection waits for
whichever worker is free, and outlives any of them.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import socket
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from types import FrameType
from typing import NamedTuple, NoReturn

from trunkline import __version__
from trunkline.assemble import SIGNALS, Doors, ListenError, open_doors, serve
from trunkline.config.reload import Settling, Source, change
from trunkline.config.snapshot import MAX_WORKERS, Snapshot
from trunkline.edge import line
from trunkline.edge.listener import Fair, address
from trunkline.house import Seat, close_house, open_house
from trunkline.store.errors import StoreError
from trunkline.store.lock import DataLock, Hand, muster
from trunkline.store.place import counts_of, door_of
from trunkline.telemetry.herald import Herald

LOOK = 0.5
"""Seconds between looks at the workers, and at the configuration's file."""
SILENCE = 20.0
"""A worker whose loop has not run for so long is ended: its clients wait for nothing."""
MANY = 5
"""Deaths of one worker within `RECENT` seconds that are no accident."""
RECENT = 30.0
PAUSE = 5.0
"""Seconds between the tries at a worker that ends again and again."""
FIRST_PAUSE = 0.1
"""After its second death; the first costs no time."""
LAST_WORDS = 15.0
"""Seconds that workers have beyond the drain to store what they owe."""


class Chair:
    """The place of one worker, and who has it."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.process: int | None = None
        self.end: socket.socket | None = None
        """Our end of the line to it."""
        self.ready = False
        self.silent = 0.0
        """Seconds of ours in which it said nothing."""
        self.deaths = 0
        self._recent: list[float] = []
        self.due = 0.0
        """When the next one may begin."""

    def failing(self, now: float) -> bool:
        """Workers end here again and again."""
        return sum(now - died < RECENT for died in self._recent) >= MANY

    def died(self, now: float, *, accident: bool) -> None:
        """It is free again. When the next one may begin depends on how many accidents there were."""
        self.process, self.ready, self.silent = None, False, 0.0
        if self.end is not None:
            self.end.close()
            self.end = None
        self.due = now
        if accident:
            self.deaths += 1
            self._recent = [*(died for died in self._recent if now - died < RECENT), now]
            count = len(self._recent)
            self.due += PAUSE if count >= MANY else FIRST_PAUSE * 2 ** (count - 2) if count > 1 else 0.0


class Common(NamedTuple):
    """What all workers share."""

    data_dir: Path
    lock: DataLock
    data: socket.socket
    admin: socket.socket
    fair: Fair
    turn: int


def supervise(snapshot: Snapshot, source: Source, data: Path, greet: Callable[[str, str], None]) -> int:
    """Serve with several workers until told to stop; the exit status. `greet` is told both addresses before any worker begins.

    Raises `StoreError` or `ListenError`, whose words say what to do, where that cannot be begun.
    """
    with ExitStack() as stack:
        lock = DataLock.acquire(data)
        stack.callback(lock.release)
        listen, admin = open_doors(snapshot.server)
        stack.callback(listen.close)
        stack.callback(admin.close)
        turn = stack.enter_context(tempfile.TemporaryFile(dir=data))
        workers = snapshot.server.workers
        _clear(data)  # what an earlier life left when it was killed: this one counts from nothing
        stack.callback(_clear, data)
        greet(address(listen), address(admin))
        common = Common(data, lock, listen, admin, Fair(workers), turn.fileno())
        herald = Herald(snapshot.log.format, snapshot.log.level, snapshot.secrets(), turn.fileno())
        for warning in snapshot.warnings:
            herald.say("warning", warning)
        gc.collect()
        gc.freeze()  # what is loaded now is shared with the workers: the collector must not write to it
        return Supervisor(snapshot, source, common, herald).run()


def _clear(data: Path) -> None:
    """Remove what workers make for one another."""
    for worker in range(MAX_WORKERS):
        for place in (door_of(data, worker), counts_of(data, worker)):
            with suppress(OSError):
                place.unlink(missing_ok=True)


class Supervisor:
    """Runs until its workers have ended."""

    def __init__(self, snapshot: Snapshot, source: Source, common: Common, herald: Herald) -> None:
        self._snapshot = snapshot
        """The configuration in force, for the next worker."""
        self._source = source
        self._common = common
        self._herald = herald
        self._chairs = [Chair(number) for number in range(snapshot.server.workers)]
        self._settling = Settling()
        self._signals: list[int] = []
        self._wake, self._woken = line.pair()
        self._said_ready = False
        self._looked = time.monotonic()
        self._ending: float | None = None
        """When whoever still runs is killed; None while we serve."""
        self._status = 0

    def run(self) -> int:
        """Until told to stop and all have ended. The worst of their exit statuses."""
        for number in (*SIGNALS, signal.SIGCHLD):
            signal.signal(number, self._signalled)
        self._woken.setblocking(False)
        signal.set_wakeup_fd(self._woken.fileno(), warn_on_full_buffer=False)
        while self._ending is None or any(chair.process for chair in self._chairs):
            self._begin_due()
            self._wait()
            while self._signals:
                self._obey(self._signals.pop(0))
            self._reap()
            self._look()
            self._herald.flush()
        signal.set_wakeup_fd(-1)
        self._wake.close()
        self._woken.close()
        self._herald.say("info", "stopped")
        self._herald.close()
        return self._status

    # workers ----------------------------------------------------------------------------------------------------------

    def _begin_due(self) -> None:
        if self._ending is not None:
            return
        now = time.monotonic()
        for chair in self._chairs:
            if chair.process is None and chair.due <= now:
                try:
                    self._begin(chair)
                except OSError as error:  # out of processes, memory or descriptors
                    chair.due = now + PAUSE
                    self._herald.say("error", "worker cannot begin", worker=chair.number, reason=str(error))

    def _begin(self, chair: Chair) -> None:
        """Fork. The child waits until it is known to whoever asks, so that none works with keys nobody asks it about."""
        self._muster()  # what one before it acknowledged is forgotten
        ours, theirs = line.pair()
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        try:
            process = os.fork()
            if not process:
                ours.close()
                self._be_worker(chair.number, theirs)
        except OSError:
            ours.close()
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
            theirs.close()
        chair.process, chair.end, chair.silent = process, ours, 0.0
        self._muster()
        line.say(ours, line.BEGIN)

    def _be_worker(self, number: int, end: socket.socket) -> NoReturn:
        """In the child, with signals blocked: nothing of the supervisor's is used from here on but what it was given."""
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            for chair in self._chairs:
                if chair.end is not None:
                    chair.end.close()
            self._wake.close()
            self._woken.close()
            self._herald.forget()
            status = 0 if end.recv(1) != line.BEGIN else self._work(number, end)
        except (ListenError, StoreError) as error:
            print(error, file=sys.stderr)  # noqa: T201 - as a single process would
        except BaseException:  # noqa: BLE001 - it is told, and the status says it
            traceback.print_exc()
        finally:
            os._exit(status)  # what the supervisor would do at its end is not the child's to do

    def _work(self, number: int, end: socket.socket) -> int:
        common = self._common
        seat = Seat(number, len(self._chairs), common.lock, common.turn)
        house = open_house(self._snapshot, common.data_dir, self._source, seat)
        try:
            serve(house, lambda _listen, _admin: None, Doors(common.data, common.admin, common.fair, end))
        finally:
            close_house(house)
        return 0

    def _reap(self) -> None:
        """Whoever has ended; as the first process of a container, also those whose parents are gone."""
        with suppress(ChildProcessError):
            while True:
                process, status = os.waitpid(-1, os.WNOHANG)
                if not process:
                    return
                if (chair := next((one for one in self._chairs if one.process == process), None)) is not None:
                    self._ended(chair, os.waitstatus_to_exitcode(status))

    def _ended(self, chair: Chair, code: int) -> None:
        """A worker has ended. `code`: below 0, by that signal."""
        now, process = time.monotonic(), chair.process
        chair.died(now, accident=code != 0)
        self._common.fair.leave(chair.number)
        how = {"signal": signal.Signals(-code).name} if code < 0 else {"status": code}
        if self._ending is not None:
            self._status = max(self._status, code if code >= 0 else 128 - code)
            message = "worker ended unfinished" if code else "worker ended"
            self._herald.say("warning" if code else "info", message, worker=chair.number, process=process, **how)
            return
        self._muster()
        message = "worker ends again and again" if chair.failing(now) else "worker ended and is replaced"
        self._herald.say("error" if code else "info", message, worker=chair.number, process=process, **how)

    def _muster(self) -> None:
        now = time.monotonic()
        hands = [Hand(one.number, one.process, one.deaths, one.failing(now)) for one in self._chairs]
        try:
            muster(self._common.data_dir, hands)
        except OSError as error:
            self._herald.say("warning", "`trunkline keys` and `reload` cannot be told of the workers", reason=str(error))

    # what is heard ----------------------------------------------------------------------------------------------------

    def _signalled(self, number: int, _frame: FrameType | None) -> None:
        self._signals.append(number)

    def _wait(self) -> None:
        """Until something is to be done, at most until the next look."""
        now = time.monotonic()
        due = [chair.due for chair in self._chairs if chair.process is None and self._ending is None]
        seconds = max(0.0, min([self._looked + LOOK, *due]) - now)
        ends = {chair.end: chair for chair in self._chairs if chair.end is not None}
        for end in select.select([self._wake, *ends], [], [], 0.0 if self._signals else seconds)[0]:
            words = line.heard(end)
            if words and (chair := ends.get(end)) is not None:
                chair.silent = 0.0
                self._hear(chair, words)
            elif words is None and end is not self._wake:
                ends[end].end = None  # it is ending; its last sign is that of a child
                end.close()

    def _hear(self, chair: Chair, words: bytes) -> None:
        if line.READY in words:
            chair.ready = True
            if not self._said_ready and all(one.ready for one in self._chairs):
                self._said_ready = True
                listen, admin = address(self._common.data), address(self._common.admin)
                workers = len(self._chairs)
                self._herald.say("info", "ready", listen=listen, admin=admin, version=__version__, workers=workers)

    def _obey(self, number: int) -> None:
        if number == signal.SIGHUP:
            while signal.SIGHUP in self._signals:  # one reading is for all who asked before it, and holds up who wants an end
                self._signals.remove(signal.SIGHUP)
            self._say(line.RELOAD)
            self._read()
        elif number != signal.SIGCHLD:
            self._end()

    def _end(self) -> None:
        """Drain; the second time, wait for nobody."""
        if self._ending is not None:
            self._say(line.NOW)
            return
        server = self._snapshot.server
        self._ending = time.monotonic() + server.drain_grace + server.drain_timeout + LAST_WORDS
        self._herald.say("info", "workers are draining")
        self._common.data.close()  # theirs are open as long as they take connections
        self._common.admin.close()
        self._say(line.DRAIN)

    def _say(self, word: bytes) -> None:
        for chair in self._chairs:
            if chair.end is not None:
                line.say(chair.end, word)

    # looking ----------------------------------------------------------------------------------------------------------

    def _look(self) -> None:
        """Twice a second: who is silent, who is late, and what the configuration says."""
        now = time.monotonic()
        if (passed := now - self._looked) < LOOK:
            return
        self._looked = now
        for chair in self._chairs:
            # While we stood still ourselves, as with the whole machine, nobody was silent.
            chair.silent += min(passed, 2 * LOOK)
            if chair.process is not None and (chair.silent > SILENCE or (self._ending is not None and now > self._ending)):
                self._kill(chair)
        if self._ending is None and self._snapshot.server.watch and self._source.path is not None:
            mark = self._source.look()
            if self._settling.look(mark, self._source.read, now):
                self._read()

    def _kill(self, chair: Chair) -> None:
        assert chair.process is not None  # noqa: S101 - as the caller saw
        self._herald.say("error", "worker does not answer, and is killed", worker=chair.number, process=chair.process)
        with suppress(ProcessLookupError):
            os.kill(chair.process, signal.SIGKILL)
        chair.silent = 0.0

    def _read(self) -> None:
        """The configuration for the next worker: what the others read at the same time. With a mistake, as it was."""
        with suppress(Exception):  # a mistake, or a fault of ours: the workers tell of both, and we must go on
            self._snapshot = change(self._snapshot, self._source.load()).snapshot

"""The line between a supervisor and a worker: words, and its end."""

from __future__ import annotations

import asyncio

from trunkline.edge import line


def test_words_go_both_ways() -> None:
    """What was said together is heard together, and nothing said is an empty word and no end."""
    ours, theirs = line.pair()
    assert line.heard(ours) == b""
    line.say(theirs, line.READY)
    line.say(theirs, line.ALIVE)
    assert line.heard(ours) == b"y."
    line.say(ours, line.BEGIN)
    assert theirs.recv(1) == line.BEGIN
    ours.close()
    theirs.close()


def test_the_end_of_the_line() -> None:
    """A supervisor that is no more is noticed, and speaking to nobody harms nobody."""
    ours, theirs = line.pair()
    ours.close()
    assert line.heard(theirs) is None
    line.say(theirs, line.ALIVE)
    theirs.close()
    assert line.heard(theirs) is None


def test_who_does_not_listen_holds_up_nobody() -> None:
    """A supervisor must go on while a worker hangs: what it does not hear is lost."""
    ours, theirs = line.pair()
    for _ in range(100_000):
        line.say(ours, line.RELOAD)
    ours.close()
    theirs.close()


async def _follow() -> list[str]:
    ours, theirs = line.pair()
    done: list[str] = []
    drained = asyncio.Event()

    def drain() -> None:
        done.append("drain")
        drained.set()

    words = {line.RELOAD: lambda: done.append("reload"), line.DRAIN: drain, line.NOW: lambda: done.append("now")}
    worker = line.Line(theirs, asyncio.get_running_loop(), words)
    worker.open()
    assert line.heard(ours) == line.READY + line.ALIVE
    line.say(ours, line.RELOAD + line.NOW + line.DRAIN)
    await asyncio.wait_for(drained.wait(), 5)
    drained.clear()
    ours.close()
    await asyncio.wait_for(drained.wait(), 5)
    worker.close()
    theirs.close()
    return done


def test_a_worker_does_what_it_is_told() -> None:
    """Each word in its order; without a supervisor it drains, so that no orphan keeps a port."""
    assert asyncio.run(_follow()) == ["reload", "now", "drain", "drain"]


def test_a_worker_says_that_it_lives() -> None:
    """Silence must mean that its loop does not run."""

    async def live() -> bytes:
        ours, theirs = line.pair()
        worker = line.Line(theirs, asyncio.get_running_loop(), {})
        worker.open()
        await asyncio.sleep(line.PERIOD * 1.5)
        worker.close()
        said = line.heard(ours)
        ours.close()
        theirs.close()
        return said or b""

    assert asyncio.run(live()) == b"y.."

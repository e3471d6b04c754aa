"""What a start finds in the journal of the process before, and makes of it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from records import opened, settled
from trunkline.ledger.journal import Journal
from trunkline.ledger.record import interrupted, row
from trunkline.ledger.replay import Replay
from trunkline.ledger.segment import frame, segments


@pytest.fixture
def left(tmp_path):
    """The segments of a process that settled requests 0 to 8, across several files, and died in 9 and 10."""
    journal = Journal(tmp_path, segment_bytes=1000)
    tickets = [journal.open(opened(n)) for n in range(11)]
    for n in range(9):
        journal.settle(tickets[n], settled(n))
    for segment in journal.created:
        os.close(segment.fd)
    return [path for _, path in segments(tmp_path)]


def _replayed(paths, batch=4):
    told = []
    replay = Replay(paths, batch, lambda _message, detail: told.append(detail))
    batches = list(replay)
    assert all(0 < len(rows) <= batch for rows in batches)
    return replay, [made for rows in batches for made in rows], told


def test_settled_rows_come_first_then_the_interrupted(left):
    """Each accepted request has exactly one row in the end, however the process ended."""
    assert len(left) > 3
    replay, rows, told = _replayed(left)
    assert rows == [row(settled(n)) for n in range(9)] + [row(interrupted(opened(n))) for n in (9, 10)]
    assert (replay.interrupted, told) == (2, [])
    assert not any(path.exists() for path in left)


def test_nothing_is_deleted_before_everything_is_stored(left):
    """A second crash during the replay must find it all again."""
    batches = iter(Replay(left, 1, lambda *_: None))
    for _ in range(11):
        next(batches)
        assert all(path.exists() for path in left)
    assert next(batches, None) is None
    assert not any(path.exists() for path in left)


def test_a_damaged_segment_is_set_aside_and_the_others_count(left):
    """Damage in one file must not cost the records of another, nor destroy what a person could still read."""
    damaged = left[2].read_bytes()
    left[2].write_bytes(damaged[:20] + b"\xff" + damaged[21:])
    _, rows, told = _replayed(left)
    kept = {made["id"] for made in rows}
    assert told == [left[2].name]
    assert left[2].with_suffix(".corrupt").read_bytes() != damaged
    assert len(kept) == len(rows) >= 8
    assert not any(path.exists() for path in left)


@pytest.mark.parametrize("place", [0, 1, -1])
def test_with_an_unreadable_segment_nothing_is_interrupted_and_nothing_deleted(left, place):
    """The settlement may stand in it: a row `interrupted` would keep it out of the store when it can be read again."""
    away = left[place].rename(left[place].with_suffix(".away"))
    left[place].mkdir()
    damaged = left[2].read_bytes()
    left[2].write_bytes(damaged + b"x")
    replay, rows, told = _replayed(left)
    assert len(told) == 1
    assert {made["outcome"] for made in rows} == {"ok"}
    assert replay.interrupted == 0
    assert all(path.exists() for path in left)
    left[place].rmdir()
    away.rename(left[place])
    left[2].write_bytes(damaged)
    _, rows, told = _replayed(left)
    assert rows == [row(settled(n)) for n in range(9)] + [row(interrupted(opened(n))) for n in (9, 10)]
    assert told == []
    assert not any(path.exists() for path in left)


@given(st.lists(st.booleans(), max_size=12), st.data())
def test_whatever_the_damage_settled_records_before_it_are_kept_once(outcomes, data):
    """Any truncation or byte flip: a prefix of the records counts, each id once, and nothing raises."""
    frames = []
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "journal-00000000000000000001.log"
        journal = Journal(Path(place))
        for n, ends in enumerate(outcomes):
            ticket = journal.open(opened(n))
            if ends:
                journal.settle(ticket, settled(n))
            frames.append((n, ends, ticket.size))
            fd = ticket.fd
        if not outcomes:
            path.touch()
        else:
            os.close(fd)
        whole = path.read_bytes()
        cut = data.draw(st.integers(0, len(whole)))
        mangled = bytearray(whole)
        if data.draw(st.booleans()) and cut < len(whole):
            mangled[cut] ^= data.draw(st.integers(1, 255))
        else:
            del mangled[cut:]
        path.write_bytes(mangled)
        _, rows, _ = _replayed([path])
    ids = [made["id"] for made in rows]
    assert len(ids) == len(set(ids))
    sound = [f"{n:032d}" for n, ends, end in frames if ends and end <= cut]
    assert [made["id"] for made in rows if made["outcome"] == "ok"] == sound


def test_zeros_at_the_end_are_damage(tmp_path):
    """After a power cut some file systems leave zeros where the last write should be."""
    path = tmp_path / "journal-00000000000000000001.log"
    path.write_bytes(frame(b"\xc0") + bytes(64))
    _, rows, told = _replayed([path])
    assert (rows, told) == ([], [path.name])

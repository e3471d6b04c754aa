"""The journal's file form: what can be read of it after any damage."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from records import opened, settled
from trunkline.ledger.journal import Journal
from trunkline.ledger.segment import MAX_RECORD, directories, frame, scan, segment_path, segments
from trunkline.ledger.segment import settled as settlements


def _encoded() -> bytes:
    with tempfile.TemporaryDirectory() as place:
        journal = Journal(Path(place))
        for n in range(6):
            ticket = journal.open(opened(n))
            journal.settle(ticket, settled(n))
        data = ticket.path.read_bytes()
        os.close(ticket.fd)
    return data


DATA = _encoded()
RECORDS = list(scan(DATA))


def test_scan_reads_back_what_was_written():
    """Every record, in order, up to the last byte."""
    assert [record for _, record in RECORDS] == [made for n in range(6) for made in (opened(n), settled(n))]
    assert RECORDS[-1][0] == len(DATA)


@given(st.integers(0, len(DATA)))
def test_a_truncated_file_gives_the_records_before(cut):
    """A power cut leaves a torn tail: all whole records before it count, nothing else does, nothing raises."""
    assert list(scan(DATA[:cut])) == [entry for entry in RECORDS if entry[0] <= cut]


@given(st.integers(0, len(DATA) - 1), st.integers(1, 255))
def test_a_flipped_byte_gives_the_records_before(place, flip):
    """A rotten sector must not invent or change a record, and must not hide the ones before it."""
    damaged = bytearray(DATA)
    damaged[place] ^= flip
    assert list(scan(bytes(damaged))) == [entry for entry in RECORDS if entry[0] <= place]


@given(st.binary(max_size=200))
def test_any_bytes_are_readable(noise):
    """Whatever stands in the directory under a segment's name, a start must not fail over it."""
    list(scan(noise))


def test_a_sound_frame_of_something_else_ends_the_reading():
    """A journal of a future version is set aside, not misread."""
    for payload in (b"\xc0", b"\x92\xa6settle\x01", b"\x81\xa1a\x01", b"\x00" * (MAX_RECORD + 1)):
        assert list(scan(DATA + frame(payload))) == RECORDS


def test_scan_starts_at_an_offset():
    """What was left in a file for lack of memory is read from where it began."""
    assert list(scan(DATA, RECORDS[2][0])) == RECORDS[3:]


def test_segments_are_found_in_order(tmp_path):
    """Openings stand in older segments than their settlements, so the order decides what is `interrupted`."""
    for number in (10, 2, 1):
        segment_path(tmp_path, number).touch()
    (tmp_path / "journal-1.log").touch()
    segment_path(tmp_path, 3).with_suffix(".corrupt").touch()
    assert [number for number, _ in segments(tmp_path)] == [1, 2, 10]
    assert segments(tmp_path / "absent") == []


def test_settled_reads_without_changing(tmp_path):
    """`trunkline usage` beside a running gateway sees what is not in the store yet, and disturbs nothing."""
    segment_path(tmp_path, 1).write_bytes(DATA)
    segment_path(tmp_path, 2).write_bytes(frame(b"junk"))
    segment_path(tmp_path, 3).write_bytes(DATA[: RECORDS[1][0]])
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    assert settlements(tmp_path) == [settled(n) for n in range(6)] + [settled(0)]
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_settled_is_not_short_in_silence(tmp_path):
    """A segment that cannot be read holds costs; a sum without them would look like the whole."""
    segment_path(tmp_path, 1).mkdir()
    with pytest.raises(IsADirectoryError):
        settlements(tmp_path)


def test_settled_passes_over_a_segment_that_went_away(tmp_path):
    """The gateway deletes a segment between the listing and the reading."""
    segment_path(tmp_path, 1).symlink_to(tmp_path / "gone")
    assert settlements(tmp_path) == []


def test_the_journals_of_several_processes_are_read_together(tmp_path):
    """Accounts beside running workers must not be short of what the third one holds; what is no journal is left alone."""
    for name, data in (("", DATA), ("0", DATA[: RECORDS[1][0]]), ("10", DATA[: RECORDS[1][0]]), ("2", DATA), ("old", DATA)):
        (tmp_path / name).mkdir(exist_ok=True)
        segment_path(tmp_path / name, 1).write_bytes(data)
    assert directories(tmp_path) == [tmp_path, tmp_path / "0", tmp_path / "2", tmp_path / "10"]
    assert len(settlements(tmp_path)) == 6 + 1 + 6 + 1
    assert directories(tmp_path / "absent") == [tmp_path / "absent"]

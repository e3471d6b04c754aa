"""Where the data is, and who may look at it."""

from __future__ import annotations

from pathlib import Path

import platformdirs
import pytest

from trunkline.store.place import counts_of, data_dir, door_of, is_private, journal_of, make_private


@pytest.mark.parametrize(
    ("argument", "environ", "expected"),
    [
        (Path("/a"), {"TRUNKLINE_DATA": "/b"}, Path("/a")),
        (None, {"TRUNKLINE_DATA": "/b"}, Path("/b")),
        (None, {"TRUNKLINE_DATA": ""}, Path(platformdirs.user_data_dir("trunkline", appauthor=False))),
        (None, {}, Path(platformdirs.user_data_dir("trunkline", appauthor=False))),
        (Path("~/x"), {}, Path.home() / "x"),
    ],
)
def test_the_argument_wins_then_the_environment(argument, environ, expected):
    """A command that looked elsewhere than the gateway would make keys nobody reads."""
    assert data_dir(argument, environ) == expected


def test_what_we_make_is_for_its_owner_only(tmp_path):
    """Accounts and key digests are nobody else's business."""
    make_private(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700
    assert is_private(tmp_path / "a" / "b")


def test_what_is_there_is_left_as_it_is(tmp_path):
    """`--data /tmp`, once, as root, would lock everybody out of it."""
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o1777)
    make_private(tmp_path / "open")
    assert (tmp_path / "open").stat().st_mode & 0o7777 == 0o1777
    assert not is_private(tmp_path / "open")


def test_each_process_has_a_journal_of_its_own(tmp_path):
    """Segments of two in one directory would be deleted by the wrong one; a single process has the directory itself."""
    assert journal_of(tmp_path, 0, 1) == tmp_path / "journal"
    assert [journal_of(tmp_path, number, 2) for number in (0, 1)] == [tmp_path / "journal" / "0", tmp_path / "journal" / "1"]
    assert door_of(tmp_path, 3) != door_of(tmp_path, 4)
    assert counts_of(tmp_path, 3) != counts_of(tmp_path, 4)

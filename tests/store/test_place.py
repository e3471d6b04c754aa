"""Where the data is, and who may look at it."""

from __future__ import annotations

from pathlib import Path

import platformdirs
import pytest

from trunkline.store.place import data_dir, make_private


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


def test_the_directory_is_for_its_owner_only(tmp_path):
    """Accounts and key digests are nobody else's business, even where the directory was there before."""
    make_private(tmp_path / "a" / "b")
    (tmp_path / "open").mkdir(mode=0o755)
    make_private(tmp_path / "open")
    assert [place.stat().st_mode & 0o777 for place in (tmp_path / "a" / "b", tmp_path / "open")] == [0o700, 0o700]

"""What goes wrong with a database, in words that help."""

from __future__ import annotations

from json import JSONDecodeError

import pytest
from sqlalchemy import create_engine
from sqlalchemy.exc import ArgumentError

from trunkline.store.errors import StoreError, explained


def test_both_message_and_remedy_are_told():
    """An operator at three in the morning needs the second half."""
    assert str(StoreError("It is broken.", "Mend it.")) == "It is broken. Mend it."


def test_a_damaged_file_is_told_apart(tmp_path):
    """Only damage is a reason to restore a backup."""
    (tmp_path / "x.db").write_bytes(b"no database at all" * 100)
    engine = create_engine(f"sqlite:///{tmp_path / 'x.db'}")
    with pytest.raises(StoreError, match=r"damaged.*backup"), explained("x.db"), engine.connect() as connection:
        connection.exec_driver_sql("SELECT * FROM sqlite_master")
    engine.dispose()


@pytest.mark.parametrize("error", [UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid"), JSONDecodeError("bad", "x", 0)])
def test_unreadable_text_is_damage(error):
    """Flipped bits in a stored text must not end in a traceback."""
    with pytest.raises(StoreError, match="damaged"), explained("x.db"):
        raise error


def test_a_lock_is_told_apart(tmp_path):
    """Something that passes is not to be mended."""
    engine = create_engine(f"sqlite:///{tmp_path / 'x.db'}", connect_args={"timeout": 0})
    with engine.connect() as holding:
        holding.exec_driver_sql("BEGIN EXCLUSIVE")
        with pytest.raises(StoreError, match=r"locked.*again"), explained("x.db"), engine.connect() as connection:
            connection.exec_driver_sql("BEGIN EXCLUSIVE")
    engine.dispose()


def test_the_rest_says_what_the_database_said():
    """No failure is without words."""
    engine = create_engine("sqlite://")
    with pytest.raises(StoreError, match="no such table: absent"), explained("x.db"), engine.connect() as connection:
        connection.exec_driver_sql("SELECT * FROM absent")
    with pytest.raises(StoreError, match="report it"), explained("x.db"):
        raise ArgumentError("what is this")
    engine.dispose()

"""What goes wrong with a database, in words that help. What a server says is tried on a real one, in `test_postgres`."""

from __future__ import annotations

from json import JSONDecodeError

import pytest
from sqlalchemy import create_engine
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from trunkline.store.errors import StoreError, explained, state


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


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"C": "53100", "M": "could not extend file"}, r"its disk is full \(could not extend file\)\. Make room"),
        ({"C": "28P01", "M": "password authentication failed"}, r"does not let its user in .*pg_hba"),
        ({"C": "28000", "M": "no pg_hba.conf entry for host"}, r"does not let its user in .*pg_hba"),
        ({"C": "99999", "M": "something new"}, r"cannot be used: something new \(99999\)\. See the server's log"),
    ],
)
def test_a_servers_state_is_told_with_its_remedy(said, words):
    """By the state and not by the text, which comes in the server's language."""
    with pytest.raises(StoreError, match=words), explained("x"):
        raise DBAPIError("SELECT secret", {"secret": "value"}, Exception(said))


def test_a_broken_connection_and_a_full_pool_are_told():
    """Neither is a fault in what was asked."""
    with pytest.raises(StoreError, match=r"connection .* broke\. See that the server runs"), explained("x"):
        raise DBAPIError("SELECT 1", {}, Exception("network error"))
    with pytest.raises(StoreError, match="every connection to it is busy"), explained("x"):
        raise PoolTimeoutError


def test_only_a_servers_error_has_a_state():
    """Other errors carry anything."""
    assert [state(each) for each in (None, ValueError(), ValueError("C"), ValueError({"C": "57P01"}))] == ["", "", "", "57P01"]

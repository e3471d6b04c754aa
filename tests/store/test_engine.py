"""The open store, the same on each kind of database: one transaction is whole, and a reading is of one moment."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import func, select, update

from records import settled
from trunkline.ledger.record import row
from trunkline.store import usage
from trunkline.store.engine import open_store
from trunkline.store.errors import StoreError
from trunkline.store.tables import meta
from trunkline.store.tables import usage as usage_table


def _value(connection, name):
    return connection.execute(select(meta.c.value).where(meta.c.name == name)).scalar()


def test_without_a_url_it_is_in_the_data_directory(tmp_path):
    """Who configures nothing has keys and accounts that outlast the process."""
    store = open_store(tmp_path)
    assert store.dialect == "sqlite"
    assert (tmp_path / "trunkline.db").exists()
    store.close()


def test_a_transaction_is_whole_or_not_at_all(store):
    """Half of a change, such as a revoked key without its new generation, would be worse than none."""

    def half():
        with store.begin() as connection:
            connection.execute(meta.insert().values(name="a", value=1))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        half()
    with store.begin() as connection:
        assert _value(connection, "a") is None
        connection.execute(meta.insert().values(name="a", value=2))
    with store.read() as connection:
        assert _value(connection, "a") == 2


def test_a_reading_is_one_moment(store):
    """Totals beside a writing gateway must not see half of a batch, or a record twice."""
    usage.insert(store, [row(settled(n)) for n in range(200)])
    with store.read() as connection:
        before = connection.execute(select(func.count()).select_from(usage_table)).scalar()
        usage.insert(store, [row(settled(1000))])
        assert connection.execute(select(func.count()).select_from(usage_table)).scalar() == before == 200


def test_a_reading_cannot_write_on_postgresql(store):
    """What is begun for reading must not change the books by mistake; SQLite has no such promise."""
    if store.dialect != "postgresql":
        return
    with pytest.raises(StoreError, match="read-only"), store.read() as connection:
        connection.execute(meta.insert().values(name="a", value=1))


def test_two_that_read_and_then_write_do_not_lose_a_change(store):
    """Eight changes at once, each of which reads first: none may be refused for another's, none may undo another's."""
    with store.begin() as connection:
        connection.execute(meta.insert().values(name="n", value=0))
    gate, failed = threading.Barrier(8), []

    def count_up():
        gate.wait()
        for _ in range(5):
            try:
                with store.begin() as connection:
                    wanted = select(meta.c.value).where(meta.c.name == "n").with_for_update()
                    now = connection.execute(wanted).scalar_one()
                    connection.execute(update(meta).where(meta.c.name == "n").values(value=now + 1))
            except StoreError as error:
                failed.append(str(error))

    threads = [threading.Thread(target=count_up) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    with store.read() as connection:
        assert _value(connection, "n") == 40


def test_a_text_is_kept_to_the_letter(store):
    """Names and messages of the whole world come back as they were."""
    with store.begin() as connection:
        connection.execute(meta.insert().values(name="Zoë 東京 🚂 %s ' \" \\", value=2**63 - 1))
    with store.read() as connection:
        assert connection.execute(select(meta.c.name, meta.c.value)).one() == ("Zoë 東京 🚂 %s ' \" \\", 2**63 - 1)

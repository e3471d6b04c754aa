"""A store on a real PostgreSQL server: made once, refused in words, and never waited for without end."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
import time

import pytest
from sqlalchemy import select

from harness.postgres import PASSWORD, QUOTED_PASSWORD
from trunkline.store import keys
from trunkline.store.engine import open_store
from trunkline.store.errors import StoreError
from trunkline.store.tables import meta
from trunkline.store.url import parse

DEADLINE = 1.0


@pytest.fixture
def opening(postgres_url, tmp_path):
    """Opens the store of the test's own database; every one is closed at the end."""
    with contextlib.ExitStack() as stack:

        def made(url=postgres_url, **options):
            store = open_store(tmp_path, parse(url), **options)
            stack.callback(store.close)
            return store

        yield made


def _database(url):
    return parse(url).database


def _refused(act):
    """What is said, and how long it took. It never holds the password."""
    began = time.monotonic()
    with pytest.raises(StoreError) as caught:
        act()
    told = str(caught.value)
    error = caught.value
    while error is not None:
        assert PASSWORD not in repr(error)
        assert QUOTED_PASSWORD not in repr(error)
        error = error.__cause__
    return told, time.monotonic() - began


def test_it_is_made_once_and_opened_again(opening):
    """A restart finds everything, and so does another machine."""
    first = opening()
    keys.create(first, "a", None, 1)
    second = opening()
    assert [key.name for key in keys.listing(second)] == ["a"]


def test_who_only_looks_makes_nothing(opening, postgres, postgres_url):
    """A slip in the name of the database must leave no trace there."""
    told, _ = _refused(lambda: opening(create=False))
    assert "no gateway has used it yet" in told
    assert postgres.execute("SELECT 1 FROM pg_tables WHERE schemaname = 'public'", _database(postgres_url)) == []


def test_the_database_of_another_program_is_left_alone(opening, postgres, postgres_url):
    """Names such as `keys` and `usage` are everyone's: we neither take theirs nor put ours beside them."""
    postgres.execute("CREATE TABLE theirs (x int)", _database(postgres_url))
    told, _ = _refused(opening)
    assert "not one of Trunkline" in told
    found = postgres.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'", _database(postgres_url))
    assert found == [["theirs"]]


def test_a_database_that_cannot_hold_every_text_is_refused(opening, postgres):
    """A name in Japanese must not stop the ledger a month later."""
    postgres.execute("CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'")
    told, _ = _refused(lambda: opening(postgres.url("latin")))
    assert "has the encoding LATIN1" in told
    assert "ENCODING 'UTF8'" in told
    postgres.drop("latin")


@pytest.fixture
def guest(postgres, postgres_url):
    """The URL for a user who may do nothing but sign in."""
    postgres.execute(f"CREATE ROLE guest LOGIN PASSWORD '{PASSWORD}'")
    yield postgres.url(_database(postgres_url), user="guest")
    postgres.execute("DROP OWNED BY guest", _database(postgres_url))
    postgres.execute("DROP ROLE guest")


def test_missing_rights_are_told(opening, postgres, postgres_url, guest):
    """Since PostgreSQL 15 a new user may create nothing: the remedy is one line."""
    told, _ = _refused(lambda: opening(guest))
    assert "GRANT USAGE, CREATE ON SCHEMA public" in told
    postgres.execute("REVOKE USAGE ON SCHEMA public FROM PUBLIC", _database(postgres_url))
    told, _ = _refused(lambda: opening(guest))
    assert "GRANT USAGE, CREATE ON SCHEMA public" in told
    postgres.execute("GRANT USAGE, CREATE ON SCHEMA public TO guest", _database(postgres_url))
    opening(guest)


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ({"password": "wrong"}, "does not let its user in"),
        ({"user": "nobody-here"}, "does not let its user in"),
        ({"database": "absent"}, "does not exist"),
    ],
)
def test_a_wrong_url_is_told(opening, postgres, part, words):
    """Which part of the URL is wrong, and not the rest of it."""
    fields = {"database": "postgres", **part}
    told, _ = _refused(lambda: opening(postgres.url(**fields)))
    assert words in told


def test_too_many_connections_are_told(opening, postgres, postgres_url, guest):
    """The server's limit is met by adding machines: the operator must know the number to raise."""
    postgres.execute(f"ALTER DATABASE {_database(postgres_url)} CONNECTION LIMIT 0")
    told, _ = _refused(lambda: opening(guest))
    assert "too many connections" in told


def test_a_standby_is_told(opening, postgres, postgres_url):
    """After a failover the old address may be read-only: the keys are readable there, and nothing can be written."""
    opening()
    postgres.execute(f"ALTER DATABASE {_database(postgres_url)} SET default_transaction_read_only = on")
    store = opening()
    assert keys.listing(store) == []
    told, _ = _refused(lambda: keys.create(store, "a", None, 1))
    assert "Name the primary in store.url" in told
    postgres.execute(f"ALTER DATABASE {_database(postgres_url)} RESET default_transaction_read_only")
    keys.create(store, "a", None, 1)


def test_a_lock_is_waited_for_only_so_long(opening, postgres, postgres_url):
    """Somebody's migration or forgotten transaction holds a table: the writer's thread comes back and syncs its journal."""
    store = opening(deadline=DEADLINE)
    with contextlib.closing(postgres.connect(_database(postgres_url))) as other:
        other.run("BEGIN")
        other.run("LOCK TABLE keys IN ACCESS EXCLUSIVE MODE")
        told, seconds = _refused(lambda: keys.listing(store))
        assert "is locked by another process" in told
        assert seconds < DEADLINE
        other.run("ROLLBACK")
    assert keys.listing(store) == []


def test_a_slow_answer_is_waited_for_only_so_long(opening):
    """The server gives up before we do, so the connection is not lost over it."""
    store = opening(deadline=DEADLINE)

    def sleep():
        with store.begin() as connection:
            connection.exec_driver_sql("SELECT pg_sleep(30)")

    told, seconds = _refused(sleep)
    assert "took too long" in told
    assert seconds < 1.5 * DEADLINE


def test_a_server_that_stands_still_is_waited_for_only_so_long(opening, postgres):
    """A frozen machine takes connections and says nothing: a few seconds, not the fifteen minutes of TCP; then all goes on."""
    store = opening(deadline=DEADLINE)
    assert keys.listing(store) == []
    with postgres.frozen():
        for _ in range(2):
            told, seconds = _refused(lambda: keys.listing(store))
            assert "does not answer" in told
            assert seconds < 2.5 * DEADLINE
    assert keys.listing(store) == []


def test_broken_connections_are_replaced(opening, postgres, postgres_url):
    """A restart of the server, or a firewall that forgets: the next transaction does not notice."""
    store = opening()
    with store.begin() as connection:
        connection.execute(meta.insert().values(name="a", value=1))
    for _ in range(3):
        postgres.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name", name=_database(postgres_url)
        )
        with store.read() as connection:
            assert connection.execute(select(meta.c.value)).scalar() == 1


def test_a_connection_that_breaks_inside_a_transaction_is_told(opening, postgres, postgres_url):
    """What was not committed is not there, and the next transaction works."""
    store = opening()

    def broken():
        with store.begin() as connection:
            connection.execute(meta.insert().values(name="a", value=1))
            postgres.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name", name=_database(postgres_url)
            )
            connection.execute(meta.insert().values(name="b", value=1))

    told, _ = _refused(broken)
    assert "shut down" in told or "broke" in told
    with store.read() as connection:
        assert connection.execute(select(meta)).all() == []


def test_many_threads_share_a_few_connections(opening, postgres, postgres_url):
    """The server's connections are dear: twenty askers at once take five at most, and all are served."""
    store = opening()
    most, failed = [], []

    def ask():
        try:
            with store.begin() as connection:
                wanted = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> 0"
                most.append(connection.exec_driver_sql(wanted).scalar())
                connection.exec_driver_sql("SELECT pg_sleep(0.02)")
        except StoreError as error:
            failed.append(error)

    threads = [threading.Thread(target=ask) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert len(most) == 20
    assert max(most) <= 5


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("53100", "has no room: its disk is full"),
        ("53200", "lacks resources"),
        ("40001", "asked for the same by two at once"),
        ("XX001", "is damaged"),
        ("XX002", "REINDEX"),
        ("57P03", "being shut down, or not yet up"),
        ("58030", "what it said (58030)"),
    ],
)
def test_what_the_server_says_is_told_with_a_remedy(opening, state, words):
    """Rare troubles, raised by the real server: each has its own remedy, and the server's own words."""
    store = opening()

    def troubled():
        with store.begin() as connection:
            connection.exec_driver_sql(f"DO $$ BEGIN RAISE EXCEPTION 'what it said' USING ERRCODE = '{state}'; END $$")

    told, _ = _refused(troubled)
    assert words in told
    assert "what it said" in told


def test_the_driver_is_asked_for_where_it_is_missing():
    """Who installed Trunkline without it is told the one command."""
    script = (
        "import sys; sys.modules['pg8000'] = None\n"
        "from pathlib import Path; from trunkline.store.engine import open_store; from trunkline.store.url import parse\n"
        "open_store(Path('/nowhere'), parse('postgresql://u:p@127.0.0.1/x'))"
    )
    path = {"PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run([sys.executable, "-B", "-c", script], env=path, check=False, capture_output=True, text=True)
    assert "StoreError" in done.stderr
    assert "pip install 'trunkline[postgres]'" in done.stderr


def test_the_driver_is_not_loaded_without_such_a_store(tmp_path):
    """Most installations have no PostgreSQL; it costs memory and a part of the start."""
    script = "import sys; from pathlib import Path; from trunkline.store.engine import open_store\n"
    script += "open_store(Path(sys.argv[1])).close(); sys.exit('pg8000' in sys.modules)"
    path = {"PYTHONPATH": ":".join(sys.path)}
    assert subprocess.run([sys.executable, "-B", "-c", script, str(tmp_path)], env=path, check=False).returncode == 0

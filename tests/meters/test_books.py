"""What a process remembers, and what it forgets."""

from __future__ import annotations

from harness.counting import BORN, SECOND, Clock
from trunkline.meters.books import Books
from trunkline.meters.rule import Rule
from trunkline.meters.windows import window

DAY = 86_400


def test_names_mean_the_same_counter() -> None:
    """Two sets of rules that name one team count together."""
    books = Books(Clock(), BORN)
    assert books.bucket("team:t/requests") is books.bucket("team:t/requests")
    assert books.slot("team:t/concurrent") is books.slot("team:t/concurrent")


def test_what_counts_nothing_is_forgotten_and_nothing_else() -> None:
    """A bucket that is full, free slots, and money of long ago go; what is held, owed or of today stays; and all are told."""
    clock = Clock()
    books, told = Books(clock, BORN), []
    books.forgetting.append(lambda: told.append(1))
    rule = Rule("key:k", "money", 5, "day")
    old = [books.open(rule, window("day", "UTC", BORN - days * DAY * SECOND)) for days in (9, 8, 7)]
    old[0].reserved, old[1].unsent = 5, 5
    today = books.open(rule, window("day", "UTC", BORN))
    books.bucket("full").full_at = clock() - 2 * 3600 * SECOND
    books.bucket("taken").full_at = clock() + SECOND
    books.slot("busy").busy = 1
    books.slot("free")
    books.sweep()
    assert told == [1]
    assert list(books.slots) == ["busy"]
    assert list(books._buckets) == ["taken"]
    assert list(books.purses.values()) == [old[0], old[1], today]


def test_the_wall_clock_as_it_was_begun() -> None:
    """Somebody who sets the clock moves nothing here: what is kept is kept by the time that passed."""
    clock = Clock()
    books = Books(clock, BORN)
    clock.sleep(5)
    clock.set = 99 * SECOND
    assert books.wall() == BORN + 5 * SECOND

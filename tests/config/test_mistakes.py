"""Keeping, ordering and masking mistakes."""

from __future__ import annotations

from trunkline.config.mistakes import LONGEST_MESSAGE, MAX_MISTAKES, ConfigError, Mistakes, Place, dotted, mask


def test_paths_as_people_write_them():
    """Nobody would find `('keys', 1, 'secret')`."""
    assert dotted(("keys", 1, "secret")) == "keys[1].secret"
    assert dotted(()) == ""


def test_the_list_is_printable_and_in_order():
    """A person would see the mistakes in the order the program found them."""
    mistakes = Mistakes()
    assert not mistakes
    mistakes.add(Place("f", 9), ("b",), "two")
    mistakes.add(Place("f", 2), ("a", 0), "one")
    mistakes.add(Place("f", 0), (), "whole")
    mistakes.add(Place("f", 9), ("b",), "an echo of two")
    assert mistakes
    error = mistakes.error()
    assert isinstance(error, ConfigError)
    assert str(error) == "f: whole\nf:2: a[0]: one\nf:9: b: two"


def test_it_gives_up_where_nearly_all_is_wrong():
    """A file of another kind would fill the screen, and take for ever."""
    mistakes = Mistakes()
    for line in range(MAX_MISTAKES + 9):
        mistakes.add(Place("f", line + 1), ("a", line), "wrong")
    error = mistakes.error()
    assert len(error.mistakes) == MAX_MISTAKES
    assert str(error).splitlines()[-2:] == ["f:1000: a[999]: wrong", "… and so on: after 1000 mistakes no more were looked for"]


def test_near_is_at_above_or_below():
    """One missing value would be followed by messages about what follows from it."""
    mistakes = Mistakes()
    mistakes.add(Place("f", 1), ("a", "b"), "x")
    assert mistakes.near(("a",))
    assert mistakes.near(("a", "b", "c"))
    assert not mistakes.near(("a", "c"))


def test_secrets_are_masked_also_when_quoted_and_cut():
    """A key would be printed where its value is wrong."""
    mistakes = Mistakes()
    mistakes.secrets = {"hunter2\n\\hunter2", "hunter2\n", "short"}
    mistakes.add(Place("f", 1), ("a",), "hunter2\n\\hunter2 hunter2\\n\\\\hunter2 short" + "x" * 999)
    message = mistakes.error().mistakes[0].message
    assert message.startswith("*** *** short")
    assert len(message) == LONGEST_MESSAGE
    assert mask("abc", ["abc"]) == "abc"

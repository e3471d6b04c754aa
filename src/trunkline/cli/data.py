"""What commands on the data directory share: the option that names it, the open store, and trouble told in words."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from trunkline.store.engine import Store, open_store
from trunkline.store.errors import StoreError
from trunkline.store.lock import holder

Data = Annotated[Path | None, typer.Option("--data", help="Data directory; else TRUNKLINE_DATA, else the platform's.")]


def fail(message: str, remedy: str) -> typer.Exit:
    """Say what is wrong and what to do about it; the exception to raise then."""
    typer.echo(f"{message}\n{remedy}", err=True)
    return typer.Exit(1)


@contextmanager
def opened(data: Path, *, create: bool = False) -> Iterator[Store]:
    """The store, closed at the end. `create`: made where there is none. Whatever is wrong with it fails the command."""
    try:
        store = open_store(data, create=create, check=holder(data) is None)
        try:
            yield store
        finally:
            store.close()
    except StoreError as error:
        raise fail(error.message, error.remedy) from error


@contextmanager
def output() -> Iterator[None]:
    """What is printed inside must arrive, or the command fails. A reader that left early is left to the caller."""
    if sys.stdout is None:
        raise fail("The standard output is closed.", "Open it: what is to be seen is written there.")
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        _give_up_output()
        raise fail(f"The standard output cannot be written: {error.strerror}.", "See that there is room.") from error


def printable(text: str) -> str:
    """What clients or providers chose, made harmless for a terminal."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


def _give_up_output() -> None:
    """Let what is still to be written go nowhere: else the interpreter fails on it again when it ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)

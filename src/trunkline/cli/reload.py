"""`trunkline reload`: make the running gateway read its configuration again, and say what became of it."""

from __future__ import annotations

import os

import typer

from trunkline.cli.data import Data, fail, output
from trunkline.store.lock import ask, holder
from trunkline.store.place import data_dir

_OUTCOME = {
    "applied": "Applied.",
    "unchanged": "Unchanged: it says what was in force already.",
    "refused": "Refused; the old configuration stays in force.",
}


def reload(data: Data = None) -> None:
    """Make the running gateway read its configuration again. Exit status 0: it is in force; 1: it has mistakes, all listed."""
    place = data_dir(data, os.environ)
    if holder(place) is None:
        raise fail(f"No gateway runs on the data directory {place}.", "Name the right one with --data or TRUNKLINE_DATA.")
    verdict = ask(place)
    if verdict is None:
        why = "The running gateway did not say within 10 seconds what became of its configuration."
        raise fail(why, "See its log; it may belong to another user, or be ending.")
    for warning in verdict.warnings:
        typer.echo(f"warning: {warning}", err=True)
    told = "\n".join([*verdict.lines, _OUTCOME.get(verdict.result, verdict.result)])
    if verdict.result == "refused":
        typer.echo(told, err=True)
        raise typer.Exit(1)
    with output():
        print(told)

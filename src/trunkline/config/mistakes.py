"""Mistakes in a configuration: each with its place, all reported at once, none with a secret in it.

Finding mistakes belongs to the modules that read, validate and compile; here they are only kept and printed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from typing_extensions import override

KeyPath = tuple[str | int, ...]
"""Where a value stands in the configuration, such as `("keys", 1, "secret")`."""

SHORTEST_SECRET = 8
"""Shorter values are not masked: they would hide ordinary words, and hardly are credentials."""
LIKELY_SECRET = 16
"""A value from the environment or a file that is this long is kept out of messages wherever it was put."""
LONGEST_MESSAGE = 600
MAX_MISTAKES = 1000
"""Nobody mends more in one go; a file of another kind is all mistakes."""


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Place:
    """A file (or an environment variable) and the line in it; line 0 where there are no lines."""

    file: str
    line: int


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Mistake:
    """One thing that is wrong."""

    file: str
    line: int
    path: str
    """Dotted, as in `providers.lab.base_url` or `keys[1].secret`; empty where the file as a whole is meant."""
    message: str

    @override
    def __str__(self) -> str:
        """`file:line: path: message`."""
        place = f"{self.file}:{self.line}" if self.line else self.file
        path = self.path if self.path != self.file else ""  # a variable's own name
        return ": ".join(part for part in (place, path, self.message) if part)


class ConfigError(Exception):
    """The configuration cannot be used. `str()` is the printable list of every mistake, one per line."""

    def __init__(self, mistakes: list[Mistake], *, complete: bool = True) -> None:
        """`complete`: these are all; otherwise the list says that it ends early."""
        rest = [] if complete else [f"… and so on: after {MAX_MISTAKES} mistakes no more were looked for"]
        super().__init__("\n".join([*map(str, mistakes), *rest]))
        self.mistakes = mistakes


def dotted(path: KeyPath) -> str:
    """A path as people write it."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def mask(text: str, secrets: Iterable[str]) -> str:
    """`text` with every secret of at least `SHORTEST_SECRET` characters replaced."""
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= SHORTEST_SECRET:
            text = text.replace(secret, "***").replace(repr(secret)[1:-1], "***")
    return text


class Mistakes:
    """Collects mistakes while a configuration is read. `secrets` are kept out of what is reported."""

    def __init__(self) -> None:
        self._found: list[tuple[Place, KeyPath, str]] = []
        self._known: set[KeyPath] = set()
        self._above: set[KeyPath] = set()  # every path that leads to a known one
        self.secrets: set[str] = set()

    def add(self, place: Place, path: KeyPath, message: str) -> None:
        """Note a mistake. One that was already noted for the same value is enough: the first says the cause."""
        if self.full or (path and path in self._known):
            return
        self._found.append((place, path, message))
        self._known.add(path)
        self._above.update(path[:end] for end in range(len(path)))

    @property
    def full(self) -> bool:
        """Whether there are so many already that no more are noted."""
        return len(self._found) >= MAX_MISTAKES

    def near(self, path: KeyPath) -> bool:
        """Whether a mistake is known at `path`, above it or below it, so that a later one may only be its echo."""
        return path in self._above or any(path[:end] in self._known for end in range(len(path) + 1))

    def __bool__(self) -> bool:
        return bool(self._found)

    def error(self) -> ConfigError:
        """All of them, in the order of the file."""
        found = {
            Mistake(place.file, place.line, dotted(path), mask(message, self.secrets)[:LONGEST_MESSAGE])
            for place, path, message in self._found
        }
        return ConfigError(sorted(found), complete=not self.full)

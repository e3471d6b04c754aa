"""`${VAR}`, `${VAR:-default}` and `${file:path}` inside the text of a configuration value; `$${` is a plain `${`.

What is put in is never read for `${…}` again. Reading the configuration file itself belongs in `document`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from trunkline.config.document import Document
from trunkline.config.mistakes import LIKELY_SECRET, KeyPath, Mistakes

MAX_FILE = 64 * 1024
_PIECE = re.compile(r"\$\$\{|\$\{([^{}]*)\}|\$\{")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Interpolator:
    """Fills in one document. `filled` are the paths whose text came from elsewhere."""

    def __init__(self, base: Path, environ: Mapping[str, str], mistakes: Mistakes) -> None:
        self._base = base
        self._environ = environ
        self._mistakes = mistakes
        self._troubles: list[tuple[KeyPath, str]] = []
        self.filled: set[KeyPath] = set()

    def __call__(self, path: KeyPath, text: str) -> str:
        """`text` with its pieces filled in. A piece that cannot be is left as it stands and reported by `report`."""
        if "${" not in text:
            return text

        def fill(piece: re.Match[str]) -> str:
            if piece.group() == "$${":
                return "${"
            try:
                value = self._value(piece.group(1))
            except ValueError as error:
                self._troubles.append((path, str(error)))
                return piece.group()
            self.filled.add(path)
            if len(value) >= LIKELY_SECRET:
                self._mistakes.secrets.add(value)
            return value

        return _PIECE.sub(fill, text)

    def report(self, document: Document) -> None:
        """Tell every piece that could not be filled in, at the line of its value, unless another value was put over it."""
        for path, message in self._troubles:
            if (place := document.place(path)).file == document.source:
                self._mistakes.add(place, path, message)

    def _value(self, inside: str | None) -> str:
        if inside is None:
            raise ValueError("'${' without its '}' (one inside another is not supported); write '$${' for a plain '${'")
        if inside.startswith("file:"):
            return self._file(inside.removeprefix("file:"))
        name, has_default, default = inside.partition(":-")
        if not _NAME.fullmatch(name):
            raise ValueError("inside '${…}' there must be VAR, VAR:-default or file:path")
        value = self._environ.get(name)
        if has_default:
            return value or default
        if value is None:
            raise ValueError(f"the environment variable {name} is not set; '${{{name}:-default}}' gives a default")
        return value

    def _file(self, name: str) -> str:
        try:
            path = self._base / name
            if not path.is_file():
                raise ValueError(f"there is no file {name}")
            with path.open("rb") as file:
                data = file.read(MAX_FILE + 1)
            if len(data) > MAX_FILE:
                raise ValueError(f"the file {name} is larger than {MAX_FILE // 1024} KiB")
            return data.decode().removesuffix("\n").removesuffix("\r")
        except OSError as error:
            raise ValueError(f"the file {name} cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise ValueError(f"the file {name} is not UTF-8 text") from error

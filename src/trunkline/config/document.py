"""A configuration file as text: YAML or JSON into plain values, each with the line it stands on.

Every scalar stays text (or None for an empty or null one): what `yes`, `1e3` or `22:10` means is decided by the field that
takes it, never by YAML's own guesses. What a field may be belongs in `schema`; `${…}` belongs in `interpolate`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import yaml

from trunkline.config.mistakes import KeyPath, Mistakes, Place

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 32
MAX_NODES = 100_000
"""Values after aliases are followed; more is a bomb, not a configuration."""
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_PLAIN_TAGS = frozenset({f"tag:yaml.org,2002:{kind}" for kind in ("str", "seq", "map")})
_LOADER: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)  # the C one where PyYAML was built with libyaml
_ESCAPE = re.compile(r"\\(?:u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})|.)")
"""An escape in a JSON text; with groups where it is a character in two halves (RFC 8259 section 7), which YAML has not."""
_QUOTED = re.compile(r"(['\"])[^'\"<]{2,}\1")

Scalar = Callable[[KeyPath, str], str]
"""What is done to each scalar's text; the path says where it stands."""


class Document:
    """Plain values (dicts, lists, strings, None) and the place of each, by path."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.value: Any = {}
        self.places: dict[KeyPath, Place] = {}

    def place(self, path: KeyPath) -> Place:
        """The place of the value at `path`, or of the nearest value above it."""
        for end in range(len(path), -1, -1):
            if (place := self.places.get(path[:end])) is not None:
                return place
        return Place(self.source, 0)

    def put(self, path: KeyPath, place: Place) -> None:
        """Note that the value at `path`, and all below it, now comes from `place`."""
        self.places = {at: known for at, known in self.places.items() if at[: len(path)] != path} | {path: place}


def parse(data: bytes, source: str, mistakes: Mistakes, scalar: Scalar) -> Document:
    """Read a whole file. What is wrong goes to `mistakes`; the document then holds what could be read."""
    document = Document(source)
    if len(data) > MAX_BYTES:
        mistakes.add(Place(source, 0), (), f"the file is larger than {MAX_BYTES // 1024} KiB")
        return document
    try:
        text = _joined(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        mistakes.add(Place(source, data.count(b"\n", 0, error.start) + 1), (), "the file is not UTF-8 text")
        return document
    try:
        too_deep = _too_deep(text)
        root = None if too_deep else yaml.compose(text, Loader=_LOADER)
    except yaml.YAMLError as error:
        mistakes.add(Place(source, _line(error, text)), (), _say(error))
        return document
    if too_deep:
        mistakes.add(Place(source, too_deep), (), f"nested deeper than {MAX_DEPTH} levels")
    elif root is not None:
        document.value = _Reader(document, mistakes, scalar).read(root, ())
    return document


def _joined(text: str) -> str:
    """`text` with the characters that JSON writes as two escapes written as themselves, if it is JSON."""
    if "\\u" not in text:
        return text
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return text
    return _ESCAPE.sub(lambda found: json.loads(f'"{found[0]}"') if found[1] else found[0], text)


def _too_deep(text: str) -> int:
    """The line where nesting goes too deep, or 0. Asked before composing, which recurses."""
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                return _number(event.start_mark)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
    return 0


def _line(error: yaml.YAMLError, text: str) -> int:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    if mark is not None:
        return _number(mark)
    return text.count("\n", 0, getattr(error, "position", 0) or 0) + 1


def _number(mark: Any) -> int:
    """A mark's line, counted from 1 as editors do."""
    return int(mark.line) + 1


def _say(error: yaml.YAMLError) -> str:
    """What the parser says, without the words it quotes from the file: they may be a secret."""
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "cannot be read"
    return "not valid YAML: " + _QUOTED.sub(r"\1…\1", str(problem))


class _Reader:
    """Turns composed nodes into plain values."""

    def __init__(self, document: Document, mistakes: Mistakes, scalar: Scalar) -> None:
        self._document = document
        self._mistakes = mistakes
        self._scalar = scalar
        self._nodes = 0
        self._open: set[int] = set()  # nodes being read: an alias to one of them is a circle

    def read(self, node: yaml.Node, path: KeyPath) -> Any:
        """The value of `node`. Its place is where the caller put it, or the node's own line."""
        place = self._document.places.setdefault(path, Place(self._document.source, _number(node.start_mark)))
        self._nodes += 1
        if self._nodes > MAX_NODES:
            if self._nodes == MAX_NODES + 1:
                self._mistakes.add(place, (), f"more than {MAX_NODES} values, aliases included")
            return None
        if node.tag not in _PLAIN_TAGS or len(path) > MAX_DEPTH:
            wrong = "YAML tags are not supported" if node.tag not in _PLAIN_TAGS else f"nested deeper than {MAX_DEPTH} levels"
            self._mistakes.add(place, path, wrong)
            return None
        if isinstance(node, yaml.ScalarNode):
            text = str(node.value)
            return None if not node.style and text in _NULLS else self._scalar(path, text)
        if id(node) in self._open:
            self._mistakes.add(place, path, "an alias to a value that contains it")
            return None
        self._open.add(id(node))
        value = self._mapping(node, path) if isinstance(node, yaml.MappingNode) else self._sequence(node, path)
        self._open.discard(id(node))
        return value

    def _sequence(self, node: yaml.Node, path: KeyPath) -> list[Any]:
        return [self.read(item, (*path, index)) for index, item in enumerate(node.value)]

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        values: dict[str, Any] = {}
        seen: dict[str, int] = {}
        for key, item in node.value:
            place = Place(self._document.source, _number(key.start_mark))
            if not isinstance(key, yaml.ScalarNode):
                self._mistakes.add(place, path, "a name must be plain text")
            elif key.value == "<<" and not key.style:
                self._mistakes.add(place, (*path, "<<"), "merge keys are not supported; an alias (*name) is")
            elif "${" in key.value:
                self._mistakes.add(place, (*path, key.value), "a name is not filled in: write it out")
            elif key.value in values:
                self._mistakes.add(place, (*path, key.value), f"written twice, first on line {seen[key.value]}")
            else:
                seen[key.value] = place.line
                self._document.places[*path, key.value] = place
                values[key.value] = self.read(item, (*path, key.value))
        return values

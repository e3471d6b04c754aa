"""Environment variables that override single settings: `TRUNKLINE_SERVER__LISTEN` is `server.listen`.

A value is taken as it stands, without `${…}`; one that begins with `[` or `{` is read as a list or mapping. Whether the
setting exists is decided by `validate`, as for the file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from trunkline.config.document import Document, parse
from trunkline.config.mistakes import LIKELY_SECRET, KeyPath, Mistakes, Place
from trunkline.config.schema import File

PREFIX = "TRUNKLINE_"
_LINK = re.compile(r"_SERVICE_(HOST|PORT)|_PORT(_\d|$)")
"""What Kubernetes sets for a service, such as TRUNKLINE_SERVER_SERVICE_HOST for one named trunkline-server."""


def override(document: Document, environ: Mapping[str, str], mistakes: Mistakes) -> None:
    """Put every `TRUNKLINE_…__…` variable into the document. Others are not settings, but may be meant as such."""
    for name in sorted(environ):
        if not name.startswith(PREFIX):
            continue
        place = Place(name, 0)
        if "__" not in name:
            _look_at(name, place, mistakes)
            continue
        parts = name.removeprefix(PREFIX).lower().split("__")
        if not all(parts):
            mistakes.add(place, (name,), "must be TRUNKLINE_SECTION__FIELD")
            continue
        text = environ[name]
        if len(text) >= LIKELY_SECRET:
            mistakes.secrets.add(text)
        _put(document, parts, _read(text, name, mistakes), place, mistakes)


def _look_at(name: str, place: Place, mistakes: Mistakes) -> None:
    """Refuse a name that begins like a setting and is none: it would be ignored in silence."""
    section, _, field = name.removeprefix(PREFIX).partition("_")
    if section.lower() in File.model_fields and not _LINK.search(name):
        mistakes.add(place, (name,), f"is no setting; did you mean {PREFIX}{section}__{field or 'FIELD'}?")


def _read(text: str, name: str, mistakes: Mistakes) -> Any:
    if not text.startswith(("[", "{")):
        return text
    return parse(text.encode("utf-8", "surrogateescape"), name, mistakes, lambda _path, scalar: scalar).value


def _put(document: Document, parts: list[str], value: Any, place: Place, mistakes: Mistakes) -> None:
    if not isinstance(document.value, dict):
        return  # the file is no mapping; that is reported
    node: Any = document.value
    path: KeyPath = ()
    for depth, part in enumerate(parts):
        key = _key(node, part)
        if key is None:
            mistakes.add(place, (place.file,), "what it names is not a mapping, or no such item of a list")
            return
        path = (*path, key)
        if depth == len(parts) - 1:
            _set(node, key, value)
            document.put(path, place)
            return
        child = node[key] if key in node or (isinstance(key, int) and key < len(node)) else None
        if child is None:
            child = [] if parts[depth + 1].isdecimal() else {}
            _set(node, key, child)
            document.put(path, place)
        node = child


def _key(node: Any, part: str) -> str | int | None:
    """The key in `node` that `part` means: names are matched without regard to case and to what an identifier lacks."""
    if isinstance(node, list):
        return int(part) if re.fullmatch(r"\d{1,4}", part, re.ASCII) and int(part) <= len(node) else None
    if not isinstance(node, dict):
        return None
    if part in node:
        return part
    return next((name for name in node if re.sub(r"[^a-z0-9]", "_", name.lower()) == part), part)


def _set(node: Any, key: str | int, value: Any) -> None:
    if isinstance(node, list) and key == len(node):
        node.append(value)
    else:
        node[key] = value

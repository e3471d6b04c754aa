"""The arguments of a function call that Vertex streams in pieces (`streamFunctionCallArguments`), put together again."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import msgspec

from trunkline.canon.chat import Json

_STEP = re.compile(r"""\.([^.\[\]]+)|\[(\d{1,9})\]|\['([^']*)'\]|\["([^"]*)"\]""")
_VALUES = ("stringValue", "numberValue", "boolValue")


class _Pieces:
    """A text that grows, put together only at the end."""

    def __init__(self, first: str) -> None:
        self.pieces = [first]

    def __iter__(self) -> Iterator[str]:
        return iter(self.pieces)


class PartialArguments:
    """Grows by the pieces of one call."""

    def __init__(self) -> None:
        self._root: dict[str, Any] = {}

    def add(self, call: Json) -> None:
        """One `functionCall`: whole `args`, or `partialArgs`. A piece that says nothing is passed over."""
        args, pieces = call.get("args"), call.get("partialArgs")
        if isinstance(args, dict):
            self._root |= args
        for piece in pieces if isinstance(pieces, list) else []:
            if isinstance(piece, dict) and isinstance(piece.get("jsonPath"), str):
                self._put(piece["jsonPath"], piece)

    def text(self) -> str:
        """The JSON object as text."""
        return msgspec.json.encode(self._root, enc_hook="".join).decode()

    def _put(self, path: str, piece: Json) -> None:
        value = next((piece[name] for name in _VALUES if name in piece), None)
        steps = [int(found[2]) if found[2] else found[1] or found[3] or found[4] or "" for found in _STEP.finditer(path)]
        if not steps:
            return
        holder: Any = self._root
        for step, following in pairwise(steps):
            holder = _inside(holder, step, [] if isinstance(following, int) else {})
        _place(holder, steps[-1], value)


def _inside(holder: Any, step: int | str, empty: Any) -> Any:
    """What stands at a step, made where nothing does."""
    if isinstance(step, int) and isinstance(holder, list):
        if step >= len(holder):
            holder.append(empty)
        return holder[min(step, len(holder) - 1)]
    return holder.setdefault(str(step), empty) if isinstance(holder, dict) else None


def _place(holder: Any, step: int | str, value: Any) -> None:
    """Put a value where it belongs; a text goes on where there is one. Lists grow by one, whatever number is told."""
    if isinstance(holder, list) and isinstance(step, int):
        if step < len(holder):
            holder[step] = _joined(holder[step], value)
        else:
            holder.append(_joined(None, value))
    elif isinstance(holder, dict):
        holder[str(step)] = _joined(holder.get(str(step)), value)


def _joined(before: Any, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if not isinstance(before, _Pieces):
        return _Pieces(before + value if isinstance(before, str) else value)
    before.pieces.append(value)
    return before

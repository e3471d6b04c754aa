"""Two requests mean the same: `asked.Asked` without what spelling, merging and renaming may change.

What may differ is said here, and nowhere else: where a text is cut into parts, which ids calls have, how a schema is spelled.
"""

from __future__ import annotations

import base64
from typing import Any

from conformance.asked import Asked, Item
from conformance.said import Json, decoded
from conformance.saying import merged, numbered

_KEPT = ("type", "properties", "required", "items", "enum", "description", "anyOf")


def plain(asked: Asked) -> Json:
    """A request's meaning, to be compared with `==`."""
    return {
        "system": _bare("".join(asked.system)),
        "turns": turns(asked),
        "tools": [(tool.name, _bare(tool.description), schema(tool.schema)) for tool in asked.tools],
        "choice": asked.choice or "auto",
        "max_tokens": asked.max_tokens,
        "temperature": asked.temperature,
        "top_p": asked.top_p,
        "top_k": asked.top_k,
        "seed": asked.seed,
        "stop": asked.stop,
        "thinks": asked.thinks,
        "schema": schema(asked.schema) if asked.schema else None,
        "json": asked.json,
    }


def effective(asked: Asked) -> Asked:
    """With no more tools than may be called: where an API has no word for a choice, what cannot be called is left out."""
    if asked.choice == "none" or not asked.tools:
        return asked._replace(tools=(), choice="none")
    if asked.choice in {"", "auto", "required"}:
        return asked
    return asked._replace(tools=tuple(tool for tool in asked.tools if tool.name == asked.choice), choice="required")


def turns(asked: Asked) -> list[tuple[Any, ...]]:
    """The conversation, flat: who said what, calls by their number, texts of one speaker in one."""
    found: list[tuple[Any, ...]] = []
    calls: dict[str, int] = {}
    for turn in merged(numbered(asked).turns):
        for item in turn.items:
            match item.kind:
                case "text":
                    if found and found[-1][:2] == (turn.role, "text"):
                        found[-1] = (turn.role, "text", found[-1][2] + _bare(item.text))
                    elif _bare(item.text):
                        found.append((turn.role, "text", _bare(item.text)))
                case "call":
                    calls[item.id] = len(calls)
                    found.append((turn.role, "call", item.text, item.arguments, calls[item.id]))
                case "result":
                    found.append((turn.role, "result", calls.get(item.id), _result(item)))
                case "image" | "document":
                    found.append((turn.role, item.kind, item.data))
                case _:
                    pass  # thinking: only its own family takes it back, which is what `test_turns` is about
    return found


def _result(item: Item) -> str:
    """Where an API cannot say that a tool failed, its words begin so."""
    text = _bare(_plainly(item.text)).removeprefix("Error:")
    return f"Error:{text}" if item.failed or _bare(item.text).startswith("Error:") else text


def _plainly(text: str) -> str:
    """Without the object that Google's API puts around a result."""
    told = decoded(text) if text.startswith('{"output":') else None
    return str(told["output"]) if isinstance(told, dict) and list(told) == ["output"] else text


def arrived(want: Asked, got: Asked) -> bool:
    """The same conversation, where what one API knows as a document or as a source may stand as text in another."""
    pairs = list(zip(turns(_told(want)), turns(_told(got)), strict=False))
    return len(turns(_told(want))) == len(turns(_told(got))) and all(
        mine[:-1] == theirs[:-1] and (mine[-1] in theirs[-1] if isinstance(mine[-1], str) else mine[-1] == theirs[-1])
        for mine, theirs in pairs
    )


def _told(asked: Asked) -> Asked:
    """Documents of plain text as the texts they are."""

    def text(item: Item) -> Item:
        plain = item.kind == "document" and item.media_type == "text/plain"
        return Item("text", item.name + base64.b64decode(item.data).decode()) if plain else item

    found = (turn._replace(items=tuple(map(text, turn.items))) for turn in asked.turns)
    return asked._replace(turns=tuple(found))


def schema(found: Any) -> Any:
    """The words that every API keeps; types in small letters; a type or null, however that is spelled."""
    if not isinstance(found, dict):
        return found
    kept = {name: found[name] for name in _KEPT if found.get(name) not in (None, [], {}) and name != "properties"}
    kept["properties"] = {name: schema(inner) for name, inner in (found.get("properties") or {}).items()}
    kind = found.get("type")
    if isinstance(kind, str):
        kept["type"] = kind.lower()
    if found.get("nullable"):
        kept["type"] = [kept["type"], "null"]
    for name in ("items", "anyOf"):
        if name in kept:
            kept[name] = [schema(inner) for inner in kept[name]] if isinstance(kept[name], list) else schema(kept[name])
    if "required" in kept:
        kept["required"] = sorted(kept["required"])
    if not kept["properties"]:
        del kept["properties"]
        return {} if kept.get("type") == "object" and len(kept) == 1 else kept
    return kept


def _bare(text: str) -> str:
    return "".join(text.split())

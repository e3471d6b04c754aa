"""The JSON Schema that Anthropic and Bedrock take for an answer's form and for strict tools: a subset, made from any schema.

The rules are those of Anthropic's own SDK (2.11.0, `transform_schema`): every object is closed, `oneOf` is `anyOf`, and a
keyword that is not supported becomes a part of the description, which the model reads. Where that gives up on a schema
without a type, this leaves the type open.
"""

from __future__ import annotations

from typing import Any

from trunkline.canon.chat import Json

# Membership is asked of tuples: a schema's values need not be hashable.
_FORMATS = ("date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid")
_LEVELS = 64
"""A schema nested deeper is left as it is from there on."""


def subset(schema: Json, levels: int = _LEVELS) -> dict[str, Any]:
    """The schema in the subset."""
    if not levels:
        return dict(schema)
    left = dict(schema)
    made: dict[str, Any] = {}
    if isinstance(defs := left.pop("$defs", None) or left.pop("definitions", None), dict):
        made["$defs"] = {name: _inner(one, levels) for name, one in defs.items()}
    if isinstance(ref := left.pop("$ref", None), str):
        return made | {"$ref": ref.replace("#/definitions/", "#/$defs/")}
    kind = _literals(left, made) or _union(left, made, levels)
    for name in ("description", "title"):
        if name in left:
            made[name] = left.pop(name)
    if kind == "object":
        _object(left, made, levels)
    elif kind == "array":
        _array(left, made, levels)
    elif kind == "string" and left.get("format") in _FORMATS:
        made["format"] = left.pop("format")
    left.pop("$schema", None)
    if left:
        told = "{" + ", ".join(f"{name}: {value}" for name, value in left.items()) + "}"
        made["description"] = f"{made['description']}\n\n{told}" if made.get("description") else told
    return made


def _inner(schema: object, levels: int) -> object:
    return subset(schema, levels - 1) if isinstance(schema, dict) else schema


def _literals(left: dict[str, Any], made: dict[str, Any]) -> str:
    """`enum` and `const` say what a value is: no type stands beside them. Non-empty where there are such."""
    enum = left.get("enum")
    if isinstance(enum, list) and enum and all(_is_plain(value) for value in enum):
        made["enum"] = left.pop("enum")
    if "const" in left and _is_plain(left["const"]):
        made["const"] = left.pop("const")
    if not made.keys() & {"enum", "const"}:
        return ""
    left.pop("type", None)
    return "literal"


def _union(left: dict[str, Any], made: dict[str, Any], levels: int) -> str:
    """The type, or the schemas one or all of which must hold."""
    kind = left.pop("type", None)
    for name, written in (("anyOf", "anyOf"), ("oneOf", "anyOf"), ("allOf", "allOf")):
        if isinstance(variants := left.get(name), list):
            made[written] = [_inner(one, levels) for one in variants]
            del left[name]
            return kind if isinstance(kind, str) else ""
    if kind is not None:
        made["type"] = kind
    if isinstance(kind, list):  # such as ["object", "null"]: the keywords are those of the one that is not null
        kind = next((one for one in kind if one in ("object", "array")), "")
    return kind or ("object" if "properties" in left else "")


def _object(left: dict[str, Any], made: dict[str, Any], levels: int) -> None:
    properties = left.pop("properties", None)
    made["properties"] = {n: _inner(one, levels) for n, one in properties.items()} if isinstance(properties, dict) else {}
    left.pop("additionalProperties", None)
    made["additionalProperties"] = False
    if "required" in left:
        made["required"] = left.pop("required")


def _array(left: dict[str, Any], made: dict[str, Any], levels: int) -> None:
    if "items" in left:
        made["items"] = _inner(left.pop("items"), levels)
    if left.get("minItems") in (0, 1):
        made["minItems"] = left.pop("minItems")


def _is_plain(value: object) -> bool:
    return value is None or isinstance(value, str | int | float | bool)

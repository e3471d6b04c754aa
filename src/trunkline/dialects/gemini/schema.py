"""Google's schemas, an OpenAPI 3.0 subset with types in capitals, read as JSON Schema.

Nothing goes the other way: requests are written with `parametersJsonSchema` and `responseJsonSchema`, which are JSON Schema.
A JSON Schema comes out as it went in, so that both spellings are read by the same function: Gemini CLI sends a
`responseJsonSchema` with types in capitals.
"""

from __future__ import annotations

from typing import Any

from trunkline.canon.chat import Json
from trunkline.dialects.google_shape.fields import camel

_MAPS = frozenset({"properties", "$defs", "patternProperties", "definitions"})
_LISTS = frozenset({"anyOf", "oneOf", "allOf", "prefixItems"})
_SINGLE = frozenset({"items", "additionalProperties", "not"})
#: int64 in Google's API, which JSON may tell as text.
_COUNTS = frozenset({"minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"})
_RENAMED = {"defs": "$defs", "ref": "$ref"}


def json_schema(schema: Json) -> dict[str, Any]:
    """The schema as JSON Schema. Its values are not judged."""
    told = {_RENAMED.get(name, name): value for name, value in ((camel(name), value) for name, value in schema.items())}
    found = {
        name: _value(name, value) for name, value in told.items() if name not in {"nullable", "propertyOrdering", "example"}
    }
    if found.get("format") == "enum":
        del found["format"]
    if found.get("type") == "type_unspecified":
        del found["type"]
    if "example" in told:
        found["examples"] = [told["example"]]
    if isinstance(told.get("propertyOrdering"), list) and isinstance(found.get("properties"), dict):
        found["properties"] = _ordered(found["properties"], told["propertyOrdering"])
    return _nullable(found) if told.get("nullable") is True else found


def _value(name: str, value: Any) -> Any:
    if name == "type":
        return [_lower(one) for one in value] if isinstance(value, list) else _lower(value)
    if name in _MAPS and isinstance(value, dict):
        return {key: _inner(one) for key, one in value.items()}
    if name in _LISTS and isinstance(value, list):
        return [_inner(one) for one in value]
    if name in _SINGLE:
        return _inner(value)
    return _plain(name, value) if isinstance(value, str) else value


def _plain(name: str, value: str) -> Any:
    if name in _COUNTS and value.isdecimal():
        return int(value)
    return value.replace("#/defs/", "#/$defs/") if name == "$ref" else value


def _inner(value: Any) -> Any:
    return json_schema(value) if isinstance(value, dict) else value


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _ordered(properties: dict[str, Any], order: list[Any]) -> dict[str, Any]:
    """The properties in the order in which the model is to write them."""
    first = {name: properties[name] for name in order if isinstance(name, str) and name in properties}
    return first | {name: value for name, value in properties.items() if name not in first}


def _nullable(found: dict[str, Any]) -> dict[str, Any]:
    kind = found.get("type")
    if isinstance(kind, str):
        found["type"] = [kind, "null"]
    if isinstance(found.get("enum"), list) and None not in found["enum"]:
        found["enum"] = [*found["enum"], None]
    if isinstance(found.get("anyOf"), list):
        found["anyOf"] = [*found["anyOf"], {"type": "null"}]
    return found

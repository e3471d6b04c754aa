"""Any JSON Schema in the subset that Anthropic and Bedrock take."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.dialects.closed import subset

CLOSED = {"type": "object", "properties": {}, "additionalProperties": False}


@pytest.mark.parametrize(
    ("schema", "taken"),
    [
        ({}, {}),
        ({"type": "object"}, CLOSED),
        ({"properties": {"a": {"type": "null"}}}, {"properties": {"a": {"type": "null"}}, "additionalProperties": False}),
        ({"type": "object", "additionalProperties": True, "$schema": "x"}, CLOSED),
        ({"type": "object", "properties": 7}, CLOSED),
        (
            {"type": "object", "properties": {"a": {"type": "object"}, "b": True}, "required": ["a"], "title": "T"},
            {**CLOSED, "properties": {"a": CLOSED, "b": True}, "required": ["a"], "title": "T"},
        ),
        ({"type": ["object", "null"], "properties": {}}, {**CLOSED, "type": ["object", "null"]}),
        ({"type": ["string", "null"], "maxLength": 3}, {"type": ["string", "null"], "description": "{maxLength: 3}"}),
        ({"type": "integer", "minimum": 1, "description": "n"}, {"type": "integer", "description": "n\n\n{minimum: 1}"}),
        ({"type": "string", "format": "date-time"}, {"type": "string", "format": "date-time"}),
        ({"type": "string", "format": "byte"}, {"type": "string", "description": "{format: byte}"}),
        ({"type": "array", "items": {"type": "object"}, "minItems": 1}, {"type": "array", "items": CLOSED, "minItems": 1}),
        ({"type": "array", "minItems": 2}, {"type": "array", "description": "{minItems: 2}"}),
        ({"oneOf": [{"type": "string"}, {"type": "object"}]}, {"anyOf": [{"type": "string"}, CLOSED]}),
        ({"anyOf": [{"const": 1}], "type": "integer"}, {"anyOf": [{"const": 1}]}),
        ({"allOf": [{"type": "string"}], "type": ["x"]}, {"allOf": [{"type": "string"}]}),
        ({"type": "string", "enum": ["a", None]}, {"enum": ["a", None]}),
        ({"enum": [{"a": 1}]}, {"description": "{enum: [{'a': 1}]}"}),
        ({"type": "string", "const": "a"}, {"const": "a"}),
        ({"$ref": "#/$defs/A", "$defs": {"A": {"type": "object"}}}, {"$ref": "#/$defs/A", "$defs": {"A": CLOSED}}),
        (
            {"$ref": "#/definitions/A", "definitions": {"A": {"enum": [1]}}},
            {"$ref": "#/$defs/A", "$defs": {"A": {"enum": [1]}}},
        ),
    ],
)
def test_a_schema_becomes_one_that_is_taken(schema: dict[str, Any], taken: dict[str, Any]) -> None:
    """A keyword that Anthropic does not know is a 400; as a description the model still reads it."""
    assert subset(schema) == taken


def test_a_schema_nested_without_end_is_cut_off() -> None:
    """A hostile one must not exhaust the stack."""
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(500):
        schema = {"type": "array", "items": schema}
    assert subset(schema)["items"]["items"]["type"] == "array"


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["object", "array", "string", "date", "#/x"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "type",
                    "properties",
                    "items",
                    "anyOf",
                    "enum",
                    "const",
                    "$ref",
                    "$defs",
                    "minItems",
                    "required",
                    "format",
                    "description",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(
    st.dictionaries(st.sampled_from(["type", "properties", "items", "oneOf", "enum", "$defs", "minItems", "format"]), values)
)
def test_any_object_is_a_schema_and_stays_what_it_was(schema: dict[str, Any]) -> None:
    """The provider judges nonsense; the client's own object must not be changed by it."""
    before = repr(schema)
    subset(schema)
    assert repr(schema) == before

"""Google's schemas read as JSON Schema; JSON Schemas come out as they went in."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.dialects.gemini.schema import json_schema

CASES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"type": "STRING", "format": "enum", "enum": ["a"]}, {"type": "string", "enum": ["a"]}),
    ({"type": "STRING", "format": "date-time"}, {"type": "string", "format": "date-time"}),
    ({"type": "TYPE_UNSPECIFIED"}, {}),
    ({"type": "INTEGER", "nullable": True}, {"type": ["integer", "null"]}),
    ({"type": "STRING", "nullable": True, "enum": ["a"]}, {"type": ["string", "null"], "enum": ["a", None]}),
    ({"any_of": [{"type": "STRING"}], "nullable": True}, {"anyOf": [{"type": "string"}, {"type": "null"}]}),
    ({"type": "STRING", "nullable": False}, {"type": "string"}),
    (
        {"type": "ARRAY", "items": {"type": "NUMBER"}, "minItems": "2"},
        {"type": "array", "items": {"type": "number"}, "minItems": 2},
    ),
    ({"type": "STRING", "example": "x", "maxLength": 3}, {"type": "string", "examples": ["x"], "maxLength": 3}),
    (
        {
            "type": "OBJECT",
            "properties": {"b": {"type": "STRING"}, "any_of": {"type": "BOOLEAN"}},
            "property_ordering": ["any_of", 1],
        },
        {"type": "object", "properties": {"any_of": {"type": "boolean"}, "b": {"type": "string"}}},
    ),
    ({"ref": "#/defs/A", "defs": {"A": {"type": "OBJECT"}}}, {"$ref": "#/$defs/A", "$defs": {"A": {"type": "object"}}}),
    ({"type": ["STRING", "NULL"]}, {"type": ["string", "null"]}),
    (
        {"type": "OBJECT", "additionalProperties": True, "properties": 1},
        {"type": "object", "additionalProperties": True, "properties": 1},
    ),
    ({"type": 1, "anyOf": 2, "minItems": "many"}, {"type": 1, "anyOf": 2, "minItems": "many"}),
]


@pytest.mark.parametrize(("schema", "found"), CASES)
def test_a_schema_is_read(schema: dict[str, Any], found: dict[str, Any]) -> None:
    """Every other provider refuses types in capitals and takes `nullable` for nothing."""
    assert json_schema(schema) == found


def test_properties_come_in_the_order_that_the_model_is_to_write_them() -> None:
    """Reasons before the verdict: the order is part of the prompt, and `propertyOrdering` is nobody else's word."""
    told = {"properties": {"verdict": {}, "more": {}, "reasons": {}}, "propertyOrdering": ["reasons", "verdict", "gone", 1]}
    assert list(json_schema(told)["properties"]) == ["reasons", "verdict", "more"]


SCHEMAS = st.recursive(
    st.fixed_dictionaries({"type": st.sampled_from(["string", "integer", "null", "boolean"])}),
    lambda inner: (
        st.fixed_dictionaries(
            {
                "type": st.just("object"),
                "properties": st.dictionaries(st.text(max_size=5), inner, max_size=3),
                "required": st.just([]),
            }
        )
        | st.fixed_dictionaries({"anyOf": st.lists(inner, max_size=2)})
        | st.fixed_dictionaries(
            {"type": st.just("array"), "items": inner, "$defs": st.dictionaries(st.text(max_size=3), inner, max_size=2)}
        )
    ),
    max_leaves=8,
)


@given(SCHEMAS)
def test_a_json_schema_comes_out_as_it_went_in(schema: dict[str, Any]) -> None:
    """`parametersJsonSchema` is JSON Schema already: a property that is called `type` or `any_of` is not a keyword."""
    assert json_schema(schema) == schema

"""Arguments that Vertex streams in pieces."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.dialects.gemini.partial import PartialArguments


def put(*pieces: dict[str, Any]) -> Any:
    """The arguments of these pieces, one in each chunk."""
    grown = PartialArguments()
    for piece in pieces:
        grown.add({"partialArgs": [piece], "willContinue": True})
    return json.loads(grown.text())


@pytest.mark.parametrize(
    ("pieces", "arguments"),
    [
        ([], {}),
        (
            [{"jsonPath": "$.at", "stringValue": "Bos", "willContinue": True}, {"jsonPath": "$.at", "stringValue": "ton"}],
            {"at": "Boston"},
        ),
        (
            [
                {"jsonPath": "$.n", "numberValue": 1.5},
                {"jsonPath": "$.b", "boolValue": False},
                {"jsonPath": "$.x", "nullValue": "NULL_VALUE"},
            ],
            {"n": 1.5, "b": False, "x": None},
        ),
        ([{"jsonPath": "$.a.b", "stringValue": "c"}, {"jsonPath": "$.a.d", "numberValue": 1}], {"a": {"b": "c", "d": 1}}),
        (
            [
                {"jsonPath": "$.l[0].n", "stringValue": "x"},
                {"jsonPath": "$.l[1].n", "stringValue": "y"},
                {"jsonPath": "$.l[1].n", "stringValue": "z"},
            ],
            {"l": [{"n": "x"}, {"n": "yz"}]},
        ),
        (
            [
                {"jsonPath": "$.l[0]", "stringValue": "x"},
                {"jsonPath": "$.l[0]", "stringValue": "y"},
                {"jsonPath": "$.l[7]", "numberValue": 2},
            ],
            {"l": ["xy", 2]},
        ),
        ([{"jsonPath": "$['a b'][\"c\"]", "stringValue": "x"}], {"a b": {"c": "x"}}),
        ([{"jsonPath": "$", "stringValue": "x"}, {"jsonPath": 1}, {}], {}),
        ([{"jsonPath": "$.a", "stringValue": "x"}, {"jsonPath": "$.a.b", "stringValue": "y"}], {"a": "x"}),
        ([{"jsonPath": "$.l[0]", "numberValue": 1}, {"jsonPath": "$.l.x.y", "numberValue": 1}], {"l": [1]}),
    ],
)
def test_pieces_are_put_where_their_paths_say(pieces: list[dict[str, Any]], arguments: Any) -> None:
    """A call with half its arguments is worse than none."""
    assert put(*pieces) == arguments


def test_whole_arguments_and_odd_pieces_are_taken_as_they_come() -> None:
    """A call may begin with some arguments whole."""
    grown = PartialArguments()
    grown.add({"args": {"a": 1}, "partialArgs": 7})
    grown.add({"partialArgs": [1, {"jsonPath": "$.b", "numberValue": 2}]})
    assert json.loads(grown.text()) == {"a": 1, "b": 2}


@given(
    st.lists(
        st.fixed_dictionaries({"jsonPath": st.text("$.[]'\"ab019", max_size=12), "stringValue": st.text(max_size=3)}),
        max_size=8,
    )
)
def test_no_path_breaks_it(pieces: list[dict[str, Any]]) -> None:
    """A provider's text must never crash a reader, nor a number in it make a list of a million."""
    assert isinstance(put(*pieces), dict)
    assert len(json.dumps(put(*pieces))) < 2000

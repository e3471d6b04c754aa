"""The shape of one model's entry."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from trunkline.canon.facts import Facts
from trunkline.config.schema import File
from trunkline.config.schema_models import FactsSpec


@pytest.mark.parametrize(
    "written",
    [
        {"models": {"m": {"targets": []}}},
        {"models": {"m": {"targets": [{"weight": "1"}]}}},
        {"models": {"m": {"targets": ["a/b"], "facts": {"refuses": ["temprature"]}}}},
        {"models": {"m": {"targets": ["a/b"], "facts": {"output_schema": "true"}}}},
        {"models": {"m": {"targets": ["a/b"], "facts": {"version": "1\r\nx: y"}}}},
        {"models": {"m": {"targets": ["a/b"], "unsupported": "silent"}}},
    ],
)
def test_shapes_that_are_refused(written):
    """A setting with a slip of the pen would be ignored in silence."""
    with pytest.raises(ValidationError):
        File.model_validate(written)


def test_every_fact_can_be_overridden():
    """A new fact could not be mended by the operator who finds that it is wrong."""
    written = {field.alias or name for name, field in FactsSpec.model_fields.items()}
    assert written == set(Facts.__struct_fields__)


def test_only_what_is_written_overrides():
    """One written fact would put all the others back to what holds for any model."""
    assert FactsSpec().given() == {}
    assert FactsSpec.model_validate({"schema": "false", "reasoning_field": "none", "context": "8192"}).given() == {
        "context": 8192,
        "schema": False,
        "reasoning_field": "",
    }

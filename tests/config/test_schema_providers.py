"""The shape of one provider's entry."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from trunkline.config.schema import File


@pytest.mark.parametrize(
    "written",
    [
        {"providers": {"a/b": {}}},
        {"providers": {"a": {"headers": {"X-A": "1", "x-a": "2"}}}},
        {"providers": {"a": {"betas": ["a b"]}}},
        {"providers": {"a": {"betas": ["a,b"]}}},
        {"providers": {"a": {"auth": "none"}}},
        {"providers": {"a": {"facts": {"x": {"thinks": "maybe"}}}}},
    ],
)
def test_shapes_that_are_refused(written):
    """A setting with a slip of the pen would be ignored in silence."""
    with pytest.raises(ValidationError):
        File.model_validate(written)


def test_secrets_do_not_show_themselves():
    """A debug log of the configuration would hold every key."""
    file = File.model_validate(
        {
            "providers": {"a": {"api_key": "hunter2-hunter2", "headers": {"x": "hunter2"}, "proxy": "http://u:hunter2@p"}},
            "keys": [{"name": "k", "secret": "hunter2-hunter2-hunter2"}],
        }
    )
    assert "hunter2" not in repr(file)

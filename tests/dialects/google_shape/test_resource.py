"""Models in Google's URLs."""

from __future__ import annotations

import pytest

from trunkline.dialects.google_shape.resource import path, resource


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("gemini-embedding-001", "/models/gemini-embedding-001:embedContent"),
        ("models/m", "/models/m:embedContent"),
        ("tunedModels/mine", "/tunedModels/mine:embedContent"),
        ("a/b:c", "/models/a%2Fb%3Ac:embedContent"),
    ],
)
def test_a_model_is_one_segment(model: str, expected: str) -> None:
    """Else a model's name could lead to another place of the provider's API."""
    assert path(model, "embedContent") == expected


def test_a_bare_name_gets_its_collection() -> None:
    """Google names models so inside bodies."""
    assert (resource("m"), resource("tunedModels/m")) == ("models/m", "tunedModels/m")

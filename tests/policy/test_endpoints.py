"""The names that keys are limited to."""

from __future__ import annotations

import pytest

from trunkline.dialects.families import NAMES
from trunkline.gateway.endpoints import _ACTIONS, DATA, find
from trunkline.policy.endpoints import ENDPOINTS, named


def test_every_door_has_its_name_here() -> None:
    """A door that is missing could be given to nobody; a name that has no door would be a key for nothing."""
    found = {endpoint.name for endpoint in DATA.values() if not endpoint.public} | {*NAMES}
    for path in ("/v1/models/m", "/v1beta/models/m", *(f"/v1beta/models/m:{action}" for action in _ACTIONS)):
        for method in ("GET", "POST"):
            endpoint = find(method, path, b"", {})
            assert endpoint is not None
            found.add(endpoint.name)
    assert found == {*ENDPOINTS}
    assert len(ENDPOINTS) == len({*ENDPOINTS})


@pytest.mark.parametrize(
    ("glob", "names"),
    [
        ("embeddings", ["embeddings"]),
        ("chat.*", ["chat.completions"]),
        ("messages*", ["messages", "messages.count_tokens"]),
        ("CHAT.*", []),
        ("chat", []),
        ("", []),
    ],
)
def test_what_a_glob_means(glob: str, names: list[str]) -> None:
    """A key for embeddings must not open chat."""
    assert named(glob) == names


def test_everything() -> None:
    """One star is all of them."""
    assert named("*") == [*ENDPOINTS]

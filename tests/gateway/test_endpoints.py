"""Paths are what they are: exact, or nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.gateway.endpoints import ADMIN, DATA, find


@pytest.mark.parametrize("path", DATA)
def test_each_door_is_found(path: str) -> None:
    """Every endpoint of the table answers at its path."""
    assert find(path) == (DATA[path], "")


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ("/v1/models/gpt-4.1", "gpt-4.1"),
        ("/v1/models/lab/tiny", "lab/tiny"),
        ("/v1/models/lab%2Ftiny", "lab/tiny"),
        ("/v1/models/a%20b%25", "a b%"),
        ("/v1/models/%C3%A9", "é"),
        ("/v1/models/%ff", "\ufffd"),
        ("/v1/models/..", ".."),
    ],
)
def test_a_model_by_id(path: str, model: str) -> None:
    """Ids hold slashes, and clients escape them or not."""
    found = find(path)
    assert found is not None
    assert (found[0].name, found[1]) == ("model", model)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "*",
        "/",
        "/v1",
        "/v1/",
        "/v1/models/",
        "//v1/models",
        "/v1//models",
        "/v1/./models",
        "/x/../v1/models",
        "/v1/%6dodels",
        "/v1%2fmodels",
        "/V1/models",
        "/v1/chat/completions/",
        "/v1/chat/completions;x",
        "/v1/chat/completions%00",
        "/v1/chat/completions ",
        "/v1\\chat\\completions",
        "/healthz/",
        "/healthz/../v1/chat/completions",
        "/metrics",
        "/admin",
    ],
)
def test_anything_else_is_nothing(path: str) -> None:
    """A path that only resembles an endpoint must never be taken for it: its key check would be somebody else's."""
    assert find(path) is None


@given(st.text(alphabet="/v1modelschatcompletions.%2fA;\\\x00", max_size=30))
def test_nothing_is_normalised(path: str) -> None:
    """Only the paths of the table, and what stands below /v1/models/, are found."""
    assert (find(path) is not None) == (path in DATA or (path.startswith("/v1/models/") and path != "/v1/models/"))


def test_only_probes_are_public() -> None:
    """What needs no key tells nothing but life."""
    assert {path for path, endpoint in DATA.items() if endpoint.public} == {"/healthz", "/readyz"}
    assert "/metrics" not in DATA
    assert set(ADMIN) == {"/healthz", "/readyz", "/metrics"}


def test_methods_as_allow_names_them() -> None:
    """RFC 9110 section 10.2.1: the field lists what the resource takes; HEAD goes with GET."""
    assert DATA["/v1/models"].methods == ("GET", "HEAD")
    assert DATA["/v1/chat/completions"].methods == ("POST",)

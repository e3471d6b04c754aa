"""The endpoints that only pass, as data."""

from __future__ import annotations

import pytest

from trunkline.dialects.families import FAMILIES, at, below
from trunkline.providers.catalog import catalog


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("/v1/audio/speech", ["audio.speech"]),
        ("/v1/files", ["files.create", "files.list"]),
        ("/v1/files/file-abc", ["files.retrieve", "files.delete"]),
        ("/v1/files/file-abc/content", ["files.content"]),
        ("/v2/rerank", ["rerank"]),
        ("/v1/responses/compact", ["responses.compact"]),
        ("/v1/responses/resp_1", ["responses.retrieve", "responses.delete"]),
        ("/v1/batches/batch_1/cancel", ["batches.cancel"]),
    ],
)
def test_a_path_has_an_endpoint_for_each_method(path: str, names: list[str]) -> None:
    """SDKs find what they call."""
    assert [row.name for row in at(path)] == names


@pytest.mark.parametrize(
    "path",
    [
        "/v1/files/", "/v1/files/..", "/v1/files/../models", "/v1/files/a/b", "/v1/files/%2e%2e", "/v1/files/a?b", "/v3/rerank",
        "/v1/files/a\n", "/v1/audio", "/v1/audio/speech/", "/v1/files/" + "a" * 300, "/v1/responses", "/v1/files/é",
    ],
)  # fmt: skip
def test_nothing_else_passes(path: str) -> None:
    """An id is an id: no path of a provider's that we do not know can be reached through one."""
    assert at(path) == ()


def test_the_version_belongs_to_the_base() -> None:
    """A provider's base path has it already."""
    assert below("/v1/files/v1/content") == "/files/v1/content"
    assert below("/v2/rerank") == "/rerank"


def test_rows_of_the_catalogue_name_families_that_there_are() -> None:
    """A misspelt family would be one that nobody has."""
    assert {family for row in catalog().values() for family in row.families} <= FAMILIES

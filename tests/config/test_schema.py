"""The shape of the file, its defaults and its published JSON Schema."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from trunkline.config.schema import File, Server, json_schema

PUBLISHED = Path(__file__).parents[2] / "docs" / "trunkline.schema.json"


def test_the_published_schema_is_current():
    """Editors would mark right settings as wrong. Mend with: trunkline check --json-schema > docs/trunkline.schema.json."""
    assert json.loads(PUBLISHED.read_text(encoding="utf-8")) == json_schema()


def test_defaults_are_those_of_the_contract():
    """Who relies on the documented defaults would get others."""
    server = Server()
    assert (server.listen, server.admin) == (("127.0.0.1", 4000), ("127.0.0.1", 4001))
    assert (server.limits.max_header, server.limits.max_body) == (64 * 1024, 32 * 1024 * 1024)
    limits = server.limits
    assert (limits.header_timeout, limits.body_grace, limits.body_min_rate, limits.keep_alive) == (10.0, 10.0, 1024, 75.0)
    assert (limits.stall_timeout, limits.max_connections, limits.max_connections_per_ip) == (60.0, 10_000, None)
    assert limits.max_requests == 10_000
    assert (server.drain_timeout, server.drain_grace) == (30.0, 0.0)
    assert server.media.model_dump() == {"enabled": True, "max_size": 20 * 1024 * 1024, "timeout": 10.0, "allow_http": False}
    assert server.memory.model_dump() == {"max_size": 64 * 1024 * 1024, "ttl": 3600.0}
    file = File()
    assert (file.log.format, file.log.level, file.ledger.required) == ("auto", "info", False)


def test_blank_sections_are_empty_ones():
    """Switching off the last line below `providers:` would make the file wrong."""
    file = File.model_validate(dict.fromkeys(("server", "log", "ledger", "providers", "models", "keys")))
    assert file == File()
    assert File.model_validate({"providers": {"openai": None}}).providers["openai"].headers == {}


@pytest.mark.parametrize("name", list(File.model_fields))
def test_editors_take_blank_sections_too(name: str):
    """Editors would mark what `trunkline init` writes as wrong."""
    schema = json_schema()["properties"][name]
    if "$ref" in schema:
        schema = json_schema()["$defs"][schema["$ref"].rpartition("/")[2]]
    assert "null" in schema.get("type", ()) or {"type": "null"} in schema.get("anyOf", ())


@pytest.mark.parametrize(
    "written",
    [
        {"server": {"x": "1"}},
        {"keys": [{}]},
        {"keys": {}},
        [],
    ],
)
def test_shapes_that_are_refused(written):
    """A setting with a slip of the pen would be ignored in silence."""
    with pytest.raises(ValidationError):
        File.model_validate(written)

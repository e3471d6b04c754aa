"""The shape of the file, its defaults and its published JSON Schema."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from trunkline.canon.facts import Facts
from trunkline.config.schema import FactsSpec, File, Server, json_schema

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
    assert "null" in schema["type"]


@pytest.mark.parametrize(
    "written",
    [
        {"server": {"x": "1"}},
        {"providers": {"a/b": {}}},
        {"providers": {"a": {"headers": {"X-A": "1", "x-a": "2"}}}},
        {"models": {"m": {"targets": []}}},
        {"models": {"m": {"targets": [{"weight": "1"}]}}},
        {"models": {"m": {"targets": ["a/b"], "facts": {"refuses": ["temprature"]}}}},
        {"models": {"m": {"targets": ["a/b"], "facts": {"output_schema": "true"}}}},
        {"models": {"m": {"targets": ["a/b"], "facts": {"version": "1\r\nx: y"}}}},
        {"models": {"m": {"targets": ["a/b"], "unsupported": "silent"}}},
        {"providers": {"a": {"betas": ["a b"]}}},
        {"providers": {"a": {"betas": ["a,b"]}}},
        {"providers": {"a": {"auth": "none"}}},
        {"providers": {"a": {"facts": {"x": {"thinks": "maybe"}}}}},
        {"keys": [{}]},
        {"keys": {}},
        [],
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

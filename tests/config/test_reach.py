"""How a provider is reached, where `test_providers` does not look."""

from __future__ import annotations

from pathlib import Path

from trunkline.config import values
from trunkline.config.mistakes import KeyPath
from trunkline.config.reach import Context, existing_file, origin, proxy
from trunkline.config.schema_providers import ProviderSpec

HERE: KeyPath = ("providers", "x")


def context(base: Path, environ: dict[str, str] | None = None) -> tuple[Context, list[str]]:
    told: list[str] = []

    def tell(path: KeyPath, message: str) -> None:
        told.append(f"{'.'.join(map(str, path))}: {message}")

    return Context(environ or {}, base, tell, tell), told


def test_files_are_found_beside_the_configuration(tmp_path: Path) -> None:
    """A relative path would depend on where the program was started."""
    (tmp_path / "here.pem").write_text("")
    where, told = context(tmp_path)
    assert existing_file("here.pem", HERE, where) == str(tmp_path / "here.pem")
    assert existing_file("away.pem", HERE, where) == str(tmp_path / "away.pem")
    assert existing_file("x" * 5000, HERE, where)
    assert told == ["providers.x: there is no such file"] * 2


def test_a_proxy_is_for_the_address_that_is_called(tmp_path: Path) -> None:
    """A token server behind NO_PROXY would be asked through the proxy, or the other way round."""
    environ = {"https_proxy": "http://u:p@proxy:3128", "no_proxy": "oauth2.googleapis.com"}
    where, told = context(tmp_path, environ)
    assert proxy(values.endpoint("https://oauth2.googleapis.com/token"), None, HERE, where) is None
    found = proxy(values.endpoint("https://aiplatform.googleapis.com"), None, HERE, where)
    assert found is not None
    assert (found.host, found.port, found.authorization) == ("proxy", 3128, b"Basic dTpw")
    assert told == []


def test_an_origin_has_what_was_written(tmp_path: Path) -> None:
    """A pool would have another bound than the operator set."""
    where, told = context(tmp_path)
    spec = ProviderSpec.model_validate({"pool": {"max_connections": 3}, "tls": {"verify": False}})
    made = origin(values.endpoint("http://127.0.0.1:9"), spec, HERE, where)
    assert (made.scheme, made.host, made.port, made.max_connections, made.proxy) == ("http", "127.0.0.1", 9, 3, None)
    assert [line.partition(": ")[0] for line in told] == ["providers.x.tls", "providers.x.tls.verify"]


def test_a_pools_least_is_not_above_its_most(tmp_path: Path) -> None:
    """A small pool needs no second setting; one that contradicts itself is a mistake, told with its place."""
    where, told = context(tmp_path)
    endpoint = values.endpoint("https://h")
    small = ProviderSpec.model_validate({"pool": {"max_connections": 3}})
    made = origin(endpoint, small, HERE, where)
    assert (made.provider, made.min_connections, made.max_connections, told) == ("x", 3, 3, [])
    origin(endpoint, ProviderSpec.model_validate({"pool": {"min_connections": 4, "max_connections": 3}}), HERE, where)
    assert told == ["providers.x.pool.min_connections: is more than max_connections (3)"]

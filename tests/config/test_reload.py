"""What a configuration that is read again changes, and what it does not."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trustme
import yaml
from hypothesis import given
from hypothesis import strategies as st

from trunkline.config.mistakes import ConfigError
from trunkline.config.reload import SETTLED, Mark, Settling, Source, change
from trunkline.config.schema import json_schema
from trunkline.config.snapshot import Snapshot
from trunkline.edge.tls import client_context

KEY = "tl-a-key-for-the-reload-0123456789"
BASE: dict[str, Any] = {
    "server": {"listen": "127.0.0.1:4000"},
    "providers": {"lab": {"kind": "openai", "base_url": "http://127.0.0.1:9/v1", "api_key": "none"}},
    "models": {"m": {"targets": ["lab/tiny"]}},
    "keys": [{"name": "laptop", "secret": KEY}],
}


def written(folder: Path, **sections: Any) -> Source:
    """A file of the usual sections with these in place of theirs."""
    file = folder / "trunkline.yaml"
    file.write_text(yaml.safe_dump(BASE | sections))
    file.chmod(0o600)
    return Source(file, {})


def snapshot(folder: Path, **sections: Any) -> Snapshot:
    """What such a file says."""
    return written(folder, **sections).load()


def test_what_came_what_went_and_what_is_another(tmp_path: Path) -> None:
    """An operator reads in one line whether the change is the one that was meant."""
    old = snapshot(tmp_path)
    new = snapshot(
        tmp_path,
        providers={"lab": BASE["providers"]["lab"], "more": {"kind": "ollama"}},
        models={"n": {"targets": ["lab/tiny"]}, "m": {"targets": ["more/tiny"]}},
        keys=[{"name": "phone", "secret": f"{KEY}-2"}],
        log={"level": "debug"},
        ledger={"required": True},
    )
    found = change(old, new)
    assert found.told() == {
        "providers_added": "more",
        "models_added": "n",
        "models_changed": "m",
        "keys_added": "phone",
        "keys_removed": "laptop",
        "settings": "log.level, ledger.required",
    }
    assert (found.later, found.snapshot) == ((), new)


def test_the_same_is_no_change(tmp_path: Path) -> None:
    """A signal for the keys alone must not be told as a change, nor make anything anew."""
    found = change(snapshot(tmp_path), snapshot(tmp_path))
    assert (found.told(), found.later) == ({}, ())


STARRED = {"tiny-*": {"targets": ["lab/tiny-*"]}}


def test_models_with_a_star_change_too(tmp_path: Path) -> None:
    """A change of nothing but them would be taken for none, and never hold."""
    old = snapshot(tmp_path, models=STARRED)
    moved = {"tiny-*": {"targets": ["lab/large-*"], "aliases": ["little-*"]}}
    found = change(old, snapshot(tmp_path, models=moved))
    assert found.told() == {"models_added": "little-*", "models_changed": "tiny-*"}
    made = found.snapshot.route("tiny-9")
    assert made is not None
    assert made.targets[0].model == "large-9"


def test_models_with_a_star_are_models(tmp_path: Path) -> None:
    """Where they are all there is, a file without them is half-written; and one with nothing but them is not."""
    named, starred, none = snapshot(tmp_path), snapshot(tmp_path, models=STARRED), snapshot(tmp_path, models={})
    assert change(named, starred).told() == {"models_added": "tiny-*", "models_removed": "m"}
    with pytest.raises(ConfigError, match="there are none any more"):
        change(starred, none)


def test_nothing_of_a_configuration_changes_unseen(tmp_path: Path) -> None:
    """A part that is not compared would be told as unchanged, and wait for a restart in silence."""
    told = {"server", "log", "ledger", "store", "providers", "routes", "patterns", "principals", "keys", "holders", "prices"}
    told |= {"tokens", "alerts", "redis"}
    follows = {"source", "warnings", "client_secrets", "remembered"}  # from the others, or from where it is read
    assert told | follows == {*Snapshot.__struct_fields__}


def test_routes_found_on_the_way_are_no_change(tmp_path: Path) -> None:
    """What clients asked for under `provider/model` is not part of the configuration."""
    old = snapshot(tmp_path)
    assert old.route("lab/other") is not None
    assert change(old, snapshot(tmp_path)).told() == {}


def test_a_provider_changes_its_models(tmp_path: Path) -> None:
    """They go elsewhere now, though their own lines are the same."""
    moved = {"lab": BASE["providers"]["lab"] | {"base_url": "http://127.0.0.1:8/v1"}}
    found = change(snapshot(tmp_path), snapshot(tmp_path, providers=moved))
    assert found.told() == {"providers_changed": "lab", "models_changed": "m"}


def test_a_certificate_that_was_replaced_is_another(tmp_path: Path) -> None:
    """Renewed under the same name, it would be shown and trusted as it was until the restart."""
    pem = tmp_path / "ca.pem"
    trusting = {"lab": BASE["providers"]["lab"] | {"base_url": "https://127.0.0.1:9/v1", "tls": {"ca": "ca.pem"}}}
    seen = []
    for turn in range(3):
        if turn != 1:
            trustme.CA().cert_pem.write_to_path(pem)
        seen.append(snapshot(tmp_path, providers=trusting))
    assert change(seen[0], seen[1]).told() == {}
    assert change(seen[1], seen[2]).told() == {"providers_changed": "lab", "models_changed": "m"}
    contexts = [client_context(one.providers["lab"].origin.tls) for one in seen]
    assert [context.get_ca_certs() == contexts[0].get_ca_certs() for context in contexts] == [True, True, False]


def test_the_folder_a_container_mounts(tmp_path: Path) -> None:
    """Kubernetes replaces all of a ConfigMap by one link: the file is the same name by then, and another file."""
    for version in ("..1", "..2"):
        (tmp_path / version).mkdir()
        written(tmp_path / version, log={"level": "debug" if version == "..2" else "info"})
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "trunkline.yaml").symlink_to("..data/trunkline.yaml")
    source = Source(tmp_path / "trunkline.yaml", {})
    assert source.load().log.level == "info"
    (tmp_path / "..fresh").symlink_to("..2")
    (tmp_path / "..fresh").rename(tmp_path / "..data")
    assert source.look() != source.read
    assert source.load().log.level == "debug"


@pytest.mark.parametrize(
    ("section", "later"),
    [
        ({"server": {"listen": "127.0.0.1:4999"}}, "server.listen"),
        ({"server": {"listen": "127.0.0.1:4000", "admin": "127.0.0.1:4999"}}, "server.admin"),
        ({"server": {"listen": "127.0.0.1:4000", "cors": {"origins": ["https://a.example"]}}}, "server.cors.origins"),
        ({"server": {"listen": "127.0.0.1:4000", "limits": {"max_body": 9}}}, "server.limits.max_body"),
        ({"server": {"listen": "127.0.0.1:4000", "limits": {"keep_alive": 9}}}, "server.limits.keep_alive"),
        ({"server": {"listen": "127.0.0.1:4000", "media": {"enabled": False}}}, "server.media.enabled"),
        ({"server": {"listen": "127.0.0.1:4000", "memory": {"max_size": 9}}}, "server.memory.max_size"),
        ({"log": {"format": "pretty"}}, "log.format"),
        ({"store": {"url": "postgresql://u:p@h/x"}}, "store.url"),
        ({"redis": {"url": "redis://h"}}, "redis.url"),
    ],
)
def test_what_waits_for_the_next_start(tmp_path: Path, section: dict[str, Any], later: str) -> None:
    """A setting that silently does nothing sends an operator looking for hours; one half in force is worse."""
    old = snapshot(tmp_path)
    found = change(old, snapshot(tmp_path, **section))
    assert (found.told(), found.later) == ({}, (later,))
    assert (found.snapshot.server, found.snapshot.log, found.snapshot.store) == (old.server, old.log, old.store)


@pytest.mark.parametrize(
    ("server", "name"),
    [
        ({"drain_timeout": 3}, "server.drain_timeout"),
        ({"drain_grace": 3}, "server.drain_grace"),
        ({"watch": False}, "server.watch"),
        ({"limits": {"max_upload": 3}}, "server.limits.max_upload"),
    ],
)
def test_what_holds_at_once(tmp_path: Path, server: dict[str, Any], name: str) -> None:
    """What is looked up when it is needed, follows; the listeners' part does not with it."""
    old = snapshot(tmp_path)
    new = snapshot(tmp_path, server={"listen": "127.0.0.1:4999", **server})
    found = change(old, new)
    assert (found.told(), found.later) == ({"settings": name}, ("server.listen",))
    assert found.snapshot.server.listen == old.server.listen
    assert msgspec.structs.replace(found.snapshot.server, listen=new.server.listen) == new.server


def test_every_setting_of_the_server_has_its_name_in_the_file(tmp_path: Path) -> None:
    """A warning must name the field as it is written, or nobody finds it."""
    old = snapshot(tmp_path)
    server = old.server
    changed = {field: unlike(getattr(server, field)) for field in server.__struct_fields__}
    found = change(old, msgspec.structs.replace(old, server=msgspec.structs.replace(server, **changed)))
    fixed = {f"server.limits.{name}" for name in ("max_headers", "max_url", "write_high")}
    schema = json_schema()
    for name in {*found.later, *found.settings} - fixed:
        node: Any = schema
        for part in name.split("."):
            ref = node.get("$ref") or next((one["$ref"] for one in node.get("anyOf", ()) if "$ref" in one), "")
            node = schema["$defs"][ref.rpartition("/")[2]] if ref else node
            assert part in node["properties"], name
            node = node["properties"][part]


def unlike(value: Any) -> Any:
    """Another value, below it too."""
    if isinstance(value, msgspec.Struct):
        return msgspec.structs.replace(value, **dict.fromkeys(value.__struct_fields__, "another"))
    return "another"


@pytest.mark.parametrize(
    ("sections", "gone"),
    [
        ([], ["providers", "models", "keys"]),
        (["server"], ["providers", "models", "keys"]),
        (["keys"], ["providers", "models"]),
        (["keys", "providers"], ["models"]),
        (["providers", "models"], ["keys"]),
    ],
)
def test_a_file_that_ends_early_is_half_written(tmp_path: Path, sections: list[str], gone: list[str]) -> None:
    """An editor empties a file before it writes it: to follow that would lock every client out."""
    source = written(tmp_path)
    old = source.load()
    assert source.path is not None
    source.path.write_text(yaml.safe_dump({name: BASE[name] for name in sections}) if sections else "# nothing yet\n")
    with pytest.raises(ConfigError) as caught:
        change(old, source.load())
    assert [one.path for one in caught.value.mistakes] == gone
    assert "there are none any more" in str(caught.value)


def test_who_had_nothing_may_go_on_with_nothing(tmp_path: Path) -> None:
    """The first start in an empty folder, with a file that only says where to listen."""
    nothing = {"providers": {}, "models": {}, "keys": []}
    old = snapshot(tmp_path, **nothing)
    assert change(old, snapshot(tmp_path, **nothing, log={"level": "debug"})).told() == {"settings": "log.level"}


def test_a_source_is_the_same_from_the_start_on(tmp_path: Path) -> None:
    """A file that goes, and comes back, is what was asked for; its overrides hold each time."""
    source = written(tmp_path)
    overridden = Source(source.path, {"TRUNKLINE_LOG__LEVEL": "error"})
    assert overridden.load().log.level == "error"
    assert overridden.read == overridden.look()
    assert source.path is not None
    source.path.rename(tmp_path / "away")
    assert overridden.look() is None
    with pytest.raises(ConfigError, match="cannot be read"):
        overridden.load()
    assert overridden.read is None
    (tmp_path / "away").rename(source.path)
    assert overridden.look() is not None
    assert overridden.load().log.level == "error"


def test_without_a_file_there_is_nothing_to_see() -> None:
    """What the environment offered at the start is what there is."""
    source = Source(None, {"OPENAI_API_KEY": "sk-one"}, ollama_running=True)
    assert set(source.load().providers) == {"openai", "ollama", "echo"}
    assert source.look() is None
    assert Source(Path("\0"), {}).look() is None


def test_a_file_that_was_touched_looks_another(tmp_path: Path) -> None:
    """Written in place, replaced by another of the same size and time, made readable again: each is seen."""
    source = written(tmp_path)
    file = source.path
    assert file is not None
    seen = {source.look()}
    file.write_text(file.read_text() + "\n")
    seen.add(source.look())
    at = file.stat()
    (tmp_path / "new").write_text(file.read_text())
    os.utime(tmp_path / "new", ns=(at.st_atime_ns, at.st_mtime_ns))
    (tmp_path / "new").rename(file)
    seen.add(source.look())
    file.chmod(0o400)
    seen.add(source.look())
    assert len(seen) == 4


ONE, TWO = (1,), (2,)


@pytest.mark.parametrize(
    ("looks", "reads"),
    [
        ([(0.0, ONE), (5.0, ONE)], []),  # as it was read
        ([(0.0, TWO), (0.5, TWO), (1.0, TWO)], [1.0]),  # changed, and left alone
        ([(0.0, TWO), (0.5, None), (1.0, TWO), (1.5, TWO), (2.0, TWO)], [2.0]),  # still being written
        ([(0.0, TWO), (0.5, ONE), (1.0, TWO), (1.5, TWO)], []),  # changed, back, and changed
        ([(0.0, None), (1.0, None)], [1.0]),  # gone
    ],
)
def test_when_a_file_has_settled(looks: list[tuple[float, Mark | None]], reads: list[float]) -> None:
    """A half-written file that is completed within a second is read once, and whole."""
    settling = Settling()
    assert [now for now, mark in looks if settling.look(mark, ONE, now)] == reads


@given(st.lists(st.tuples(st.floats(0.01, 2.0), st.sampled_from([None, ONE, TWO, (3,)])), max_size=30))
def test_only_what_stood_still_is_read(looks: list[tuple[float, Mark | None]]) -> None:
    """Whatever the order of writes: nothing is read that was seen to change in the last second, and nothing twice."""
    settling, read, now, since, before = Settling(), ONE, 0.0, 0.0, None
    for gap, mark in looks:
        now += gap
        if mark != before:
            since = now
        before = mark
        if settling.look(mark, read, now):
            assert mark != read
            assert now - since >= SETTLED
            read = mark

"""The whole way from a file or nothing to a snapshot."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trunkline.config.load import ConfigError, find_config, load, load_store
from trunkline.meters.rule import Rule

EXAMPLE = """\
server: {listen: 127.0.0.1:4000, admin: 127.0.0.1:4001}
providers:
  openai:    {api_key: "${OPENAI_API_KEY}"}
  anthropic: {api_key: "${ANTHROPIC_API_KEY}"}
  lab:       {kind: openai, base_url: "http://127.0.0.1:9301/v1", api_key: none}
models:
  gpt-4.1:   {targets: [openai/gpt-4.1]}
  smart:
    strategy: weighted
    targets:  [{to: anthropic/claude-sonnet-4-5, weight: 3}, {to: openai/gpt-4.1, weight: 1}]
    fallbacks: [lab/tiny]
    retry:    {attempts: 3, backoff: 200ms, max_backoff: 5s}
    timeouts: {connect: 5s, first_byte: 60s, idle: 60s, total: 10m}
keys:
  - {name: laptop, secret: "${LAPTOP_KEY}"}
"""
ENVIRON = {
    "OPENAI_API_KEY": "sk-openai-0123456789",
    "ANTHROPIC_API_KEY": "sk-ant-0123456789",
    "LAPTOP_KEY": "tl-laptop-0123456789",
}


@pytest.fixture
def file(tmp_path) -> Path:
    path = tmp_path / "trunkline.yaml"
    path.write_text(EXAMPLE)
    return path


def refused(path: Path | None, environ: dict[str, str]) -> str:
    with pytest.raises(ConfigError) as refusal:
        load(path, environ)
    return str(refusal.value)


def test_the_example_of_the_documentation(file: Path):
    """What the documentation shows would not work."""
    snapshot = load(file, ENVIRON)
    assert list(snapshot.providers) == ["echo", "openai", "anthropic", "lab"]
    assert list(snapshot.routes) == ["gpt-4.1", "smart"]
    assert snapshot.source == str(file)
    assert snapshot.secrets() == (b"sk-openai-0123456789", b"tl-laptop-0123456789", b"sk-ant-0123456789")
    assert not any("read by others" in warning for warning in snapshot.warnings)  # its secrets stand elsewhere


def test_what_the_example_says_of_limits_and_budgets_is_in_force(file: Path):
    """Somebody would believe in limits or budgets that are not there."""
    budgets = "[{usd: 25, per: month}]"
    file.write_text(
        EXAMPLE + f"  - {{name: ci, hash: 'sha256:{'ab' * 32}', models: [smart], limits: {{rpm: 60}}, budgets: {budgets}}}\n"
    )
    assert load(file, ENVIRON).principals[1].rules.rules == (
        Rule("key:ci", "requests", 60),
        Rule("key:ci", "money", 25 * 10**9, "month"),
    )


def test_every_mistake_at_once(tmp_path):
    """A person would mend one mistake per start, seven times."""
    path = tmp_path / "t.yaml"
    path.write_text(
        """\
server: {listen: nowhere}
providers:
  openai: {api_key: "${NONE}"}
  openai: {api_key: x}
  lab: {kind: opnai}
models:
  m: {targets: [labb/x], stratgy: ordered}
keys:
  - {name: a, secret: short-secret, limits: {rpm: none}}
"""
    )
    found = refused(path, {"TRUNKLINE_LOG__LEVEL": "loud"})
    assert "short-secret" not in found
    assert {line.partition(": ")[2].partition(":")[0] for line in found.splitlines()} == {
        "log.level",
        "server.listen",
        "providers.openai.api_key",
        "providers.openai",
        "providers.lab.kind",
        "models.m.stratgy",
        "models.m.targets[0]",
        "keys[0].limits.rpm",
        "keys[0].secret",
    }
    assert f"{path}:4: providers.openai: written twice, first on line 3" in found


def test_environment_over_file_over_defaults(file: Path):
    """A container's settings would lose against the file in its image."""
    assert load(file, ENVIRON).server.listen == ("127.0.0.1", 4000)
    changed = load(
        file,
        ENVIRON
        | {
            "TRUNKLINE_SERVER__LISTEN": "0.0.0.0:5000",
            "TRUNKLINE_PROVIDERS__LAB__BASE_URL": "http://127.0.0.1:9/v2",
            "TRUNKLINE_LOG__FORMAT": "json",
        },
    )
    assert changed.server.listen == ("0.0.0.0", 5000)
    assert (changed.providers["lab"].origin.port, changed.providers["lab"].speaks["openai_chat"]) == (9, "/v2")
    assert (changed.log.format, changed.log.level) == ("json", "info")


def test_what_is_not_in_force_need_not_be_there(file: Path):
    """Who sets a key by a variable of ours would have to set another one, too."""
    environ = ENVIRON | {"TRUNKLINE_PROVIDERS__OPENAI": "{api_key: sk-0123456789}"}
    del environ["OPENAI_API_KEY"]
    assert load(file, environ).providers["openai"].secrets == (b"sk-0123456789",)
    del environ["LAPTOP_KEY"]
    found = refused(file, environ)
    assert found.startswith(f"{file}:15: keys[0].secret: the environment variable LAPTOP_KEY is not set")
    assert "\n" not in found


def test_an_override_that_means_nothing_is_a_mistake(file: Path):
    """A misspelt variable would be ignored in silence."""
    found = refused(file, ENVIRON | {"TRUNKLINE_SERVER__LISTN": "x"})
    assert found == "TRUNKLINE_SERVER__LISTN: server.listn: unknown field; did you mean 'listen'?"
    load(file, ENVIRON | {"TRUNKLINE_CONFIG": "x", "TRUNKLINE_DATA": "y"})


def test_without_a_file_the_environment_is_offered():
    """Somebody with a key in the environment would have to write a file first."""
    snapshot = load(
        None, {"OPENAI_API_KEY": "sk-1", "GROQ_API_KEY": "gsk-1", "XAI_API_KEY": "", "TRUNKLINE_SERVER__LISTEN": "127.0.0.1:0"}
    )
    assert list(snapshot.providers) == ["echo", "openai", "groq"]
    assert (snapshot.source, snapshot.server.listen, snapshot.principals) == ("environment", ("127.0.0.1", 0), ())
    assert list(load(None, {}).providers) == ["echo"]
    ollama = load(None, {"OLLAMA_HOST": "0.0.0.0:7"}, ollama_running=True).providers["ollama"]
    assert (ollama.origin.host, ollama.origin.port, ollama.speaks["ollama"], ollama.secrets) == ("127.0.0.1", 7, "", ())
    assert ollama.dialect == "ollama"
    found = load(None, {"ANTHROPIC_API_KEY": "sk-ant-1", "GEMINI_API_KEY": "", "GOOGLE_API_KEY": "goog-1"}).providers
    assert {name: provider.dialect for name, provider in found.items() if not provider.builtin} == {
        "anthropic": "anthropic",
        "gemini": "gemini",
    }
    assert b"x-goog-api-key: goog-1\r\n" in found["gemini"].head


def test_a_broken_key_in_the_environment_is_named_and_not_shown():
    """A line break copied with the key would be sent as a second header."""
    found = refused(None, {"OPENAI_API_KEY": "sk-0123456789abcdef\nx: y"})
    assert "OPENAI_API_KEY" in found
    assert "0123456789abcdef" not in found


@pytest.mark.parametrize("text", ["", "# nothing\n", "{}", "---\n", "server:\n", "null"])
def test_an_empty_file_is_all_defaults(text: str, tmp_path):
    """A file with everything switched off would be refused."""
    path = tmp_path / "t.yaml"
    path.write_text(text)
    assert list(load(path, {"OPENAI_API_KEY": "sk-1"}).providers) == ["echo"]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (Path.exists, "cannot be read: No such file"),
        (lambda path: path.mkdir(), "not a regular file"),
        (os.mkfifo, "not a regular file"),
        (lambda path: path.write_bytes(b"x" * (1024 * 1024 + 2)), "larger than 1024 KiB"),
    ],
)
def test_what_is_no_file(make, says: str, tmp_path):
    """A file that vanished, or a pipe, would end with a traceback or never."""
    path = tmp_path / "t.yaml"
    make(path)
    assert says in refused(path, {})


def test_names_that_no_file_has():
    """A strange argument would end with a traceback."""
    assert "cannot be" in refused(Path("a\0b"), {})
    assert "cannot be read" in refused(Path("x" * 300), {})


def test_relative_files_start_at_the_configuration(tmp_path, monkeypatch):
    """A service started from another folder would not find its key."""
    (tmp_path / "key").write_text("sk-from-file\n")
    path = tmp_path / "t.yaml"
    path.write_text('providers: {openai: {api_key: "${file:key}"}}')
    monkeypatch.chdir("/")
    assert load(path, {}).secrets() == (b"sk-from-file",)


def test_a_literal_secret_that_others_can_read_is_warned_about(tmp_path):
    """Every user of the machine could use the key, and nobody would be told."""
    path = tmp_path / "t.yaml"
    path.write_text("keys: [{name: a, secret: 0123456789abcdef}]")
    path.chmod(0o644)
    assert "can be read by others" in load(path, {}).warnings[0]
    path.chmod(0o600)
    assert load(path, {}).warnings == ()


def test_a_secret_in_the_wrong_place_is_not_shown(tmp_path):
    """A key would be printed to the terminal, and from there into a ticket."""
    path = tmp_path / "t.yaml"
    path.write_text('providers:\n  a: {kind: "${K}"}\n  b: {kind: openai, api_key: none, proxy: "ftp://u:hunter2-hunter2@p"}\n')
    found = refused(path, {"K": "sk-0123456789abcdef"})
    assert found.count("\n") == 1
    assert "0123456789" not in found
    assert "hunter2" not in found


def test_find_config(tmp_path):
    """Another file than the one asked for would be served."""
    assert find_config(None, {}, tmp_path) is None
    (tmp_path / "trunkline.yaml").touch()
    assert find_config(None, {}, tmp_path) == tmp_path / "trunkline.yaml"
    assert find_config(None, {"TRUNKLINE_CONFIG": "b.yaml"}, tmp_path) == tmp_path / "b.yaml"
    assert find_config(None, {"TRUNKLINE_CONFIG": "/c.yaml"}, tmp_path) == Path("/c.yaml")
    assert find_config(Path("d.yaml"), {"TRUNKLINE_CONFIG": "b.yaml"}, tmp_path) == Path("d.yaml")


def loads_or_refuses(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    refusal: ConfigError | None = None
    try:
        load(path, ENVIRON)
    except ConfigError as error:
        refusal = error
    assert refusal is None or (refusal.mistakes and "0123456789" not in str(refusal))


PLAIN = "server providers models keys listen api_key secret targets openai name a/b echo 127.0.0.1:1 null"
MARKS = '{ } [ ] , " ${ } ${OPENAI_API_KEY} *a !x << | #'
WORDS = [*PLAIN.split(), *MARKS.split(), ": ", "\n", "  ", "- ", "&a ", "\t"]
TEXTS = (
    st.binary(max_size=99)
    | st.text(max_size=99).map(str.encode)
    | st.lists(st.sampled_from(WORDS)).map("".join).map(str.encode)
)


@given(
    data=st.binary(max_size=99)
    | st.text(max_size=99).map(str.encode)
    | st.lists(st.sampled_from(WORDS)).map(lambda w: "".join(w).encode())
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_text_is_loaded_or_refused(data: bytes, tmp_path):
    """A broken file would end with a traceback, or stop a running gateway at reload."""
    loads_or_refuses(tmp_path / "t.yaml", data)


@given(at=st.integers(0, len(EXAMPLE)), flip=st.integers(1, 255), cut=st.booleans())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_good_file_with_a_flipped_byte_or_cut_short(at: int, flip: int, cut: bool, tmp_path):
    """A half-written file would end with a traceback."""
    data = bytearray(EXAMPLE.encode())
    if cut or at == len(data):
        del data[at:]
    else:
        data[at] ^= flip
    loads_or_refuses(tmp_path / "t.yaml", bytes(data))


STORE = "postgresql://somebody:se%2Fcret-word@db.example/x"


def write_store(folder, text=f"store: {{url: '{STORE}'}}"):
    path = folder / "trunkline.yaml"
    path.write_text(text)
    path.chmod(0o600)
    return path


def test_the_store_and_its_password(tmp_path):
    """The database is found, its password masked in the log in each of its forms, and shown by nothing."""
    snapshot = load(write_store(tmp_path), {})
    url = snapshot.store.url
    assert (url.host, url.database, url.tls) == ("db.example", "x", "verify-full")
    assert (url.user, url.password) == ("somebody", "se/cret-word")
    assert {b"se/cret-word", b"se%2Fcret-word"} <= set(snapshot.secrets())
    assert "cret-word" not in f"{snapshot!r} {snapshot.store!r} {snapshot.store}"
    assert load(None, {"TRUNKLINE_STORE__URL": STORE}).store == snapshot.store
    assert load(None, {}).store.url is None


def test_a_wrong_store_is_refused_without_its_password(tmp_path):
    """A mistake in the URL must not put the password on the terminal, nor into the log of a deployment."""
    with pytest.raises(ConfigError, match=r"store\.url: its sslmode must be one of") as caught:
        load(write_store(tmp_path, f"store: {{url: '{STORE}?sslmode=prefer'}}"), {})
    assert "cret-word" not in str(caught.value)


def test_a_file_of_authorities_is_found_from_the_configuration(tmp_path):
    """As every other path in the file; one that is absent is told before anything starts."""
    path = write_store(tmp_path, f"store: {{url: '{STORE}?sslrootcert=ca.pem'}}")
    with pytest.raises(ConfigError, match=r"store\.url: there is no such file"):
        load(path, {})
    (tmp_path / "ca.pem").touch()
    assert load(path, {}).store.url.ca == load_store(path, {}).url.ca == str(tmp_path / "ca.pem")


def test_a_store_that_others_can_read_is_warned_about(tmp_path):
    """Its password opens all accounts."""
    path = write_store(tmp_path)
    path.chmod(0o644)
    assert "holds a secret and can be read by others" in load(path, {}).warnings[0]


def test_only_the_store_can_be_asked_for(tmp_path):
    """`trunkline keys` in a shell that lacks the providers' variables must find the same store, and never take another."""
    rest = "\nproviders: {openai: {api_key: '${ABSENT}'}}\nnonsense: 1"
    assert load_store(write_store(tmp_path, f"store: {{url: '{STORE}'}}{rest}"), {}).url.host == "db.example"
    assert load_store(write_store(tmp_path, f"log: {{}}{rest}"), {}).url is None
    assert load_store(None, {}).url is None
    assert load_store(None, {"TRUNKLINE_STORE__URL": STORE}).url.host == "db.example"
    for text in ("store: {url: '${ABSENT}'}", "store: {url: 'mysql://x'}", "store: 5", "store: {urls: x}", "store: [", "- 1"):
        with pytest.raises(ConfigError):
            load_store(write_store(tmp_path, text), {})
    with pytest.raises(ConfigError):
        load_store(tmp_path / "absent.yaml", {})

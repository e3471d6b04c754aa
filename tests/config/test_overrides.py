"""TRUNKLINE_ variables over the file."""

from __future__ import annotations

import pytest

from trunkline.config.document import parse
from trunkline.config.mistakes import Mistakes, Place
from trunkline.config.overrides import override

FILE = """\
server: {listen: a}
providers: {My-Lab: {api_key: x}, empty: }
keys: [{name: k}]
"""


def put(environ: dict[str, str], text: str = FILE):
    mistakes = Mistakes()
    document = parse(text.encode(), "f", mistakes, lambda _path, scalar: scalar)
    override(document, environ, mistakes)
    return document, str(mistakes.error())


@pytest.mark.parametrize(
    ("name", "text", "path", "value"),
    [
        ("SERVER__LISTEN", "b", ("server", "listen"), "b"),
        ("SERVER__TLS__CERT", "c", ("server", "tls", "cert"), "c"),
        ("LOG__FORMAT", "json", ("log", "format"), "json"),
        ("PROVIDERS__MY_LAB__API_KEY", "${A}", ("providers", "My-Lab", "api_key"), "${A}"),
        ("PROVIDERS__EMPTY__KIND", "openai", ("providers", "empty", "kind"), "openai"),
        ("PROVIDERS__NEW__KIND", "openai", ("providers", "new", "kind"), "openai"),
        ("SERVER__CORS__ORIGINS", '["a", "b"]', ("server", "cors", "origins"), ["a", "b"]),
        ("SERVER__TLS", "{cert: c}", ("server", "tls"), {"cert": "c"}),
        ("KEYS__0__SECRET", "s", ("keys", 0, "secret"), "s"),
        ("KEYS__1__NAME", "n", ("keys", 1, "name"), "n"),
        ("MODELS__M__TARGETS__0", "a/b", ("models", "m", "targets", 0), "a/b"),
    ],
)
def test_a_variable_wins_over_the_file(name: str, text: str, path, value):
    """A container could not be told its settings without writing a file."""
    document, wrong = put({f"TRUNKLINE_{name}": text})
    assert wrong == ""
    found = document.value
    for part in path:
        found = found[part]
    assert found == value
    assert document.place(path) == Place(f"TRUNKLINE_{name}", 0)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("TRUNKLINE___X", "1"),
        ("TRUNKLINE_SERVER__", "1"),
        ("TRUNKLINE_SERVER__LISTEN__HOST", "1"),
        ("TRUNKLINE_KEYS__7__NAME", "1"),
        ("TRUNKLINE_KEYS__X__NAME", "1"),
        ("TRUNKLINE_SERVER__CORS", "[1"),
        ("TRUNKLINE_SERVER__CORS", "[\udcff"),
    ],
)
def test_what_names_nothing_is_a_mistake(name: str, text: str):
    """A misspelt override would be ignored in silence."""
    _, wrong = put({name: text})
    assert wrong.startswith(name)


def test_other_variables_are_left_alone():
    """TRUNKLINE_CONFIG and TRUNKLINE_DATA would be refused as unknown settings."""
    document, wrong = put(
        {"TRUNKLINE_CONFIG": "x", "TRUNKLINE_DATA": "y", "OTHER__THING": "z", "TRUNKLINE_SECRETISH__": ""}, ""
    )
    assert wrong.startswith("TRUNKLINE_SECRETISH__")
    assert "\n" not in wrong
    assert document.value == {}


def test_what_is_put_over_the_file_is_not_in_it():
    """A mistake in a variable would be reported at a line that is fine."""
    document, _ = put({"TRUNKLINE_KEYS__0": "{name: b, hash: x}"})
    assert document.place(("keys", 0, "name")) == Place("TRUNKLINE_KEYS__0", 0)
    assert document.place(("keys",)) == Place("f", 3)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("TRUNKLINE_SERVER_LISTEN", "did you mean TRUNKLINE_SERVER__LISTEN?"),
        ("TRUNKLINE_LOG_LEVEL", "did you mean TRUNKLINE_LOG__LEVEL?"),
        ("TRUNKLINE_KEYS", "did you mean TRUNKLINE_KEYS__FIELD?"),
    ],
)
def test_what_is_nearly_a_setting_is_a_mistake(name: str, says: str):
    """An operator would believe that it is in force."""
    _, wrong = put({name: "x"})
    assert wrong == f"{name}: is no setting; {says}"


@pytest.mark.parametrize(
    "name",
    ["KEY", "WIRE", "KILLS", "REQUIRE_ALL", "SERVICE_HOST", "SERVER_PORT", "SERVER_SERVICE_HOST", "SERVER_PORT_4000_TCP"],
)
def test_what_others_set_is_left_alone(name: str):
    """A variable of a script, or of Kubernetes for a service named trunkline-server, would stop the start."""
    assert put({f"TRUNKLINE_{name}": "x"})[1] == ""


def test_a_file_that_is_no_mapping_is_left_to_its_own_mistake():
    """Two messages for one mistake, the second of them wrong."""
    document, wrong = put({"TRUNKLINE_SERVER__LISTEN": "b"}, "- a")
    assert (document.value, wrong) == (["a"], "")


def test_long_values_are_kept_as_secrets():
    """A key put into the wrong variable would be printed."""
    _, wrong = put({"TRUNKLINE_SERVER__LISTEN__X": "0123456789abcdef0"})
    assert "0123456789abcdef0" not in wrong

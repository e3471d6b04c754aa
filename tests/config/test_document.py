"""YAML and JSON into plain values with places: what is read, and every way it can be broken."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.config import document
from trunkline.config.document import Document, parse
from trunkline.config.mistakes import Mistakes, Place


def read(text: str | bytes) -> tuple[Document, list[str]]:
    mistakes = Mistakes()
    data = text if isinstance(text, bytes) else text.encode()
    parsed = parse(data, "f.yaml", mistakes, lambda _path, scalar: scalar)
    return parsed, str(mistakes.error()).splitlines()


def test_scalars_stay_text_whatever_yaml_would_guess():
    """A key made of digits or a model called `no` would turn into a number or False."""
    parsed, wrong = read('a: yes\nb: 0123456789012345\nc: 22:10\nd: 1e3\ne:\nf: "null"\ng: ~\n"h": [x, null]\ni: ""\n')
    assert wrong == []
    texts = {"a": "yes", "b": "0123456789012345", "c": "22:10", "d": "1e3", "f": "null", "i": ""}
    assert parsed.value == {**texts, "e": None, "g": None, "h": ["x", None]}


def test_places_are_those_of_the_names():
    """An editor would jump to the wrong line."""
    parsed, _ = read("a:\n  b:\n    - x\n    - y: 1\n")
    assert parsed.place(("a", "b")) == Place("f.yaml", 2)
    assert parsed.place(("a", "b", 1)) == Place("f.yaml", 4)
    assert parsed.place(("a", "b", 1, "y", "below")) == Place("f.yaml", 4)
    assert parsed.place(("a", "missing")) == Place("f.yaml", 1)
    assert Document("g").place(("x",)) == Place("g", 0)


def test_json_with_tabs_is_read_too():
    """A JSON file as tools write it would be refused."""
    text = json.dumps({"a": {"b": [1, True, None, "é\t/"]}}, indent="\t")
    parsed, wrong = read(text)
    assert wrong == []
    assert parsed.value == {"a": {"b": ["1", "true", None, "é\t/"]}}


def test_json_beyond_the_basic_plane():
    """JSON writes an emoji as two escapes, which YAML refuses."""
    value = {"😀": "a\\😀é", "b": "\\ud83d\\ude00"}
    parsed, wrong = read(json.dumps(value, indent=1))
    assert wrong == []
    assert parsed.value == value
    assert parsed.places["b",].line == 3
    for text in ('a: "\\ud83d\\ude00"', "[" * 100_000 + "\\u"):
        assert read(text)[1] != []


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("a: 1\nb: [\n", 3, "not valid YAML"),
        ("a: 1\n\tb: 2\n", 2, "not valid YAML"),
        ("a: 1\nb: 2\na: 3\n", 3, "a: written twice, first on line 1"),
        ("a: {b: 1, b: 2}\n", 1, "a.b: written twice"),
        ("a: 1\nb: !!python/object:os.system x\n", 2, "b: YAML tags are not supported"),
        ("a: !x {b: 1}\n", 1, "a: YAML tags are not supported"),
        ("a: 1\n? [x]\n: 2\n", 2, "a name must be plain text"),
        ("a: &x {b: 1}\nc:\n  <<: *x\n", 3, "merge keys are not supported"),
        ("a: 1\nb: {'x${A}': 1}\n", 2, "b.x${A}: a name is not filled in: write it out"),
        ("a: &x\n  - *x\n", 1, "a[0]: an alias to a value that contains it"),
        ("a: 1\n---\nb: 2\n", 2, "not valid YAML"),
        ("a: *nowhere\n", 1, "not valid YAML"),
        (b"a: 1\nb: \xff\n", 2, "not UTF-8"),
        ("a: 1\nb: \x00\n", 2, "not valid YAML"),
        ("a: " + "[" * 40, 1, "nested deeper than 32"),
        ("[" * 500_000, 1, "nested deeper than 32"),
        ("\n".join(f"a{i}: &a{i} [{f'*a{i - 1}' if i else ''}]" for i in range(60)), 1, "nested deeper than 32"),
        (
            "\n".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9) if i else 'x'}]" for i in range(9)),
            1,
            "more than 100000 values",
        ),
        ("#" * (1024 * 1024 + 1), 0, "larger than 1024 KiB"),
    ],
)
def test_mistakes_have_their_line(text: str | bytes, line: int, says: str):
    """Whoever wrote the file would have to search, or a bomb would stop the start."""
    _, wrong = read(text)
    assert any(found.startswith(f"f.yaml:{line}: " if line else "f.yaml: ") and says in found for found in wrong), wrong


def test_parser_messages_quote_nothing_of_the_file():
    """A secret that is not quoted and begins with `*` or `!` would be printed."""
    for text in (
        "secret: *hunter2hunter2\n",
        "secret: !hunter2!hunter2 x\n",
        'secret: "\\hunter2hunter2"\n',
        "secret: @hunter2hunter2\n",
    ):
        _, wrong = read(text)
        assert wrong
        assert "hunter2hunter" not in str(wrong)


def test_aliases_share_a_value():
    """Whoever writes the same timeouts twice could not name them once."""
    parsed, wrong = read("a: &t {idle: 5s}\nb: *t\n")
    assert wrong == []
    assert parsed.value["b"] == {"idle": "5s"}


def test_reads_without_the_c_library(monkeypatch):
    """On a machine whose PyYAML has no libyaml nothing could be read."""
    monkeypatch.setattr(document, "_LOADER", document.yaml.BaseLoader)
    parsed, wrong = read("a: {b: [1, ~]}\nc:\n")
    assert wrong == []
    assert parsed.value == {"a": {"b": ["1", None]}, "c": None}
    for text in ("a: *hunter2hunter2", "a: [" * 9000, "a: \x00", 'a: "\\hunter2"'):
        _, wrong = read(text)
        assert wrong
        assert "hunter2" not in str(wrong)


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_read_or_reported(data: bytes):
    """A half-written file would end the program with a traceback."""
    parsed, _ = read(data)
    assert isinstance(parsed.value, str | dict | list | None)

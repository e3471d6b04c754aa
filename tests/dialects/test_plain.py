"""Media as text."""

from __future__ import annotations

import pytest

from trunkline.canon.chat import Media
from trunkline.dialects.plain import document, shown


@pytest.mark.parametrize(
    ("data", "name", "text"),
    [
        ("aGk=", "", "hi"),
        ("aGk=", "notes.txt", "notes.txt\nhi"),
        ("/w==", "", "\ufffd"),
        ("abc", "", "abc"),
        ("h\u00e9", "", "h\u00e9"),
    ],
)
def test_a_document_is_what_it_says(data: str, name: str, text: str) -> None:
    """A client may call anything base64: it must not end in an error of ours."""
    assert document(Media("document", "text/plain", data=data, name=name)) == text


def test_what_a_model_draws_is_shown() -> None:
    """A client that reads no media must still get the picture."""
    assert shown(Media("image", "image/png", "AAAA")) == "![image](data:image/png;base64,AAAA)"
    assert shown(Media("audio", url="https://x/a.wav", name="song")) == "[song](https://x/a.wav)"

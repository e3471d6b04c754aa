"""Content: texts, pictures, files."""

from __future__ import annotations

from typing import Any

import pytest

from dialects.openai_responses.asking import said
from trunkline.canon.chat import Citation, Media, Other, Part, Refusal, Text
from trunkline.canon.errors import GatewayError
from trunkline.dialects.openai_responses.read_content import read_annotation


def part(**told: Any) -> Part:
    """The only part of a user's message."""
    (found,) = said({"role": "user", "content": [told]})
    return found


@pytest.mark.parametrize(
    ("told", "found"),
    [
        ({"type": "input_text", "text": "a"}, Text("a")),
        ({"type": "text", "text": ""}, Text("")),
        ({"type": "input_text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit"}}, Text("a", cache="5m")),
        ({"type": "input_text", "text": "a", "prompt_cache_breakpoint": {"ttl": "12h"}}, Text("a", cache="1h")),
        ({"type": "input_text", "text": "a", "new": 1}, Text("a", vendor={"new": 1})),
        ({"type": "refusal", "refusal": "No."}, Refusal("No.")),
        (
            {"type": "input_image", "image_url": "data:image/png;base64,QUJD", "detail": "low"},
            Media("image", "image/png", data="QUJD", detail="low"),
        ),
        ({"type": "input_image", "image_url": "HTTPS://x/y.png"}, Media("image", url="https://x/y.png")),
        ({"type": "input_image", "file_id": "file-1", "detail": "auto"}, Media("image", file_id="file-1")),
        (
            {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,QUJD"},
            Media("document", "application/pdf", data="QUJD", name="a.pdf"),
        ),
        (
            {"type": "input_file", "filename": "a.pdf", "file_data": "QUJD"},
            Media("document", "application/pdf", "QUJD", name="a.pdf"),
        ),
        ({"type": "input_file", "file_data": "JVBERi0"}, Media("document", "application/pdf", "JVBERi0")),
        ({"type": "input_file", "file_data": "QUJD"}, Media("document", "", "QUJD")),
        ({"type": "input_file", "file_url": "https://x/a.pdf"}, Media("document", url="https://x/a.pdf")),
        ({"type": "input_file", "file_id": "file-1", "filename": "a"}, Media("document", file_id="file-1", name="a")),
        ({"type": "input_audio", "input_audio": {"data": "QUJD", "format": "mp3"}}, Media("audio", "audio/mpeg", "QUJD")),
        ({"type": "new", "x": 1}, Other("openai_responses", {"type": "new", "x": 1})),
    ],
)
def test_parts_are_read(told: dict[str, Any], found: Part) -> None:
    """Whatever a person shows the model."""
    assert part(**told) == found


def test_an_answers_text_keeps_its_sources() -> None:
    """A history that is sent back says where its texts had their knowledge from."""
    page = {"type": "url_citation", "url": "https://x", "title": "X", "start_index": 0, "end_index": 1}
    file = {"type": "file_citation", "file_id": "f", "index": 0, "filename": "a"}
    told = {"type": "output_text", "text": "a", "annotations": [page, file, 5], "logprobs": []}
    (found,) = said({"type": "message", "role": "assistant", "content": [told]})
    assert found == Text("a", citations=(Citation("https://x", "X", start=0, end=1), Citation(vendor=file)))
    odd = {"type": "url_citation", "url": 5, "title": None, "start_index": "a", "end_index": True}
    assert read_annotation(odd) == Citation()


@pytest.mark.parametrize(
    ("content", "param"),
    [
        (5, "content"),
        ([5], "content[0]"),
        ([{"type": "input_text"}], "content[0].text"),
        ([{"type": "input_text", "text": 5}], "content[0].text"),
        ([{"type": "input_text", "text": "a", "prompt_cache_breakpoint": 5}], "content[0].prompt_cache_breakpoint"),
        ([{"type": "input_image"}], "content[0].image_url"),
        ([{"type": "input_image", "image_url": "ftp://x"}], "content[0].image_url"),
        ([{"type": "input_image", "image_url": {"url": "https://x"}}], "content[0].image_url"),
        ([{"type": "input_file"}], "content[0].file_url"),
        ([{"type": "input_audio"}], "content[0].input_audio"),
        ([{"type": "output_text", "text": "a", "annotations": 5}], "content[0].annotations"),
    ],
)
def test_wrong_content_is_refused_by_its_place(content: Any, param: str) -> None:
    """A caller finds the mistake."""
    with pytest.raises(GatewayError) as caught:
        said({"role": "user", "content": content})
    assert (caught.value.status, caught.value.param) == (400, f"input[0].{param}")

"""Google's pictures, of both its kinds of models."""

from __future__ import annotations

import json
from typing import Any

import pytest

from trunkline.canon.errors import GatewayError
from trunkline.canon.facts import NO_FACTS, Facts
from trunkline.canon.loss import Loss
from trunkline.canon.pictures import Draw, Picture
from trunkline.canon.usage import Usage
from trunkline.dialects.images import gemini

NANO = Facts(aspects=("1:1", "2:3", "3:2", "9:16", "16:9", "21:9"), picture_sizes=("1K", "2K", "4K"))
IMAGEN = Facts(form="predict", aspects=("1:1", "3:4", "4:3", "9:16", "16:9"), picture_sizes=("1K", "2K"))


def written(asked: Draw, facts: Facts, loss: Loss | None = None) -> list[Any]:
    """The bodies that a provider is asked with."""
    return [json.loads(out.body) for out in gemini.write(asked, "big", facts, loss or Loss(strict=True))]


def test_gemini_is_asked_once_for_each_picture() -> None:
    """It makes one a request."""
    outs = gemini.write(Draw("m", "a cat", 2), "big", NANO, Loss(strict=True))
    assert [out.path for out in outs] == ["/models/big:generateContent"] * 2
    assert json.loads(outs[0].body) == {
        "contents": [{"role": "user", "parts": [{"text": "a cat"}]}],
        "generationConfig": {"responseModalities": ["TEXT", "IMAGE"]},
    }


def test_imagen_is_asked_for_four_at_most() -> None:
    """More is an error there."""
    outs = gemini.write(Draw("m", "a cat", 6), "big", IMAGEN, Loss(strict=True))
    assert {out.path for out in outs} == {"/models/big:predict"}
    assert [json.loads(out.body) for out in outs] == [
        {"instances": [{"prompt": "a cat"}], "parameters": {"sampleCount": count}} for count in (4, 2)
    ]


@pytest.mark.parametrize(
    ("size", "facts", "shape", "noted"),
    [
        ((1024, 1024), NANO, {"aspectRatio": "1:1"}, []),
        ((2048, 2048), NANO, {"aspectRatio": "1:1", "imageSize": "2K"}, []),
        ((1536, 1024), NANO, {"aspectRatio": "3:2"}, ["size"]),
        ((1024, 1792), NANO, {"aspectRatio": "9:16"}, ["size"]),
        ((3840, 2160), NANO, {"aspectRatio": "16:9", "imageSize": "2K"}, ["size"]),
        ((256, 256), NANO, {"aspectRatio": "1:1"}, ["size"]),
        ((99999, 1), NANO, {"aspectRatio": "21:9"}, ["size"]),
        ((1536, 1024), IMAGEN, {"aspectRatio": "4:3", "sampleCount": 1}, ["size"]),
        ((2048, 2048), IMAGEN, {"aspectRatio": "1:1", "sampleImageSize": "2K", "sampleCount": 1}, []),
        ((2048, 2048), Facts(aspects=("1:1",)), {"aspectRatio": "1:1"}, ["size"]),
    ],
)
def test_a_size_becomes_the_nearest_shape(size: tuple[int, int], facts: Facts, shape: dict[str, Any], noted: list[str]) -> None:
    """And is named where it is not just that."""
    loss = Loss(strict=True)
    (body,) = written(Draw("m", "a cat", size=size), facts, loss)
    assert (body["parameters"] if facts.form else body["generationConfig"]["imageConfig"]) == shape
    assert list(loss.names) == noted


def test_every_loss_has_its_name() -> None:
    """A model without shapes is told none."""
    loss = Loss(strict=False)
    asked = Draw("m", "a cat", size=(1024, 1024), url=True, shaping=("quality",), hints=("user",))
    (body,) = written(asked, NO_FACTS, loss)
    assert "imageConfig" not in body["generationConfig"]
    assert list(loss.names) == ["user", "quality", "response_format", "size"]
    with pytest.raises(GatewayError):
        written(asked, NO_FACTS)


def generated(*parts: Any, **candidate: Any) -> bytes:
    """An answer of Gemini's."""
    usage = {"promptTokenCount": 4, "candidatesTokenCount": 1290}
    return json.dumps({"candidates": [{"content": {"parts": list(parts)}, **candidate}], "usageMetadata": usage}).encode()


PNG = {"inlineData": {"mimeType": "image/png", "data": "aaaa"}}


def test_geminis_answers_are_read() -> None:
    """Pictures and usage of all of them; drafts in its thoughts are none."""
    answer = gemini.read_answer([generated({"text": "here"}, PNG), generated({**PNG, "thought": True}, PNG)])
    assert answer.pictures == (Picture("aaaa", "image/png"),) * 2
    assert answer.usage == Usage(input=8, output=2580, images=2, basis="reported")
    assert answer.refused == ""


@pytest.mark.parametrize(
    ("body", "refused"),
    [
        (generated({"text": "I cannot\ndraw that."}), "I cannot draw that."),
        (generated(finishReason="IMAGE_SAFETY", finishMessage="Unsafe."), "Unsafe. IMAGE_SAFETY"),
        (b'{"candidates":[{"finishReason":"NO_IMAGE"}]}', "NO_IMAGE"),
        (b'{"promptFeedback":{"blockReason":"SAFETY"}}', "SAFETY"),
        (b'{"predictions":[{"raiFilteredReason":"blocked"}]}', "blocked"),
        (b"{}", ""),
    ],
)
def test_pictures_that_are_held_back(body: bytes, refused: str) -> None:
    """The provider's own reason goes to the client."""
    answer = gemini.read_answer([body])
    assert (answer.pictures, answer.refused) == ((), refused)


def test_imagens_answers_are_read() -> None:
    """It tells no tokens; its pictures are counted."""
    told = {"predictions": [{"bytesBase64Encoded": "aaaa", "mimeType": "image/png", "prompt": "a grey cat"}]}
    answer = gemini.read_answer([json.dumps(told).encode()])
    assert answer.pictures == (Picture("aaaa", "image/png", "a grey cat"),)
    assert answer.usage == Usage(images=1)


@pytest.mark.parametrize(
    "body", [b"[]", b'{"candidates":5}', b'{"predictions":5}', b"", b'{"error":{"code":400,"message":"no"}}']
)
def test_what_is_no_answer(body: bytes) -> None:
    """An error of the provider's, never a 500."""
    with pytest.raises(GatewayError) as raised:
        gemini.read_answer([body])
    assert raised.value.fault == "upstream"

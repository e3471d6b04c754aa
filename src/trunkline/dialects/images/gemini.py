"""Pictures of Google's models: Gemini's are asked for by `:generateContent`, Imagen's by `:predict`, which facts tell apart."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import log, sqrt
from typing import Any

import msgspec

from trunkline.canon.facts import Facts
from trunkline.canon.loss import Loss
from trunkline.canon.pictures import Draw, Picture, Pictures
from trunkline.canon.usage import NO_USAGE, Usage
from trunkline.dialects.dialect import Outgoing
from trunkline.dialects.errors import clean
from trunkline.dialects.google_shape.resource import path
from trunkline.dialects.google_shape.usage import read_usage
from trunkline.dialects.shallow import encode
from trunkline.dialects.whole import Told, decoded, total

MOST = 4
"""Pictures of one request to Imagen (ai.google.dev/gemini-api/docs/imagen); a Gemini model makes one."""
_WHAT = "an answer with pictures"
_PIXELS = {"512": 512, "1K": 1024, "2K": 2048, "4K": 4096}
"""The length of a square's side."""
_USUAL = "1K"


class _Inline(msgspec.Struct, rename="camel", gc=False):
    data: str
    mime_type: str = ""


class _Part(msgspec.Struct, rename="camel", gc=False):
    text: str | None = None
    thought: bool | None = None
    inline_data: _Inline | None = None


class _Content(msgspec.Struct, gc=False):
    parts: list[_Part] | None = None


class _Candidate(msgspec.Struct, rename="camel", gc=False):
    content: _Content | None = None
    finish_reason: str | None = None
    finish_message: str | None = None


class _Feedback(msgspec.Struct, rename="camel", gc=False):
    block_reason: str | None = None


class _Generated(Told, rename="camel", gc=False):
    candidates: list[_Candidate] | None = None
    prompt_feedback: _Feedback | None = None
    usage_metadata: Any = None


class _Prediction(msgspec.Struct, rename="camel", gc=False):
    bytes_base64_encoded: str | None = None
    mime_type: str = ""
    prompt: str | None = None
    rai_filtered_reason: str | None = None


class _Predicted(Told, gc=False):
    predictions: list[_Prediction] | None = None


_generated = msgspec.json.Decoder(_Generated).decode
_predicted = msgspec.json.Decoder(_Predicted).decode


def write(question: Draw, model: str, facts: Facts, loss: Loss) -> tuple[Outgoing, ...]:
    """As many requests as it takes for so many pictures."""
    _lose(question, loss)
    shape = _shape(question, facts, loss)
    if facts.form == "predict":
        return tuple(
            Outgoing(path(model, "predict"), encode({"instances": [{"prompt": question.prompt}], "parameters": shape | count}))
            for count in ({"sampleCount": min(MOST, question.n - made)} for made in range(0, question.n, MOST))
        )
    settings: dict[str, Any] = {"responseModalities": ["TEXT", "IMAGE"]}
    if shape:
        settings["imageConfig"] = {("imageSize" if name == "sampleImageSize" else name): said for name, said in shape.items()}
    body = encode({"contents": [{"role": "user", "parts": [{"text": question.prompt}]}], "generationConfig": settings})
    return (Outgoing(path(model, "generateContent"), body),) * question.n


def _lose(question: Draw, loss: Loss) -> None:
    for name in question.hints:
        loss.note(name)
    for name in question.shaping:
        loss.drop(name, "the provider's API has no such field")
    if question.url:
        loss.note("response_format")  # these providers keep no pictures: there is no URL to give


def _shape(question: Draw, facts: Facts, loss: Loss) -> dict[str, str]:
    """The nearest shape and size that the model can be asked for."""
    if question.size is None:
        return {}
    if not facts.aspects:
        loss.drop("size", "this model takes none")
        return {}
    width, height = question.size
    aspect = min(facts.aspects, key=lambda one: abs(log(width / height) - log(_ratio(one))))
    side = sqrt(width * height)
    sizes = [one for one in _PIXELS if one == _USUAL or one in facts.picture_sizes]
    size = min(sizes, key=lambda one: abs(log(side / _PIXELS[one])))
    if (width, height, aspect) != (_PIXELS[size], _PIXELS[size], "1:1"):
        loss.note("size")  # the pixels of other shapes are the model's choice
    return {"aspectRatio": aspect} if size == _USUAL else {"aspectRatio": aspect, "sampleImageSize": size}


def _ratio(aspect: str) -> float:
    width, _, height = aspect.partition(":")
    return int(width) / int(height)


def read_answer(bodies: Sequence[bytes]) -> Pictures:
    """The answers of either form, told apart by their own structure, as one."""
    pictures: list[Picture] = []
    reasons: list[str] = []
    usages: list[tuple[Usage, str]] = []
    for body in bodies:
        if b'"predictions"' in body:
            _read_predicted(body, pictures, reasons)
            usages.append((NO_USAGE, ""))
        else:
            usages.append(_read_generated(body, pictures, reasons))
    usage, raw_usage = total(usages)
    usage = msgspec.structs.replace(usage, images=len(pictures))
    return Pictures(tuple(pictures), clean(" ".join(dict.fromkeys(reasons))), usage, raw_usage)


def _read_generated(body: bytes, pictures: list[Picture], reasons: list[str]) -> tuple[Usage, str]:
    """Pictures that belong to what the model thought are drafts of the others."""
    told = decoded(body, _generated, _WHAT)
    for candidate in told.candidates or []:
        parts = [part for part in (candidate.content and candidate.content.parts) or [] if not part.thought]
        made = [Picture(part.inline_data.data, part.inline_data.mime_type) for part in parts if part.inline_data is not None]
        pictures += made
        if not made:
            reasons += _said(part.text for part in parts) or _said([candidate.finish_message, candidate.finish_reason])
    if told.prompt_feedback is not None:
        reasons += _said([told.prompt_feedback.block_reason])
    return read_usage(told.usage_metadata)


def _read_predicted(body: bytes, pictures: list[Picture], reasons: list[str]) -> None:
    for one in decoded(body, _predicted, _WHAT).predictions or []:
        if one.bytes_base64_encoded:
            pictures.append(Picture(one.bytes_base64_encoded, one.mime_type, one.prompt or ""))
        else:
            reasons += _said([one.rai_filtered_reason])


def _said(words: Iterable[str | None]) -> list[str]:
    return [word for word in words if word]

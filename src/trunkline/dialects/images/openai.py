"""`/images/generations` of OpenAI's form, as clients speak it. Providers of that form are never asked through canon."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.facts import Facts
from trunkline.canon.loss import Loss
from trunkline.canon.pictures import Draw, Picture, Pictures
from trunkline.dialects import guess
from trunkline.dialects.dialect import NOT_NAMED, Ask, Frame, Named, Outgoing, Whole
from trunkline.dialects.passing import read_usage
from trunkline.dialects.shallow import bad, encode, fields, flag_of, model_of, values_of
from trunkline.dialects.taken import Taken
from trunkline.dialects.whole import Told, decoded

PATH = "/images/generations"
MOST = 10
"""Pictures of one request: OpenAI's own bound."""
_WHAT = "an images answer"
_ABSENT = msgspec.Raw(b"")
_SIZE = re.compile(r"(\d{1,5})x(\d{1,5})", re.ASCII)
_SETTINGS = ("size", "quality", "style", "background", "output_format", "output_compression", "response_format", "n")
"""What a model may refuse by its facts."""
#: What every model does unless told otherwise, so that to say it loses nothing.
_USUAL: dict[str, set[str | int]] = {
    "quality": {"auto", "standard"}, "background": {"auto", "opaque"}, "output_format": {"png"}, "output_compression": {100},
}  # fmt: skip
_HINTS = ("user", "safety_identifier", "moderation", "partial_images")
_FORMATS = {"image/png": "png", "image/jpeg": "jpeg", "image/webp": "webp"}


class _Shallow(Told, gc=False):
    data: list[msgspec.Raw] | None
    usage: msgspec.Raw = _ABSENT


_shallow = msgspec.json.Decoder(_Shallow).decode


def read_request(body: bytes, named: Named = NOT_NAMED) -> Ask:  # noqa: ARG001 - the path tells nothing
    """Decode a client's body one level deep. Raises `GatewayError(BAD_REQUEST)`."""
    found = fields(body)
    model = model_of(found)
    if "prompt" not in found:
        raise bad("prompt", "is required", code="missing_required_parameter")
    return Ask(found, model, stream=bool(flag_of(found, "stream", "stream")), include_usage=True)


def estimate_input(ask: Ask) -> int:
    """Tokens of the prompt: one for every four bytes."""
    return guess.tokens(len(bytes(ask.fields["prompt"])))


def write_request(ask: Ask, model: str, facts: Facts, loss: Loss) -> Outgoing:
    """`model` replaced, and settings left out that the model refuses."""
    out = ask.fields | {"model": msgspec.Raw(encode(model))}
    for name in _SETTINGS:
        if name in out and name in facts.refuses:
            if bytes(out[name]) == b'"url"':
                loss.note(name)  # such a model gives the pictures themselves, whatever is asked
            elif name != "response_format":
                loss.drop(name, "this model does not take it")
            del out[name]
    return Outgoing(PATH, encode(out))


def read_reply(ask: Ask, body: bytes) -> tuple[Whole, bytes]:  # noqa: ARG001 - there is one spelling
    """What is told in passing: how many pictures there are, and the tokens of models that count such."""
    told = decoded(body, _shallow, _WHAT)
    usage, raw_usage = read_usage(told.usage)
    return Whole(msgspec.structs.replace(usage, images=len(told.data or ())), raw_usage, ""), body


def read(ask: Ask) -> Draw:
    """The whole question. A stream of half-made pictures cannot be had from another API."""
    if ask.stream:
        raise GatewayError(
            Kind.BAD_REQUEST,
            "The field 'stream' cannot be sent to this model: its API gives whole pictures only.",
            code="unsupported_parameter",
            param="stream",
        )
    top = Taken(values_of(ask.fields), "")
    for name in ("model", "stream"):
        top.any(name)
    prompt = top.text("prompt")
    if not prompt:
        raise bad("prompt", "must not be empty")
    n, wanted = top.whole("n"), top.text("response_format")
    if n is not None and not 1 <= n <= MOST:
        raise bad("n", f"must be 1 to {MOST}")
    if wanted not in {"", "url", "b64_json"}:
        raise bad("response_format", "must be 'url' or 'b64_json'")
    size = _size(top.text("size"))
    hints = tuple(name for name in _HINTS if top.any(name) not in (None, "auto", ""))
    left = top.left()
    shaping = tuple(name for name, value in left.items() if not _usual(name, value))
    return Draw(ask.model, prompt, n or 1, size, wanted == "url", shaping, hints)


def _size(told: str) -> tuple[int, int] | None:
    if told in {"", "auto"}:
        return None
    found = _SIZE.fullmatch(told)
    width, height = (int(found[1]), int(found[2])) if found else (0, 0)
    if not width or not height:
        raise bad("size", "must be 'auto' or WIDTHxHEIGHT, such as 1024x1024")
    return width, height


def _usual(name: str, value: Any) -> bool:
    return type(value) in {str, int} and value in _USUAL.get(name, ())


def write_answer(answer: Pictures, question: Draw, frame: Frame) -> bytes:  # noqa: ARG001 - canon has all it takes
    """The answer, always with the pictures themselves. Raises `GatewayError` where they were held back."""
    if not answer.pictures:
        raise GatewayError(
            Kind.UPSTREAM_REFUSED,
            f"The provider made no picture. {answer.refused}".rstrip(),
            status=400,
            code="content_policy_violation",
        )
    told: dict[str, Any] = {"created": frame.created, "data": [_picture(picture) for picture in answer.pictures]}
    form = _FORMATS.get(answer.pictures[0].media_type)
    if form is not None:
        told["output_format"] = form
    usage = answer.usage
    if usage.output:
        told["usage"] = {
            "input_tokens": usage.input,
            "output_tokens": usage.output,
            "total_tokens": usage.input + usage.output,
            "input_tokens_details": {"text_tokens": usage.input, "image_tokens": 0},
        }
    return encode(told)


def _picture(picture: Picture) -> dict[str, str]:
    told = {"b64_json": picture.data}
    return told | {"revised_prompt": picture.revised_prompt} if picture.revised_prompt else told

"""The content of a client's messages and of its tools' results, read into canon."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from trunkline.canon.chat import NOTHING, Cache, Citation, Json, Media, Other, Part, Refusal, Text
from trunkline.dialects.openai_responses.words import NAME
from trunkline.dialects.openai_shape.content import audio_type, file_kind, from_url, link, split_data_url
from trunkline.dialects.shallow import bad
from trunkline.dialects.taken import Taken

_LONG = frozenset({"1h", "12h", "24h"})
_BASE64_PDF = "JVBER"
"""How the base64 of a PDF begins."""


def read_content(told: object, path: str, vendor: Json = NOTHING) -> tuple[Part, ...]:
    """A text or a list of parts. `vendor` goes with each text. Raises `GatewayError(BAD_REQUEST)` with the path of what is
    wrong.
    """
    if isinstance(told, str):
        return (Text(told, vendor=vendor),) if told else ()
    if not isinstance(told, list):
        raise bad(path, "must be a string or an array")
    return tuple(_part(one, f"{path}[{at}]", vendor) for at, one in enumerate(told))


def read_annotation(told: object) -> Citation | None:
    """An annotation of a text; what is no web page stands whole in `vendor`. None for what is no object."""
    if not isinstance(told, dict):
        return None
    url, title, start, end = (told.get(name) for name in ("url", "title", "start_index", "end_index"))
    return Citation(
        url=url if isinstance(url, str) else "",
        title=title if isinstance(title, str) else "",
        start=start if type(start) is int else None,
        end=end if type(end) is int else None,
        vendor=NOTHING if told.get("type") == "url_citation" else told,
    )


def _part(one: Any, path: str, vendor: Json) -> Part:
    part = Taken(one, path)
    kind = part.text("type")
    read = _READERS.get(kind)
    if read is not None:
        return read(part)
    if kind not in _TEXTS:
        return Other(NAME, one)
    text = part.any("text")
    if not isinstance(text, str):
        raise bad(part.place("text"), "must be a string")
    found = [read_annotation(told) for told in part.items("annotations")]
    part.any("logprobs")
    cache = _cache(part)
    citations = tuple(citation for citation in found if citation is not None)
    return Text(text, citations=citations, cache=cache, vendor={**part.left(), **vendor})


def _cache(part: Taken) -> Cache:
    mark = part.object("prompt_cache_breakpoint")
    if mark is None:
        return ""
    return "1h" if Taken(mark, part.place("prompt_cache_breakpoint")).text("ttl") in _LONG else "5m"


def _refusal(part: Taken) -> Refusal:
    return Refusal(part.text("refusal"))


def _image(part: Taken) -> Media:
    url, file_id, cache = part.text("image_url"), part.text("file_id"), _cache(part)
    detail = part.text("detail").replace("auto", "")  # as where nothing is said
    if file_id:
        return Media("image", file_id=file_id, detail=detail, cache=cache, vendor=part.left())
    return from_url("image", _url(url, part.place("image_url")), detail=detail, cache=cache, vendor=part.left())


def _file(part: Taken) -> Media:
    data, url, file_id = part.text("file_data"), part.text("file_url"), part.text("file_id")
    name, cache = part.text("filename"), _cache(part)
    beside: dict[str, Any] = {"name": name, "cache": cache, "vendor": part.left()}
    if file_id:
        return Media("document", file_id=file_id, **beside)
    inside = split_data_url(data or url)
    if inside is not None:
        return Media(file_kind(inside[0]), inside[0], data=inside[1], **beside)
    if data:  # base64 alone
        pdf = data.startswith(_BASE64_PDF) or name.lower().endswith(".pdf")
        return Media("document", "application/pdf" if pdf else "", data=data, **beside)
    return Media("document", url=_url(url, part.place("file_url")), **beside)


def _audio(part: Taken) -> Media:
    told = Taken(part.object("input_audio"), part.place("input_audio"))
    return Media("audio", audio_type(told.text("format") or "wav"), data=told.text("data"), vendor=part.left())


def _url(told: str, path: str) -> str:
    url = told if split_data_url(told) is not None else link(told)
    if url is None:
        raise bad(path, "must be a data URL or a link")
    return url


_TEXTS = frozenset({"input_text", "output_text", "text", "summary_text", "reasoning_text"})
_READERS: Mapping[str, Callable[[Taken], Part]] = {
    "refusal": _refusal,
    "input_image": _image,
    "input_file": _file,
    "input_audio": _audio,
}

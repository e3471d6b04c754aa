"""One choice of an answer on its way into canon, from the deltas of a stream or from a whole message.

A whole message is one delta that says everything, so that both are read by the same rules. What frames them (events, ends,
usage) belongs in `reader` and `read_answer`.
"""

from __future__ import annotations

from typing import Any

import msgspec

from trunkline.canon.chat import NOTHING, Citation, Json, Media, Other, Part, Refusal, Seal, Text, Thinking
from trunkline.canon.stream import Cite, Close, Delta, Event, Extra, Finished, Open
from trunkline.dialects.openai_chat.calls import Calls, Numbers
from trunkline.dialects.openai_chat.details import NAME, Detail, continues, part_of, plain_text, read_extra, told_thinking
from trunkline.dialects.openai_shape.content import from_url
from trunkline.dialects.openai_shape.finish import read_reason

_MOST_HELD = 64
"""Citations and states that wait for the part they belong to."""


class Said(msgspec.Struct, gc=False):
    """A message or a delta. Nothing is typed: one strange field must not cost the others."""

    content: Any = None
    reasoning_content: Any = None
    """DeepSeek's, xAI's and z.ai's word."""
    reasoning: Any = None
    """Groq's, OpenRouter's and Ollama's word."""
    reasoning_details: Any = None
    refusal: Any = None
    tool_calls: Any = None
    function_call: Any = None
    annotations: Any = None
    images: Any = None
    audio: Any = None
    extra_content: Any = None


class Assembly:
    """Gives the events of one choice. A part of speech is closed when another kind of part begins, calls at the end."""

    __slots__ = ("_calls", "_choice", "_cites", "_last", "_logprobs", "_numbers", "_open", "_part", "_seal", "_spoken",
                 "_text_seal", "finish", "stop_sequence", "vendor")  # fmt: skip

    def __init__(self, choice: int, numbers: Numbers) -> None:
        self._choice = choice
        self._numbers = numbers
        self._calls = Calls(choice, numbers)
        self._part: type[Part] | None = None
        """What is being spoken; its number is `_open`, its state so far `_seal`."""
        self._open = -1
        self._seal: Seal | None = None
        self._spoken = False
        self._last: Detail | None = None
        self._text_seal: Seal | None = None
        """A state told for the message before there was a part to bear it."""
        self._cites: list[Citation] = []
        self._logprobs: list[Json] = []
        self.finish = ""
        """The provider's last word."""
        self.stop_sequence = ""
        self.vendor: dict[str, Any] = {}

    @property
    def failed(self) -> bool:
        """It says nothing but that it could not be made."""
        return not self._spoken and not self._calls.any and read_reason(self.finish, called=False) == "error"

    def take(self, said: Said, logprobs: object, out: list[Event]) -> None:
        """Take a delta or a message."""
        if said.reasoning_details or said.reasoning_content or said.reasoning:
            self._think(said, out)
        if logprobs is not None:
            self._logprobs += tokens(logprobs)
        if said.content:
            self._content(said.content, out)
        if said.refusal and isinstance(said.refusal, str):
            self._say(Refusal(""), said.refusal, out)
        if said.annotations or said.images or said.audio or said.extra_content:
            self._rare(said, out)
        if said.tool_calls or said.function_call:
            self._hush(out)
            self._calls.take(said.tool_calls, said.function_call, out)

    def cite(self, found: list[Citation], out: list[Event]) -> None:
        """Sources of the text that is being spoken, or of the next."""
        if self._part is Text:
            out += [Cite(self._open, one) for one in found]
        else:
            self._cites += found[: _MOST_HELD - len(self._cites)]

    def end(self, out: list[Event]) -> None:
        """The choice is whole."""
        if self._text_seal is not None and not self._calls.seal(self._text_seal):
            self._say(Text(""), "", out)
        self._hush(out)
        self._calls.end(out)
        reason = read_reason(self.finish, called=self._calls.any)
        if reason == "stop" and self.stop_sequence:
            reason = "stop_sequence"
        out.append(Finished(reason, self.finish, self.stop_sequence, self._choice, self.vendor))

    def _think(self, said: Said, out: list[Event]) -> None:
        for one in told_thinking(said.reasoning_details, said.reasoning_content, said.reasoning):
            self._detail(one, out)

    def _detail(self, one: Detail, out: list[Event]) -> None:
        if one.kind == "encrypted" and one.id and one.seal is not None and one.seal.family == "gemini":
            self._calls.keep(one.id, one.seal)
            return
        last = self._last
        beside = last is not None and last.value is NOTHING and not one.text  # the signature of a text told outside
        if self._part is Thinking and last is not None and (continues(one, last, self._seal) or beside):
            if one.text:
                out.append(Delta(self._open, one.text))
        else:
            part = part_of(one)
            if isinstance(part, Thinking):
                self._say(msgspec.structs.replace(part, text="", seal=None), part.text, out, fresh=True)
            else:
                self._whole(part, out)
        self._last = one
        self._seal = one.seal

    def _content(self, content: object, out: list[Event]) -> None:
        if isinstance(content, str):
            self._say(_TEXT, content, out)
        for one in content if isinstance(content, list) else ():
            if isinstance(one, dict):
                self._piece(one, out)

    def _piece(self, one: dict[str, Any], out: list[Event]) -> None:
        """A part of Mistral's content list."""
        told = one.get("thinking") if one.get("type") == "thinking" else None
        if isinstance(told, list):
            told = "".join(plain_text(inner.get("text")) for inner in told if isinstance(inner, dict))
        if isinstance(told, str):
            if told:
                self._say(Thinking(""), told, out)
            signature = plain_text(one.get("signature"))
            if signature and self._part is Thinking:
                self._seal = Seal(NAME, signature)
        elif isinstance(one.get("text"), str):
            if one["text"]:
                self._say(_TEXT, one["text"], out)
        elif (image := _image(one)) is not None:
            self._whole(image, out)
        else:
            self._whole(Other(NAME, one), out)

    def _rare(self, said: Said, out: list[Event]) -> None:
        if isinstance(said.annotations, list):
            self.cite([found for one in said.annotations if (found := _citation(one)) is not None], out)
        seal = read_extra(said.extra_content)
        if seal is not None and self._part is Text:
            self._seal = seal
        elif seal is not None:
            self._text_seal = seal
        for one in said.images if isinstance(said.images, list) else ():
            image = _image(one) if isinstance(one, dict) else None
            if image is not None:
                self._whole(image, out)
        if isinstance(said.audio, dict):
            out.append(Extra(NAME, {"choice": self._choice, "audio": said.audio}))

    def _say(self, empty: Part, text: str, out: list[Event], *, fresh: bool = False) -> None:
        """More of the part that is spoken, or the beginning of another."""
        if fresh or self._part is not type(empty):
            self._hush(out)
            self._spoken = True
            self._part, self._open = type(empty), self._numbers.part()
            out.append(Open(self._open, empty, self._choice))
            if isinstance(empty, Text):
                self._seal, self._text_seal = self._text_seal, None
                out += [Cite(self._open, one) for one in self._cites]
                self._cites = []
        if self._logprobs and self._part is not Thinking:
            out.append(Delta(self._open, text, tuple(self._logprobs)))
            self._logprobs.clear()
        elif text:
            out.append(Delta(self._open, text))

    def _whole(self, part: Part, out: list[Event]) -> None:
        self._hush(out)
        self._spoken = True
        number = self._numbers.part()
        out += [Open(number, part, self._choice), Close(number)]

    def _hush(self, out: list[Event]) -> None:
        """Close what is spoken."""
        if self._part is not None:
            out.append(Close(self._open, self._seal))
        self._part = self._seal = self._last = None


_TEXT = Text("")


def tokens(logprobs: object) -> tuple[Json, ...]:
    """The tokens of OpenAI's `logprobs`; other forms have none that are known here."""
    if not isinstance(logprobs, dict):
        return ()
    told = logprobs.get("content") or logprobs.get("refusal")
    return tuple(_token(one) for one in told if isinstance(one, dict)) if isinstance(told, list) else ()


def _token(one: dict[str, Any]) -> dict[str, Any]:
    """As writers may rely on it: its `top_logprobs` are objects, if there are any."""
    tops = one.get("top_logprobs")
    if tops is None or (isinstance(tops, list) and all(isinstance(top, dict) for top in tops)):
        return one
    return {**one, "top_logprobs": []}


def _image(one: dict[str, Any]) -> Media | None:
    """A generated picture, as OpenRouter tells it."""
    told = one.get("image_url")
    url = told.get("url") if isinstance(told, dict) else told
    return from_url("image", url) if one.get("type") == "image_url" and isinstance(url, str) and url else None


def _citation(one: object) -> Citation | None:
    """An annotation. OpenRouter quotes the page in `content`."""
    told = one.get("url_citation") if isinstance(one, dict) else None
    if not isinstance(told, dict):
        return None
    start, end = told.get("start_index"), told.get("end_index")
    return Citation(
        url=plain_text(told.get("url")),
        title=plain_text(told.get("title")),
        quote=plain_text(told.get("content")),
        start=start if type(start) is int else None,
        end=end if type(end) is int else None,
    )

"""A client's parameters read into canon: what is asked for beside the conversation and its tools."""

from __future__ import annotations

import msgspec

from trunkline.canon.chat import NOTHING, Chat, OutputFormat, Reasoning, Sampling
from trunkline.dialects.openai_responses.words import ENCRYPTED
from trunkline.dialects.taken import Taken

#: What the answer does not depend on: accounts, caches, tiers, what is kept and shown of it, and how a stream is dressed.
_HINTS = frozenset({
    "store", "metadata", "client_metadata", "service_tier", "prompt_cache_key", "prompt_cache_retention",
    "prompt_cache_options", "safety_identifier", "stream_options", "include", "text", "truncation", "context_management",
})  # fmt: skip
_LOGPROBS = "message.output_text.logprobs"
_DEFAULTS = {"truncation": "disabled"}
"""What means the same as nothing."""
_OFF = "none"
_SHOWN = "auto"
"""A summary in whatever detail the model has: that what it thinks is shown, and no more."""


def read_settings(chat: Chat, told: Taken) -> Chat:
    """The request with its parameters. Raises `GatewayError(BAD_REQUEST)` with the path of the field that is wrong."""
    include = told.texts("include")
    sampling = _sampling(told, logprobs=_LOGPROBS in include)
    text = Taken(told.object("text") or {}, "text")
    output = _output(text)
    reasoning = _reasoning(told)
    user = told.text("user") or told.text("safety_identifier")
    beside = {
        "include": [word for word in include if word not in {ENCRYPTED, _LOGPROBS}],
        "text": dict(text.left()),
    }
    left = {name: value for name, value in told.left().items() if _DEFAULTS.get(name) != value}
    vendor = {**left, **{name: value for name, value in beside.items() if value}}
    return msgspec.structs.replace(
        chat,
        sampling=sampling,
        output=output,
        reasoning=reasoning,
        user=user,
        vendor=vendor or NOTHING,
        hints=_HINTS & vendor.keys(),
    )


def _sampling(told: Taken, *, logprobs: bool) -> Sampling:
    most = told.whole("top_logprobs")
    return Sampling(
        temperature=told.number("temperature"),
        top_p=told.number("top_p"),
        logprobs=True if logprobs or most else None,
        top_logprobs=most or None,
    )


def _output(text: Taken) -> OutputFormat | None:
    form = text.object("format")
    if form is None:
        return None
    told = Taken(form, "text.format")
    kind = told.text("type")
    if kind == "json_object":
        return OutputFormat("json")
    if kind != "json_schema":
        return None
    return OutputFormat("schema", told.object("schema") or {}, told.text("name"), told.text("description"), told.flag("strict"))


def _reasoning(told: Taken) -> Reasoning | None:
    """A summary is what this API shows of it. What nobody said is the model's own measure."""
    reasoning = Taken(told.object("reasoning") or {}, "reasoning")
    effort, summary = reasoning.text("effort"), reasoning.text("summary") or reasoning.text("generate_summary")
    vendor = {**reasoning.left(), **({"summary": summary} if summary not in {"", _SHOWN} else {})}
    if not (effort or summary or vendor):
        return None
    off = effort == _OFF
    return Reasoning("off" if off else "on", "" if off else effort, show=True if summary else None, vendor=vendor or NOTHING)

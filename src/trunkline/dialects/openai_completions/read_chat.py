"""A client's whole request read into canon: the prompt is what a person says, and the model answers with what follows.

`echo` is not in canon: the prompt is put before the answer where that is written, for which the request itself is at hand.
"""

from __future__ import annotations

from typing import Any

from trunkline.canon.chat import Chat, Message, Sampling, Text
from trunkline.dialects.dialect import Ask
from trunkline.dialects.openai_completions.prompts import decoded, echoes, prompts_of
from trunkline.dialects.openai_completions.words import NAME, USUAL_TOKENS
from trunkline.dialects.shallow import bad
from trunkline.dialects.taken import Taken

_SEEN = ("model", "prompt", "stream", "echo")
"""What is read otherwise."""
_NOBODY_MINDS = frozenset({"stream_options", "service_tier", "store", "metadata"})


def read_chat(ask: Ask) -> Chat:
    """The request of one prompt; one of several is taken apart before (`prompts.split`). Raises `GatewayError(BAD_REQUEST)`."""
    prompts = prompts_of(ask)
    if len(prompts) > 1:
        raise bad("prompt", "must be one prompt here")
    told = Taken({name: decoded(raw, name) for name, raw in ask.fields.items()}, "")
    for name in _SEEN:
        told.any(name)
    choices, best_of = told.whole("n"), told.whole("best_of")
    harmless = set(_NOBODY_MINDS)
    if best_of == (choices or 1):  # as many as are answered: nothing is chosen from
        harmless.add("best_of")
    max_tokens = told.whole("max_tokens")
    stop, sampling, user = _stop(told), _sampling(told, ask), told.text("user")
    suffix = told.text("suffix")
    vendor = {**_options(told), **({"suffix": suffix} if suffix else {}), **told.left()}
    if best_of is not None:
        vendor["best_of"] = best_of
    return Chat(
        dialect=NAME,
        model=ask.model,
        messages=(Message("user", (Text(prompts[0]),)),),
        stream=ask.stream,
        max_tokens=USUAL_TOKENS if max_tokens is None else max_tokens,
        stop=stop,
        choices=choices,
        sampling=sampling,
        user=user,
        vendor=vendor,
        needed=frozenset({"suffix"}),
        hints=frozenset(harmless),
    )


def _stop(told: Taken) -> tuple[str, ...]:
    stop = told.any("stop")
    if stop is None or isinstance(stop, str):
        return (stop,) if stop else ()
    return tuple(Taken({"stop": stop}, "").texts("stop"))


def _sampling(told: Taken, ask: Ask) -> Sampling:
    """`logprobs` is how many of the likeliest tokens are wanted beside each; with `echo` those of the prompt are, too."""
    tops = told.whole("logprobs")
    if tops is not None and echoes(ask):
        raise bad("echo", "cannot be sent to this model together with 'logprobs': it does not tell those of the prompt")
    return Sampling(
        temperature=told.number("temperature"),
        top_p=told.number("top_p"),
        top_k=told.whole("top_k"),
        min_p=told.number("min_p"),
        seed=told.whole("seed"),
        frequency_penalty=told.number("frequency_penalty"),
        presence_penalty=told.number("presence_penalty"),
        logit_bias=told.object("logit_bias"),
        logprobs=None if tops is None else True,
        top_logprobs=tops,
    )


def _options(told: Taken) -> dict[str, Any]:
    """What is said of the stream beside that its usage is wanted."""
    options = {name: value for name, value in (told.object("stream_options") or {}).items() if name != "include_usage"}
    return {"stream_options": options} if options else {}

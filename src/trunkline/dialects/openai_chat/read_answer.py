"""A provider's whole answer read into canon. What a message means belongs in `assembly`."""

from __future__ import annotations

from typing import Any

from trunkline.canon.chat import Reply
from trunkline.canon.stream import Begin, Count, Event, Fold
from trunkline.canon.usage import NO_USAGE
from trunkline.dialects.errors import protocol
from trunkline.dialects.openai_chat.assembly import Assembly, Said, tokens
from trunkline.dialects.openai_chat.calls import Numbers
from trunkline.dialects.openai_chat.details import NAME, plain_text
from trunkline.dialects.openai_chat.reader import MOST_CHOICES, sources, unfinished
from trunkline.dialects.openai_shape.reply import NO_COMPLETION, decode, read_finish, whole
from trunkline.dialects.openai_shape.usage import read_usage

_ANSWER = frozenset({"id", "object", "created", "model", "choices", "usage", "error"})
_CHOICE = frozenset({"index", "message", "delta", "finish_reason", "logprobs"})
_MESSAGE = frozenset({*Said.__struct_fields__, "role"}) - {"audio"}


def read_answer(body: bytes, seed: str) -> Reply:
    """A 2xx whole answer. Raises `GatewayError`: the provider's own error inside a 200, an answer that is no chat completion,
    one that only says that it could not be made. `seed` is unique to the request.
    """
    answer = decode(body)
    usage, raw = read_usage(answer.usage, answer.service_tier)
    told = whole(body)
    choices = told.get("choices")
    found = [one for one in choices if isinstance(one, dict)] if isinstance(choices, list) else []
    if usage is NO_USAGE and (not isinstance(choices, list) or len(found) < len(choices)):
        raise protocol(NO_COMPLETION, body)
    numbers = Numbers(seed)
    assemblies = [_assembled(at, one, numbers) for at, one in enumerate(found[:MOST_CHOICES])]
    if assemblies and all(choice.failed for choice, _ in assemblies):
        raise unfinished(body)
    fold = Fold(NAME)
    created = told.get("created")
    vendor = {name: value for name, value in told.items() if name not in _ANSWER and value is not None}
    begun = created if type(created) is int and created > 0 else 0
    fold.add([Begin(plain_text(told.get("id")), plain_text(told.get("model")), begun, vendor), Count(usage, raw)])
    for choice, events in assemblies:
        choice.cite(sources(told.get("search_results"), told.get("citations")), events)
        choice.end(events)
        fold.add(events)
    return fold.reply()


def _assembled(at: int, one: dict[str, Any], numbers: Numbers) -> tuple[Assembly, list[Event]]:
    """A choice, all but ended, and what it says. Its place counts and not its index: they are the same where there is one."""
    choice = Assembly(at, numbers)
    told = one.get("message")
    message: dict[str, Any] = told if isinstance(told, dict) else {}
    events: list[Event] = []
    said = Said(**{name: message[name] for name in Said.__struct_fields__ if name in message})
    choice.take(said, one.get("logprobs"), events)
    choice.finish = read_finish(one.get("finish_reason"))
    choice.stop_sequence = read_finish(one.get("stop_reason"))
    choice.vendor = {name: value for name, value in one.items() if name not in _CHOICE and value is not None}
    if one.get("logprobs") and not tokens(one["logprobs"]):  # Together's form
        choice.vendor["logprobs"] = one["logprobs"]
    rest = {name: value for name, value in message.items() if name not in _MESSAGE and value is not None}
    if rest:
        choice.vendor["message"] = rest
    return choice, events

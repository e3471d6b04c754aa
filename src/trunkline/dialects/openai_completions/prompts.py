"""What a client wants gone on with: one prompt, or several, which no other API can be asked at once.

A request of several is taken apart here into requests of one, and their answers are joined. Asking them belongs in `pipeline`.
"""

from __future__ import annotations

from typing import Any

import msgspec

from trunkline.canon.chat import Choice, Reply, Text
from trunkline.canon.usage import total
from trunkline.dialects.dialect import Ask
from trunkline.dialects.shallow import bad, encode, flag_of

MOST = 20
"""Prompts of one request that are asked one after the other."""
_NULL = msgspec.Raw(b"null")
_MIXED = "must be a string or an array of strings"
_TOKENS = "holds token ids, which cannot be turned into text for another API: send the text"


def prompts_of(ask: Ask) -> tuple[str, ...]:
    """The prompts, never none. Raises `GatewayError(BAD_REQUEST)`, for token ids too: only their own model can read them."""
    told = decoded(ask.fields.get("prompt", _NULL), "prompt")
    if told is None:
        raise bad("prompt", "is required", code="missing_required_parameter")
    if isinstance(told, str):
        return (told,)
    if not isinstance(told, list):
        raise bad("prompt", _MIXED)
    if not told:
        raise bad("prompt", "must hold a prompt")
    if any(isinstance(one, int | list) for one in told):
        raise bad("prompt", _TOKENS)
    if not all(isinstance(one, str) for one in told):
        raise bad("prompt", _MIXED)
    return tuple(told)


def decoded(raw: msgspec.Raw, name: str) -> Any:
    """A field's value. Raises `GatewayError(BAD_REQUEST)`."""
    try:
        return msgspec.json.decode(raw)
    except (ValueError, RecursionError) as error:
        raise bad(name, f"cannot be read: {error}") from None


def echoes(ask: Ask) -> bool:
    """The prompt is to stand before the text of each answer."""
    return bool(flag_of(ask.fields, "echo", "echo"))


def before(ask: Ask) -> str:
    """What stands before the text of every answer. Answers to several prompts have it already, each its own: see `joined`."""
    if not echoes(ask):
        return ""
    prompts = prompts_of(ask)
    return prompts[0] if len(prompts) == 1 else ""


def split(ask: Ask) -> tuple[Ask, ...]:
    """The requests of one prompt each, for whole answers, that a request of several is; none where it is of one.

    Raises as `prompts_of` does, and for more than `MOST`.
    """
    prompts = prompts_of(ask)
    if len(prompts) == 1:
        return ()
    if len(prompts) > MOST:
        raise bad("prompt", f"holds {len(prompts)} prompts; at most {MOST} can be sent to this model at once")
    left = {name: raw for name, raw in ask.fields.items() if name not in {"stream", "stream_options"}}
    return tuple(
        msgspec.structs.replace(ask, fields=left | {"prompt": msgspec.Raw(encode(prompt))}, stream=False, include_usage=False)
        for prompt in prompts
    )


def joined(ask: Ask, replies: tuple[Reply, ...]) -> Reply:
    """One answer of those to the prompts of `ask`, in their order: answer j to prompt i is number i * n + j."""
    prompts = prompts_of(ask) if echoes(ask) else ()
    choices: list[Choice] = []
    for at, reply in enumerate(replies):
        head = (Text(prompts[at]),) if prompts else ()
        choices += (msgspec.structs.replace(choice, parts=(*head, *choice.parts)) for choice in reply.choices)
    raws = [reply.raw_usage for reply in replies if reply.raw_usage]
    return msgspec.structs.replace(
        replies[0],
        choices=tuple(choices),
        usage=total(reply.usage for reply in replies),
        raw_usage=f"[{','.join(raws)}]" if raws else "",
    )

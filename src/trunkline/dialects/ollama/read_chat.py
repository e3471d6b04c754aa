"""A client's request into canon. How messages are read is in `read_messages`."""

from __future__ import annotations

from typing import Any

import msgspec

from trunkline.canon.chat import NOTHING, Chat, Json, OutputFormat, Reasoning, Sampling, Tool
from trunkline.dialects.dialect import Ask
from trunkline.dialects.ollama.read_answer import NAME
from trunkline.dialects.ollama.read_messages import beside, read_messages, read_prompt
from trunkline.dialects.ollama.request import GENERATE
from trunkline.dialects.shallow import bad
from trunkline.dialects.taken import Taken

OPTION = "options."
"""How a field of `options` is called in `vendor`."""
GENERATES = ("suffix", "template", "context", "raw")
"""Fields of the generate form alone without which it would be another question. Empty ones, which the Python client sends,
say nothing."""
_LEVELS = frozenset({"minimal", "low", "medium", "high", "xhigh", "max"})
#: Fields that steer the server, not the answer (api/types.go: the `Runner` options, and how a full context is met).
_HINTS = frozenset(
    {"keep_alive", "truncate", "shift"}
    | {OPTION + name for name in (
        "num_ctx", "num_batch", "num_gpu", "main_gpu", "low_vram", "use_mmap", "use_mlock", "num_thread", "numa", "f16_kv",
        "vocab_only", "logits_all", "embedding_only", "num_keep", "draft_num_predict",
    )}
)  # fmt: skip


def read_chat(ask: Ask) -> Chat:
    """The whole request, of either form. Raises `GatewayError(BAD_REQUEST)` with the path of the field that is wrong.

    No messages is Ollama's question to load the model.
    """
    top = Taken({name: _value(name, raw) for name, raw in ask.fields.items()}, "")
    top.any("model")
    top.any("stream")
    messages = read_prompt(top) if ask.form == GENERATE else read_messages(top)
    options = Taken(top.object("options") or {}, "options")
    limit = options.whole("num_predict")
    chat = Chat(
        dialect=NAME,
        model=ask.model,
        messages=messages,
        stream=ask.stream,
        tools=tuple(_tool(Taken(value, f"tools[{at}]")) for at, value in enumerate(top.items("tools"))),
        max_tokens=limit if limit is not None and limit > 0 else None,
        stop=tuple(_stop(options)),
        sampling=_sampling(options, top),
        output=_format(top),
        reasoning=_think(top),
    )
    vendor = _vendor(top, options)
    if limit is not None and limit <= 0:  # -1 and -2: as much as there is room for
        vendor[OPTION + "num_predict"] = limit
    needed = frozenset(name for name in GENERATES if name in vendor)
    hints = {name for name in vendor if name in _HINTS} | ({OPTION + "num_predict"} & vendor.keys())
    return msgspec.structs.replace(chat, vendor=vendor or NOTHING, needed=needed, hints=frozenset(hints))


def _value(name: str, raw: msgspec.Raw) -> Any:
    try:
        return msgspec.json.decode(raw)
    except (ValueError, RecursionError) as error:
        raise bad(name, f"is not valid: {error}") from None


def _stop(options: Taken) -> list[str]:
    value = options.any("stop")
    listed = [value] if isinstance(value, str) else value
    return Taken({"stop": listed}, "options").texts("stop")


def _sampling(options: Taken, top: Taken) -> Sampling:
    return Sampling(
        temperature=options.number("temperature"),
        top_p=options.number("top_p"),
        top_k=options.whole("top_k"),
        min_p=options.number("min_p"),
        seed=options.whole("seed"),
        frequency_penalty=options.number("frequency_penalty"),
        presence_penalty=options.number("presence_penalty"),
        logprobs=top.flag("logprobs"),
        top_logprobs=top.whole("top_logprobs"),
    )


def _tool(taken: Taken) -> Tool:
    inner = Taken(taken.any("function"), taken.place("function"))
    name, description, parameters = inner.text("name"), inner.text("description"), inner.object("parameters")
    if not name:
        raise bad(inner.place("name"), "is required")
    taken.any("type")
    return Tool(name, description, parameters, vendor=beside(taken, inner))


def _format(top: Taken) -> OutputFormat | None:
    value = top.any("format")
    if value in (None, ""):
        return None
    if value == "json":
        return OutputFormat("json")
    if not isinstance(value, dict):
        raise bad("format", 'must be "json" or a JSON Schema')
    return OutputFormat("schema", schema=value)


def _think(top: Taken) -> Reasoning | None:
    value = top.any("think")
    if value is None:
        return None
    if isinstance(value, bool):
        return Reasoning("on", show=True) if value else Reasoning("off")
    if not isinstance(value, str) or value not in _LEVELS:
        raise bad("think", 'must be true, false, "low", "medium", "high" or "max"')
    return Reasoning("on", effort=value, show=True)


def _vendor(top: Taken, options: Taken) -> dict[str, Any]:
    told: Json = top.left()
    found = {name: value for name, value in told.items() if value or name not in GENERATES}
    return found | {OPTION + name: value for name, value in options.left().items()}

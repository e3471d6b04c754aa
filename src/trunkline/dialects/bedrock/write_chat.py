"""A whole request, written for a provider's model.

What is written is a function of the conversation and the model's facts alone: the same history gives the same bytes turn
after turn, or prompt caches and the signatures of thinking would not hold.
"""

from __future__ import annotations

from typing import Any

from trunkline.canon.chat import Chat
from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.facts import Facts
from trunkline.canon.loss import Loss
from trunkline.dialects import claude
from trunkline.dialects.bedrock.thinking import Thought, write_reasoning
from trunkline.dialects.bedrock.words import NAME, path
from trunkline.dialects.bedrock.write_messages import Turns, called, holds_thinking, limit_marks, needs_thinking
from trunkline.dialects.bedrock.write_tools import Tools
from trunkline.dialects.closed import subset
from trunkline.dialects.dialect import Outgoing
from trunkline.dialects.foreign import own_fields
from trunkline.dialects.parameters import max_tokens, taken
from trunkline.dialects.shallow import encode

_NO_SPACE = "Claude takes no sequence of white space, and Bedrock no empty one"


def write_chat(chat: Chat, model: str, facts: Facts, loss: Loss, *, ask_usage: bool) -> Outgoing:  # noqa: ARG001
    """The request. Usage is told unasked. Raises what `loss` raises."""
    turns = Turns(chat, facts, loss).write()
    if not turns.messages:
        raise GatewayError(Kind.BAD_REQUEST, "The conversation is empty.", param="messages")
    asked = max_tokens(chat, facts, loss)
    thought = _thought(chat, facts, loss, turns, asked)
    tools = Tools(chat, facts, loss)
    config = tools.write(list(dict.fromkeys(called(turns.messages))), thinking=thought.on)
    sampling = _sampling(chat, facts, loss, thought)
    if thought.alone and asked is not None:
        loss.drop("max_tokens", "the model takes no bound at this effort")
        asked = None
    inference = {
        "maxTokens": asked,
        "temperature": sampling.get("temperature"),
        "topP": sampling.get("top_p"),
        "stopSequences": claude.stops(chat, facts, loss, _NO_SPACE) or None,
    }
    own = thought.fields | ({"top_k": sampling["top_k"]} if "top_k" in sampling else {})
    output = _output(chat, facts, loss, turns.system) | ({"effort": thought.effort} if thought.effort else {})
    spaces = [config.get("tools", []), turns.system, *(message["content"] for message in turns.messages)]
    limit_marks(spaces, claude.MARKS, loss)
    body: dict[str, Any] = {
        "messages": turns.messages,
        "system": turns.system,
        "inferenceConfig": {name: value for name, value in inference.items() if value is not None},
        "toolConfig": config,
        "additionalModelRequestFields": own,
        "outputConfig": output,
    }
    _tell_rest(chat, loss)
    return Outgoing(
        path(model, stream=chat.stream), encode({name: value for name, value in body.items() if value}), b"", tools.names
    )


def _thought(chat: Chat, facts: Facts, loss: Loss, turns: Turns, asked: int | None) -> Thought:
    thought = write_reasoning(chat, facts, loss, max_tokens=asked if asked is not None else facts.max_output)
    if thought.budgeted and needs_thinking(turns.messages):
        loss.note("reasoning_effort")
        return Thought()
    if facts.binds_thinking and holds_thinking(turns.messages):
        thought.unbind()
    return thought


def _tell_rest(chat: Chat, loss: Loss) -> None:
    """What has no place in the request at all."""
    if chat.choices not in {None, 1}:
        loss.drop("n", "Bedrock's API gives one answer")
    if chat.user:
        loss.note("user")
    own_fields(chat, NAME, loss)


def _sampling(chat: Chat, facts: Facts, loss: Loss, thought: Thought) -> dict[str, Any]:
    wanted = claude.sampling(chat, loss, "Bedrock")
    if "top_k" in wanted and "top_k" not in facts.takes:
        loss.drop("top_k", "this model is not known to take it")
        del wanted["top_k"]
    if thought.on or thought.alone:
        wanted = claude.beside_thinking(wanted, loss, none=thought.alone)
    return claude.cooled(taken(wanted, facts, loss), loss)


def _output(chat: Chat, facts: Facts, loss: Loss, system: list[dict[str, Any]]) -> dict[str, Any]:
    """`outputConfig.textFormat`. What the API or the model cannot promise is asked for in words, at the end of `system`."""
    output = chat.output
    if output is None:
        return {}
    if output.kind == "schema" and output.schema is not None and facts.schema:
        told = {"schema": encode(subset(output.schema)).decode(), "name": output.name, "description": output.description}
        structure = {"jsonSchema": {name: value for name, value in told.items() if value}}
        return {"textFormat": {"type": "json_schema", "structure": structure}}
    system.append({"text": claude.asked_in_words(output, loss)})
    return {}

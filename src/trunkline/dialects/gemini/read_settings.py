"""What is asked of the model beside the conversation, read: tools, tool choice, and all of `generationConfig`.

What canon has no word for goes to the request's `vendor` under its path, such as `generationConfig.mediaResolution`, so that
a loss is told by the name of the field itself.
"""

from __future__ import annotations

from typing import Any, Literal

from trunkline.canon.chat import NOTHING, Json, Other, OutputFormat, Reasoning, Sampling, Tool, ToolChoice
from trunkline.dialects.gemini.schema import json_schema
from trunkline.dialects.gemini.words import NAME
from trunkline.dialects.google_shape.fields import Fields
from trunkline.dialects.shallow import bad

GENERATION, TOOL_CONFIG, CALLING = "generationConfig.", "toolConfig.", "toolConfig.functionCallingConfig."
HINTS = frozenset(
    {
        "safetySettings",
        "labels",
        "store",
        "serviceTier",
        GENERATION + "mediaResolution",
        GENERATION + "routingConfig",
        GENERATION + "modelConfig",
        GENERATION + "modelSelectionConfig",
        GENERATION + "audioTimestamp",
        GENERATION + "enableEnhancedCivicAnswers",
        TOOL_CONFIG + "includeServerSideToolInvocations",
        CALLING + "streamFunctionCallArguments",
    }
)
"""Fields that the answer does not depend on. Safety settings are among them: they set the provider's own filter."""
NEEDED = frozenset({"cachedContent"})
"""Fields that hold a part of the prompt."""
_JSON = "application/json"
_PLAIN = "text/plain"
_MODES: dict[str, Literal["auto", "none", "required"]] = {
    "AUTO": "auto",
    "NONE": "none",
    "ANY": "required",
    "VALIDATED": "auto",
}
_UNSPECIFIED = {"", "MODE_UNSPECIFIED", "THINKING_LEVEL_UNSPECIFIED"}


def read_tools(values: list[Any]) -> tuple[Tool | Other, ...]:
    """The declared functions, and Google's own tools as they are."""
    found: list[Tool | Other] = []
    for at, value in enumerate(values):
        entry = Fields(value, f"tools[{at}]")
        declared = entry.items("functionDeclarations")
        found += [_tool(one, f"tools[{at}].functionDeclarations[{number}]") for number, one in enumerate(declared)]
        if entry.left():
            found.append(Other(NAME, entry.left()))
    return tuple(found)


def _tool(value: object, place: str) -> Tool:
    fields = Fields(value, place)
    name, description = fields.text("name"), fields.text("description")
    if not name:
        raise bad(f"{place}.name", "is required")
    parameters, full = fields.object("parameters"), fields.object("parametersJsonSchema")
    schema = parameters if full is None else full
    return Tool(name, description, None if schema is None else json_schema(schema), vendor=fields.left())


def read_tool_config(config: Fields | None) -> tuple[ToolChoice | None, dict[str, Any]]:
    """The tool choice, and what rides in `vendor`. A mode `VALIDATED` is an `auto` that says so."""
    if config is None:
        return None, {}
    calling = config.fields("functionCallingConfig")
    vendor: dict[str, Any] = {TOOL_CONFIG + name: value for name, value in config.left().items()}
    if calling is None:
        return None, vendor
    mode, names = calling.text("mode").upper(), tuple(calling.texts("allowedFunctionNames"))
    vendor |= {CALLING + name: value for name, value in calling.left().items()}
    if mode in _UNSPECIFIED:
        return None, vendor
    if mode not in _MODES:
        raise bad("toolConfig.functionCallingConfig.mode", "must be AUTO, ANY, NONE or VALIDATED")
    return ToolChoice(_MODES[mode], names, {"mode": mode} if mode == "VALIDATED" else NOTHING), vendor


def read_generation(config: Fields | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Canon's fields of a request by name, and what rides in `vendor`."""
    if config is None:
        return {}, {}
    choices = config.whole("candidateCount")
    found: dict[str, Any] = {
        "max_tokens": config.whole("maxOutputTokens"),
        "stop": tuple(config.texts("stopSequences")),
        "choices": choices if choices != 1 else None,
        "sampling": Sampling(
            temperature=config.number("temperature"),
            top_p=config.number("topP"),
            top_k=config.whole("topK"),
            seed=config.whole("seed"),
            frequency_penalty=config.number("frequencyPenalty"),
            presence_penalty=config.number("presencePenalty"),
            logprobs=config.flag("responseLogprobs"),
            top_logprobs=config.whole("logprobs"),
        ),
        "output": _output(config),
        "reasoning": _reasoning(config.fields("thinkingConfig")),
    }
    if config.peek("responseModalities") == ["TEXT"]:  # what it is unasked
        config.any("responseModalities")
    return found, {GENERATION + name: value for name, value in config.left().items()}


def _output(config: Fields) -> OutputFormat | None:
    """A schema in any of the three places in which Google takes one."""
    media_type = config.peek("responseMimeType")
    if not isinstance(media_type, str | None):
        raise bad(config.place("responseMimeType"), "must be a string")
    schema, full = config.object("responseSchema"), config.object("responseJsonSchema")
    schema = schema if full is None else full
    if media_type is None and schema is None:
        return _response_format(config)
    if media_type in {None, _JSON}:
        config.any("responseMimeType")
        return OutputFormat("json") if schema is None else OutputFormat("schema", json_schema(schema))
    if media_type == _PLAIN:
        config.any("responseMimeType")
        return None
    return None if schema is None else OutputFormat("schema", json_schema(schema))  # text/x.enum stays in vendor


def _response_format(config: Fields) -> OutputFormat | None:
    """Vertex's newer `responseFormat`, a list of one: `{"text": {"mimeType", "schema"}}`."""
    formats = config.peek("responseFormat")
    only = formats[0] if isinstance(formats, list) and len(formats) == 1 else formats
    text = only.get("text") if isinstance(only, dict) and len(only) == 1 else None
    if not isinstance(text, dict):
        return None
    told = Fields(text, "generationConfig.responseFormat[0].text")
    media_type, schema = told.text("mimeType"), told.object("schema")
    if told.left() or media_type not in {"", _JSON}:
        return None
    config.any("responseFormat")
    return OutputFormat("json") if schema is None else OutputFormat("schema", json_schema(schema))


def _reasoning(config: Fields | None) -> Reasoning | None:
    """A budget of 0 is off, of -1 the model's own choice. That thoughts are not to be shown is what Gemini does unasked."""
    if config is None:
        return None
    budget, level, show = config.whole("thinkingBudget"), config.text("thinkingLevel"), config.flag("includeThoughts")
    effort = "" if level in _UNSPECIFIED else level.lower()
    vendor: Json = config.left()
    if budget is not None and effort:
        raise bad("generationConfig.thinkingConfig", "must have thinkingBudget or thinkingLevel, not both")
    if budget is None:
        return Reasoning("on", effort, None, show, vendor) if effort or show or vendor else None
    if budget <= 0:
        return Reasoning("off" if budget == 0 else "adaptive", "", None, show, vendor)
    return Reasoning("on", "", budget, show, vendor)

"""Tokens as Gemini counts them: thoughts beside the candidates, what tools read beside the prompt, what was cached inside.

The identity total = prompt + candidates + thoughts + tool use held in all recorded answers (733 of 733).
"""

from __future__ import annotations

from typing import Any

import msgspec

from trunkline.canon.usage import NO_USAGE, Usage
from trunkline.dialects.counts import count, raw_text

_COUNTED = b'TokenCount"'


def read_usage(told: object) -> tuple[Usage, str]:
    """The counts of a decoded `usageMetadata`, and its text; `NO_USAGE` where it counts neither prompt nor answer.

    A wrong type or a negative number is taken as absent; a part is never larger than its whole.
    """
    if not isinstance(told, dict):
        return NO_USAGE, ""
    prompt, candidates = count(told.get("promptTokenCount")), count(told.get("candidatesTokenCount"))
    thoughts = count(told.get("thoughtsTokenCount"))
    if prompt is candidates is thoughts is None:
        return NO_USAGE, ""
    whole = (prompt or 0) + (count(told.get("toolUsePromptTokenCount")) or 0)
    usage = Usage(
        input=whole,
        cache_read=min(whole, count(told.get("cachedContentTokenCount")) or 0),
        output=(candidates or 0) + (thoughts or 0),
        reasoning=thoughts or 0,
        audio_input=min(whole, _audio(told.get("promptTokensDetails"))),
        audio_output=min(candidates or 0, _audio(told.get("candidatesTokensDetails"))),
        basis="reported",
    )
    return usage, raw_text(msgspec.json.encode(told))


class Told:
    """The counts that a stream told last. They come with every piece and are wanted once, so they are read only then."""

    __slots__ = ("_raw",)

    def __init__(self) -> None:
        self._raw = b""

    def keep(self, raw: msgspec.Raw) -> None:
        """A `usageMetadata`; one that counts nothing, as Vertex sends them before the last, leaves what was told before."""
        told = bytes(raw)
        if _COUNTED in told:
            self._raw = told

    def read(self) -> tuple[Usage, str]:
        """As `read_usage`."""
        try:
            return read_usage(msgspec.json.decode(self._raw))
        except (ValueError, RecursionError):  # nothing was told, or a number no one can hold
            return NO_USAGE, ""


def write_usage(usage: Usage, raw: str) -> Any:
    """A `usageMetadata`; None where nothing was counted. A provider's own is given as it is."""
    if '"promptTokenCount"' in raw:
        return msgspec.Raw(raw.encode())
    if usage.basis == "none":
        return None
    told: dict[str, Any] = {
        "promptTokenCount": usage.input,
        "candidatesTokenCount": usage.output - usage.reasoning,
        "totalTokenCount": usage.input + usage.output,
    }
    counts = {"thoughtsTokenCount": usage.reasoning, "cachedContentTokenCount": usage.cache_read}
    told |= {name: number for name, number in counts.items() if number}
    for name, audio, rest in (
        ("promptTokensDetails", usage.audio_input, usage.input - usage.audio_input),
        ("candidatesTokensDetails", usage.audio_output, usage.output - usage.reasoning - usage.audio_output),
    ):
        if audio:
            told[name] = [{"modality": "TEXT", "tokenCount": rest}, {"modality": "AUDIO", "tokenCount": audio}]
    return told


def _audio(details: object) -> int:
    """Tokens of sound among the modalities of a count."""
    found = details if isinstance(details, list) else []
    return sum(count(one.get("tokenCount")) or 0 for one in found if isinstance(one, dict) and one.get("modality") == "AUDIO")

"""A usage object. `tokens` is what the model read and wrote; what of it is billed (`billed_units`) rides along in its text."""

from __future__ import annotations

import msgspec

from trunkline.canon.usage import NO_USAGE, Usage
from trunkline.dialects.cohere.words import table
from trunkline.dialects.counts import MOST_TOKENS, count, raw_text


def read_usage(told: object) -> tuple[Usage, str]:
    """The counts of a usage object, and its JSON text. `NO_USAGE` where it counts neither prompt nor answer.

    The prompt's tokens hold those read from a cache (recorded: 144 of 379), the answer's those thought. A wrong type or a
    negative number is taken as absent; a part is never larger than its whole.
    """
    usage = table(told)
    counts = table(usage.get("tokens")) or table(usage.get("billed_units"))
    prompt, answer = _count(counts.get("input_tokens")), _count(counts.get("output_tokens"))
    if prompt is None and answer is None:
        return NO_USAGE, ""
    prompt, answer = prompt or 0, answer or 0
    found = Usage(
        input=prompt,
        cache_read=min(prompt, _count(usage.get("cached_tokens")) or 0),
        output=answer,
        reasoning=min(answer, _count(counts.get("reasoning_tokens")) or 0),
        basis="reported",
    )
    return found, raw_text(msgspec.json.encode(usage))


def _count(value: object) -> int | None:
    """A count, which the API's own schema calls a number (`8.0`)."""
    return count(int(value) if isinstance(value, float) and 0 <= value <= MOST_TOKENS else value)

"""The words of the Gemini API that more than one file here needs.

What only one direction needs stands where it is used.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from trunkline.canon.chat import FinishReason, Medium

NAME = "gemini"
SSE, ARRAY, COUNT = "sse", "array", "count"
"""The forms of a request beside generateContent's own, which is empty: streamGenerateContent with and without `alt=sse`,
countTokens."""

BAD_NAME = re.compile(r"[^a-zA-Z0-9_.:-]|^[^a-zA-Z_]")
"""What a function's name may not hold (google-genai 3.4.0, FunctionDeclaration)."""
LONGEST_NAME = 128

_FILTERS = (
    "SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT",
    "IMAGE_RECITATION", "IMAGE_OTHER", "MODEL_ARMOR", "ESCALATION", "PUP_LIMITED_DISABLED",
)  # fmt: skip
_ERRORS = (
    "MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS", "MISSING_THOUGHT_SIGNATURE", "MALFORMED_RESPONSE",
    "OTHER", "NO_IMAGE",
)  # fmt: skip
#: `CONTINUATION`: the limit of one request was reached, and another could go on.
_FINISHES: Mapping[str, FinishReason] = MappingProxyType(
    {
        "STOP": "stop",
        "MAX_TOKENS": "length",
        "CONTINUATION": "length",
        **dict.fromkeys(_FILTERS, "content_filter"),
        **dict.fromkeys(_ERRORS, "error"),
    }
)
_WORDS: Mapping[FinishReason, str] = MappingProxyType({"length": "MAX_TOKENS", "content_filter": "SAFETY", "pause": "OTHER"})
_MEDIA: tuple[Medium, ...] = ("image", "audio", "video")


def read_finish(word: str, *, calls: bool, content: bool) -> FinishReason:
    """Canon's finish for a `finishReason`. Gemini says `STOP` where it calls tools too.

    A word not known here is a stop where there is an answer, and an error where there is none.
    """
    finish = _FINISHES.get(word)
    if finish is None:
        finish = "error" if not content else "stop" if word else ""
    return "tool_calls" if calls and finish in {"stop", ""} else finish


def means_filter(word: str) -> bool:
    """Whether a `finishReason` says that a filter ended the answer."""
    return _FINISHES.get(word) == "content_filter"


def write_finish(finish: FinishReason, native: str, *, malformed: bool) -> str:
    """The `finishReason` for canon's finish; the provider's own word where it is one of these and means the same.

    `malformed`: a tool call could not be written, because its arguments are no JSON object.
    """
    if _FINISHES.get(native) == finish:
        return native
    if finish in _WORDS:
        return _WORDS[finish]
    if malformed:
        return "MALFORMED_FUNCTION_CALL"
    return "OTHER" if finish == "error" else "STOP"


def medium(media_type: str) -> Medium:
    """The kind of a medium; what is neither seen nor heard is a document."""
    return next((kind for kind in _MEDIA if media_type.startswith(f"{kind}/")), "document")

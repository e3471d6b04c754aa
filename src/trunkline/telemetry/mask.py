"""What must not be seen in a log: credentials, and characters that could forge a line or command a terminal.

Pure text in, text out. Which credentials there are is told by the caller; everything that looks like one is masked besides.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

HIDDEN = "***"

MIN_SECRET = 6
"""Registered values shorter than this are not masked: they protect nothing and would blank out ordinary words."""

_LONGEST_SECRET = 4096
"""Characters beyond a cap that are still searched, so that a credential is not cut in half and its first half shown."""

_SHAPES = re.compile(
    r"tl-[A-Za-z0-9_-]{43,}"  # our own keys
    r"|(?<![A-Za-z0-9])sk-[A-Za-z0-9_*-]{8,}"  # OpenAI, Anthropic, OpenRouter, DeepSeek
    r"|(?i:bearer)\s+[A-Za-z0-9._~+/=*-]+"
)

# C0 and C1 control characters, DEL, line and paragraph separators, marks that turn the writing direction, lone surrogates.
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")


def _escape(match: re.Match[str]) -> str:
    r"""A character as text: `\n`, `\x1b`, `\u202e`."""
    return match.group().encode("unicode_escape").decode("ascii")


class Mask:
    """Cleans strings for a log line."""

    def __init__(self, secrets: Iterable[bytes] = ()) -> None:
        """`secrets`: credential values, as the bytes that go over the wire."""
        values = {text for secret in secrets if len(text := secret.decode("utf-8", "replace")) >= MIN_SECRET}
        longest_first = sorted(values, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, longest_first))) if values else None
        self._marks = ("tl-", "sk-", *longest_first)

    def text(self, text: str, cap: int) -> str:
        """`text` without secrets and control characters, at most `cap` characters of the original."""
        if len(text) > cap:
            text = text[: self._whole(text[: cap + _LONGEST_SECRET], cap, cut_before=True)] + "…"
        return _UNSEEN.sub(_escape, self._hide(text))

    def tail(self, text: str, cap: int) -> str:
        """As `text`, but the end is kept."""
        if len(text) > cap:
            text = text[-(cap + _LONGEST_SECRET) :]
            text = "…" + text[self._whole(text, len(text) - cap, cut_before=False) :]
        return _UNSEEN.sub(_escape, self._hide(text))

    def clean(self, texts: Iterable[str], cap: int) -> bool:
        """Whether `text` would leave all of these as they are. Says no when in doubt; almost always it is yes."""
        together = " ".join(texts)
        return len(together) <= cap and together.isprintable() and not self._suspect(together)

    def _suspect(self, text: str) -> bool:
        """Whether `text` may hold a secret; cheaper by far than the patterns."""
        for mark in self._marks:
            if mark in text:
                return True
        return "bearer" in text.lower()

    def _hide(self, text: str) -> str:
        if not self._suspect(text):
            return text
        # Known values first: one may hold characters at which a shape would end too early.
        if self._known is not None:
            text = self._known.sub(HIDDEN, text)
        return _SHAPES.sub(HIDDEN, text)

    def _whole(self, text: str, cut: int, *, cut_before: bool) -> int:
        """A place to cut near `cut` that leaves no half of a secret, which the patterns would not know any more."""
        for pattern in (self._known, _SHAPES):
            for match in pattern.finditer(text) if pattern is not None else ():
                if match.start() < cut < match.end():
                    cut = match.start() if cut_before else match.end()
        return cut

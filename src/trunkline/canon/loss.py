"""What a translation could not carry. Every loss has a name and is told to the caller; none happens in silence.

Which loss is which is declared where a dialect is written; this only keeps the rule.
"""

from __future__ import annotations

from trunkline.canon.errors import GatewayError, Kind


class Loss:
    """The losses of one request. A parameter is spelled as OpenAI does, whatever the caller's dialect (`logit_bias`, `n`);
    content is called by its place in canon (`messages[2].content[0]`), and what only the caller's dialect has as it is there.
    """

    __slots__ = ("_strict", "names")

    def __init__(self, *, strict: bool) -> None:
        """`strict`: a dropped parameter is an error (a model's `unsupported: strict`)."""
        self._strict = strict
        self.names: dict[str, None] = {}
        """What was dropped, in order, each once."""

    def drop(self, name: str, why: str = "") -> None:
        """A parameter that shapes the answer cannot be carried. Raises `GatewayError(BAD_REQUEST)` under `strict`.

        `why` completes "The field 'x' cannot be sent to this model: ...".
        """
        if self._strict:
            raise self.refuse(name, why)
        self.names[name] = None

    def note(self, name: str) -> None:
        """Something that the answer does not depend on (a hint, another model's state) is left out, strict or not."""
        self.names[name] = None

    def refuse(self, name: str, why: str = "") -> GatewayError:
        """The error for what must not be left out, strict or not: the model would answer another question. Raise it."""
        reason = f": {why}" if why else ""
        return GatewayError(
            Kind.BAD_REQUEST,
            f"The field '{name}' cannot be sent to this model{reason}.",
            code="unsupported_parameter",
            param=name,
        )

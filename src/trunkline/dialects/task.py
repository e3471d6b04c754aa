"""Families beside chat: one question, one whole answer. What a dialect says of such a family stands behind two interfaces.

Same dialect on both sides: bytes pass (`read_request`, `write_request`, `read_reply`). Else the question goes through canon:
`read` and `write`, and back `read_answer` and `write_answer`. Which families there are is told in `tasks`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Generic, Protocol, TypeVar

import msgspec

from trunkline.canon.facts import Facts
from trunkline.canon.loss import Loss
from trunkline.dialects.dialect import Ask, Frame, Named, Outgoing, Whole

Question = TypeVar("Question")
Answer = TypeVar("Answer")
Question_contra = TypeVar("Question_contra", contravariant=True)
Answer_contra = TypeVar("Answer_contra", contravariant=True)
Answer_co = TypeVar("Answer_co", covariant=True)


class ClientSide(Protocol[Question, Answer_contra]):
    """A family as clients of a dialect speak it."""

    def read_request(self, body: bytes, named: Named) -> Ask:
        """Decode a client's body one level deep. Raises `GatewayError(BAD_REQUEST)` that names what is wrong."""
        ...

    def estimate_input(self, ask: Ask) -> int:
        """Tokens of the question guessed from its size, where nobody tells them."""
        ...

    def write_request(self, ask: Ask, model: str, facts: Facts, loss: Loss) -> Outgoing:
        """The request for a provider of the same dialect: `model` replaced, what the facts say it refuses left out and told
        to `loss`, the rest byte for byte.
        """
        ...

    def read_reply(self, ask: Ask, body: bytes) -> tuple[Whole, bytes]:
        """What such a provider's 2xx answer tells in passing, and the answer to give: nearly always `body` itself.

        Raises `GatewayError` where it is an error or no answer.
        """
        ...

    def read(self, ask: Ask) -> Question:
        """The whole question. Raises `GatewayError(BAD_REQUEST)` with the path of the field that is wrong."""
        ...

    def write_answer(self, answer: Answer_contra, question: Question, frame: Frame) -> bytes:
        """The whole answer for the client. Raises `GatewayError` where it has none to give."""
        ...


class ProviderSide(Protocol[Question_contra, Answer_co]):
    """A family as providers of a dialect speak it."""

    def write(self, question: Question_contra, model: str, facts: Facts, loss: Loss) -> tuple[Outgoing, ...]:
        """The requests to ask: several where one takes less than the question holds. What cannot be said is told to `loss`,
        which may raise.
        """
        ...

    def read_answer(self, bodies: Sequence[bytes]) -> Answer_co:
        """The 2xx answers to those, in their order, as one; also to some of them. Raises `GatewayError` where they are none."""
        ...


class Family(msgspec.Struct, Generic[Question, Answer], frozen=True):
    """What is known of a family, by the dialects' names."""

    noun: str
    """For messages: `embeddings`."""
    clients: Mapping[str, ClientSide[Question, Answer]]
    providers: Mapping[str, ProviderSide[Question, Answer]]

    def spoken(self, name: str) -> bool:
        """Whether providers of a dialect may have it."""
        return name in self.providers or name in self.clients

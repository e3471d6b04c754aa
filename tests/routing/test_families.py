"""Who is asked where nothing is translated."""

from __future__ import annotations

import pytest

from trunkline.canon.errors import GatewayError
from trunkline.canon.wire import Deadlines, Origin
from trunkline.providers.provider import Provider, Target
from trunkline.routing.families import of_model, of_none, speech
from trunkline.routing.route import Route


def provider(name: str, *families: str, speaks: dict[str, str] | None = None) -> Provider:
    """A provider that has these."""
    return Provider(name, "openai", Origin("http", name, 80), speaks or {"openai_chat": "/v1"}, families=frozenset(families))


ONE, OTHER, NONE = provider("one", "files", "speech"), provider("other", "files"), provider("none")
WHO = "This request names no model: say in the header x-trunkline-provider who is meant."
MANY = [provider(f"p{number}", "files") for number in range(9)]


def test_a_model_s_provider_must_have_the_family() -> None:
    """A model that only chats cannot speak: said at once, with who can."""
    route = Route("m", (Target(ONE, "x"),), Deadlines())
    assert of_model(route, "speech", [ONE, OTHER]) is route, "who has all needs no other route"
    with pytest.raises(GatewayError) as caught:
        of_model(Route("m", (Target(OTHER, "x"),), Deadlines()), "speech", [ONE, OTHER])
    assert caught.value.message == "The provider 'other' has no speech. It is had from: one."
    assert (caught.value.status, caught.value.code) == (400, "unsupported_endpoint")


@pytest.mark.parametrize(
    ("targets", "fallbacks", "asked", "then"),
    [
        ([ONE, OTHER], [NONE], [ONE], []),
        ([NONE, ONE], [OTHER, ONE], [ONE], [ONE]),
        ([OTHER], [NONE, ONE], [ONE], []),
    ],
)
def test_those_that_have_the_family_are_asked(
    targets: list[Provider], fallbacks: list[Provider], asked: list[Provider], then: list[Provider]
) -> None:
    """Nobody is asked for what he does not have; where only fallbacks have it, they are the targets."""
    route = Route(
        "m", tuple(Target(one, "x") for one in targets), Deadlines(), fallbacks=tuple(Target(one, "x") for one in fallbacks)
    )
    left = of_model(route, "speech", [])
    assert [target.provider for target in left.targets] == asked
    assert [target.provider for target in left.fallbacks] == then


def test_without_a_model_the_only_one_is_meant() -> None:
    """With one provider, nobody need name it."""
    assert of_none("speech", "", [NONE, ONE, OTHER], []) is ONE
    assert of_none("files", "other", [NONE, ONE, OTHER], []) is OTHER


@pytest.mark.parametrize(
    ("family", "named", "providers", "shown", "message"),
    [
        ("files", "", [ONE, OTHER], [NONE, ONE, OTHER], f"{WHO} It is had from: one, other."),
        ("files", "", MANY, MANY, f"{WHO} It is had from: p0, p1, p2, p3, p4, p5, p6, p7, …."),
        ("files", "", [ONE, OTHER], [OTHER], f"{WHO} It is had from: other."),
        ("files", "", [ONE, OTHER], [], WHO),
        ("speech", "other", [ONE, OTHER], [ONE], "There is no provider 'other' that has speech. It is had from: one."),
        ("speech", "other", [ONE, OTHER], [OTHER], "There is no provider 'other' that has speech."),
        ("rerank", "", [ONE], [ONE], "No configured provider has rerank."),
    ],
)
def test_a_doubt_is_told_with_the_choices(
    family: str, named: str, providers: list[Provider], shown: list[Provider], message: str
) -> None:
    """A file must not go to whoever comes first; and a key is told of no provider that it may not use."""
    with pytest.raises(GatewayError) as caught:
        of_none(family, named, providers, shown)
    assert (caught.value.status, caught.value.message) == (400, message)


def test_families_stand_where_openai_s_chat_does() -> None:
    """Below the base path of what a provider speaks in OpenAI's form; Cohere's below its own."""
    assert speech(provider("a", speaks={"gemini": "/g", "openai_chat": "/o", "openai_responses": "/r"})) == "openai_chat"
    assert speech(provider("a", speaks={"openai_responses": "/r"})) == "openai_responses"
    assert speech(provider("a", speaks={"cohere": "/v2"})) == "cohere"

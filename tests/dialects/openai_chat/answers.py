"""Answers for the tests of both writers: any answer that OpenAI's form can tell, as hypothesis draws it."""

from __future__ import annotations

from hypothesis import strategies as st

from trunkline.canon.chat import Choice, Citation, Media, Part, Refusal, Reply, Seal, Text, Thinking, ToolCall
from trunkline.canon.usage import Usage

WORDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
SEALS = st.builds(
    Seal, st.sampled_from(["anthropic", "gemini", "ollama", "openai_chat"]), st.text("abc+/", min_size=1, max_size=4)
)
THOUGHTS = st.lists(st.builds(Thinking, WORDS, SEALS) | st.builds(Thinking, st.just(""), SEALS, st.just(True)), max_size=2)
UNSEALED = st.builds(Thinking, WORDS).map(lambda part: [part])
CALLS = st.lists(
    st.builds(ToolCall, WORDS, WORDS, st.sampled_from(["{}", '{"a":1}', '{"a":']), st.none() | SEALS),
    max_size=3,
    unique_by=lambda call: call.id,
)
CITATIONS = st.lists(st.builds(Citation, WORDS, WORDS, WORDS, st.just(0), st.just(1)), max_size=2).map(tuple)
TEXTS = st.builds(Text, WORDS, st.none() | SEALS, CITATIONS).map(lambda part: [part])
IMAGES = st.just([Media("image", "image/png", data="QUJD")])


@st.composite
def choices(draw: st.DrawFn) -> Choice:
    """Thinking, text, pictures and calls, in the only order that the form has."""
    parts: list[Part] = [
        *draw(THOUGHTS | UNSEALED),
        *draw(st.just([]) | TEXTS | st.builds(Refusal, WORDS).map(lambda part: [part])),
        *draw(st.just([]) | IMAGES),
        *draw(CALLS),
    ]
    called = any(isinstance(part, ToolCall) for part in parts)
    finish = "tool_calls" if called else draw(st.sampled_from(["stop", "length", "content_filter"]))
    return Choice(tuple(parts), finish, native_finish=finish)


REPLIES = st.builds(
    Reply,
    st.just("anthropic"),
    WORDS,
    WORDS,
    st.lists(choices(), min_size=1, max_size=2).map(tuple),
    st.builds(
        Usage, input=st.integers(5, 99), cache_read=st.integers(0, 5), output=st.integers(1, 99), basis=st.just("reported")
    ),
    created=st.integers(1, 10**9),
)

"""What models said, put back into histories that lost it: only where it fits, only the tenant's own, never over the bound."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
from hypothesis import event, given
from hypothesis import strategies as st
from msgspec import structs

from trunkline.canon.chat import (
    Chat,
    Choice,
    Citation,
    Media,
    Message,
    Other,
    Part,
    Refusal,
    Reply,
    Seal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from trunkline.dialects.names import made_id
from trunkline.pipeline.memory import ENTRY_BYTES, Memory

SIGNED = Thinking("let me see", Seal("anthropic", "SIG"))
CALL = ToolCall("t1", "weather", '{"city": "Oslo", "days": 1}')
ASKED = Message("user", (Text("Will it rain?"),))


class Clock:
    """Seconds, as the test says."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Now."""
        return self.now


def memory(max_bytes: int = 1_000_000, ttl: float = 60.0, clock: Any = None) -> Memory:
    """A fresh one."""
    return Memory(max_bytes, ttl, clock or Clock())


def reply(*parts: Part, dialect: str = "anthropic") -> Reply:
    """An answer of one choice."""
    return Reply(dialect, "id", "m", (Choice(parts, "stop"),))


def chat(*messages: Message, dialect: str = "ollama") -> Chat:
    """A history."""
    return Chat(dialect, "m", messages)


def said(*parts: Part, **fields: Any) -> Message:
    """A message of the assistant."""
    return Message("assistant", parts, **fields)


def back(parts: tuple[Part, ...], shown: tuple[Part, ...]) -> tuple[Part, ...]:
    """The parts that come back for `shown`, where `parts` were kept."""
    kept = memory()
    kept.keep("a", reply(*parts), chat(ASKED))
    return kept.restore("a", chat(ASKED, said(*shown))).messages[1].parts


@pytest.mark.parametrize(
    ("parts", "shown"),
    [
        ((SIGNED, Text("Looking."), CALL), (Text("Looking."), CALL)),
        ((SIGNED, CALL), (CALL,)),
        ((SIGNED, CALL), (structs.replace(CALL, arguments='{"days":1.0,"city":"Oslo"}'),)),
        ((SIGNED, ToolCall("t1", "now", "{}")), (ToolCall("t1", "now", " {} "),)),
        ((SIGNED, ToolCall("t1", "now", "{}")), (ToolCall("t1", "now", ""),)),
        ((SIGNED, ToolCall("t1", "f", '{"a": [1, {"b": 2.5, "c": 0}]}')), (ToolCall("t1", "f", '{"a":[1,{"c":0,"b":2.5}]}'),)),
        ((SIGNED, ToolCall("t1", "now", "{not json")), (ToolCall("t1", "now", "{not json"),)),
        ((SIGNED, ToolCall("t1", "now", "[" * 5000)), (ToolCall("t1", "now", "[" * 5000),)),
        ((SIGNED, CALL, ToolCall("t2", "now", "{}")), (CALL, ToolCall("t2", "now", "{}"))),
        ((SIGNED, Text("It "), Text("rains.")), (Text("It rains."),)),
        ((SIGNED, Text("It rains.")), (Text("It "), Text("rains."))),
        ((SIGNED, Text("It rains.", seal=Seal("gemini", "S"))), (Thinking("let me see"), Text("It rains."))),
        ((SIGNED, Refusal("No.")), (Text("No."),)),
        ((SIGNED, Refusal("No.")), (Refusal("No."),)),
        ((Thinking("", Seal("anthropic", "R"), redacted=True), Text("Yes.")), (Text("Yes."),)),
        ((SIGNED, Text("See.", citations=(Citation("https://a.example", "A", start=1),))), (Text("See."),)),
        ((SIGNED, Other("anthropic", {"type": "server_tool_use"}), Text("Found.")), (Text("Found."),)),
        ((ToolCall("t1", "f", "{}", seal=Seal("gemini", "S")),), (ToolCall("t1", "f", "{}"),)),
    ],
)  # fmt: skip
def test_what_is_unchanged_comes_back(parts: tuple[Part, ...], shown: tuple[Part, ...]) -> None:
    """A provider that demands its signatures again would refuse the next turn of a client that has no slot for them."""
    assert back(parts, shown) == parts


@pytest.mark.parametrize(
    ("parts", "shown"),
    [
        ((SIGNED, Text("It rains.")), (Text("It snows."),)),
        ((SIGNED, Text("It rains.")), (Text("It rains. "),)),
        ((SIGNED, Text("It rains.")), ()),
        ((SIGNED, Text("It rains.")), (Text("It rains."), CALL)),
        ((SIGNED, CALL), (structs.replace(CALL, id="t2"),)),
        ((SIGNED, CALL), (structs.replace(CALL, name="time"),)),
        ((SIGNED, CALL), (structs.replace(CALL, arguments='{"city": "Oslo", "days": 2}'),)),
        ((SIGNED, CALL), (structs.replace(CALL, arguments='{"city": "Oslo", "days": true}'),)),
        ((SIGNED, CALL), (structs.replace(CALL, arguments='{"city": "Oslo", "days": "1"}'),)),
        ((SIGNED, ToolCall("t1", "f", '{"a":{}}')), (ToolCall("t1", "f", '{"a":[]}'),)),
        ((SIGNED, CALL, ToolCall("t2", "now", "{}")), (CALL,)),
        ((SIGNED, CALL, ToolCall("t2", "now", "{}")), (ToolCall("t2", "now", "{}"), CALL)),
        ((SIGNED, CALL), (Text("Looking."), CALL)),
        ((SIGNED, Text("x")), (Thinking("mine", Seal("ollama", "own")), Text("x"))),
        ((SIGNED, Text("x")), (Text("x", seal=Seal("gemini", "own")),)),
        ((SIGNED, Text("x")), (Text("x"), Media("image", "image/png", "AAAA"))),
        ((SIGNED, Text("x")), (Text("x"), Other("ollama", {}))),
    ],
)
def test_what_the_client_changed_stays_as_it_is(parts: tuple[Part, ...], shown: tuple[Part, ...]) -> None:
    """The client's word holds: a signature over other words is an error, and other words are what it wants."""
    assert back(parts, shown) == shown


def test_only_the_assistants_words_are_touched() -> None:
    """A user who quotes the model is a user."""
    kept = memory()
    kept.keep("a", reply(SIGNED, Text("It rains.")), chat(ASKED))
    history = chat(Message("user", (Text("It rains."),)), Message("system", (Text("It rains."),)))
    assert kept.restore("a", history) is history


def test_the_first_message_may_be_the_assistants() -> None:
    """A history cut to its end is another conversation: a signature that is bound to what came before would be an error."""
    kept = memory()
    for parts in ((SIGNED, Text("It rains.")), (SIGNED, CALL)):
        kept.keep("a", reply(*parts), chat(ASKED))
    for shown in (Text("It rains."), CALL):
        cut = chat(said(shown))
        assert kept.restore("a", cut) is cut
    kept.keep("a", reply(SIGNED, CALL), chat())
    assert kept.restore("a", chat(said(CALL))).messages[0].parts == (SIGNED, CALL)


def test_the_same_words_in_another_conversation_are_not_known() -> None:
    """One key serves many users: what a model thought for one of them must not be told, or thought on, for another."""
    kept = memory()
    systems = [Message("system", (Text(text),)) for text in ("You serve Ada.", "You serve Bob.")]
    answers = [(Thinking(text, Seal("anthropic", text)), CALL) for text in ("ada", "bob")]
    for system, parts in zip(systems, answers, strict=True):
        kept.keep("a", reply(*parts), chat(system, ASKED))
    for system, parts in zip(systems, answers, strict=True):
        for shown in (said(CALL), nameless(parts)):
            assert kept.restore("a", chat(system, ASKED, shown)).messages[2].parts == parts
    history = chat(Message("system", (Text("You serve Eve."),)), ASKED, said(CALL))
    assert kept.restore("a", history) is history


def test_names_and_fields_of_the_message_stay() -> None:
    """They are the client's, not the provider's."""
    kept = memory()
    kept.keep("a", reply(SIGNED, Text("Yes.")), chat(ASKED))
    found = kept.restore("a", chat(ASKED, said(Text("Yes."), name="Ann", vendor={"x": 1}))).messages[1]
    assert found == said(SIGNED, Text("Yes."), name="Ann", vendor={"x": 1})


def test_an_unknown_tenant_gets_nothing() -> None:
    """What was said to one tenant must never leak to another, whatever that one sends."""
    kept = memory()
    kept.keep("a", reply(SIGNED, CALL), chat())
    history = chat(ASKED, said(CALL))
    for tenant in ("b", "", "aa", "A", "a\0"):
        assert kept.restore(tenant, history) is history


def test_cache_marks_are_the_clients() -> None:
    """Where it put them; a mark on its text goes to the end of the text, which may have been cut in two."""
    kept = memory()
    two = ToolCall("t2", "now", "{}")
    kept.keep("a", reply(SIGNED, Text("Look"), Text("ing."), structs.replace(CALL, cache="5m"), two), chat(ASKED))
    shown = (Text("Looking.", cache="1h"), CALL, structs.replace(two, cache="5m"))
    found = kept.restore("a", chat(ASKED, said(*shown))).messages[1].parts
    assert found == (SIGNED, Text("Look"), Text("ing.", cache="1h"), CALL, structs.replace(two, cache="5m"))
    assert kept.restore("a", chat(ASKED, said(*found[1:]))).messages[1].parts == found


def test_the_providers_own_words_are_for_its_own_dialect() -> None:
    """`vendor` is read as the client's dialect's: an Anthropic word in a Gemini client's history would be told as a loss."""
    parts = (SIGNED, Text("a", vendor={"x": 1}), structs.replace(CALL, vendor={"caller": {}}), Refusal("b"))
    shown = (Text("ab"), CALL)
    for dialect, vendors in (("anthropic", [{}, {"x": 1}, {"caller": {}}]), ("gemini", [{}, {}, {}])):
        kept = memory()
        kept.keep("a", reply(*parts), chat(ASKED))
        found = kept.restore("a", chat(ASKED, said(*shown), dialect=dialect)).messages[1].parts
        assert [dict(part.vendor) for part in found if not isinstance(part, Refusal | Other)] == vendors


def test_every_choice_is_kept() -> None:
    """With `n`, the client goes on with any of them."""
    kept = memory()
    first, second = (SIGNED, Text("one")), (Thinking("other"), Text("two"))
    kept.keep(
        "a",
        Reply("anthropic", "id", "m", (Choice(first, "stop"), Choice(second, "stop"), Choice((SIGNED,), "stop"))),
        chat(ASKED),
    )
    assert len(kept) == 2  # the third has nothing to be known by
    for parts in (first, second):
        assert kept.restore("a", chat(ASKED, said(parts[1]))).messages[1].parts == parts


def test_of_answers_that_look_alike_the_newer_holds() -> None:
    """Who asks the same twice gets the same words: with no state at all the second conversation could not go on."""
    kept = memory()
    history = chat(ASKED, said(Text("Done.")))
    kept.keep("a", reply(SIGNED, Text("Done.")), chat(ASKED))
    kept.keep("a", reply(SIGNED, Text("Done.")), chat(ASKED))
    assert kept.restore("a", history).messages[1].parts == (SIGNED, Text("Done."))
    for thought in ("other", "let me see"):
        kept.keep("a", reply(Thinking(thought, Seal("anthropic", "2")), Text("Done.")), chat(ASKED))
        assert kept.restore("a", history).messages[1].parts[0].text == thought  # type: ignore[union-attr]


def test_an_answer_is_known_by_what_it_answered() -> None:
    """Where the request is told too, the same words after other words are another answer."""
    kept = memory()
    questions = ["Is it raining?", "Is it snowing?"]
    for number, question in enumerate(questions):
        asked = chat(ASKED, Message("user", (Text(question),)))
        kept.keep("a", reply(Thinking(f"{number}", Seal("anthropic", f"{number}")), Text("Yes.")), asked)
    for number, question in enumerate(questions):
        found = kept.restore("a", chat(ASKED, Message("user", (Text(question),)), said(Text("Yes.")))).messages[2].parts
        assert found == (Thinking(f"{number}", Seal("anthropic", f"{number}")), Text("Yes."))
    history = chat(ASKED, Message("user", (Text("Is it warm?"),)), said(Text("Yes.")))
    assert kept.restore("a", history) is history
    rain = results("t1")
    kept.keep("a", reply(SIGNED, Text("Yes.")), chat(ASKED, rain))
    assert kept.restore("a", chat(ASKED, rain, said(Text("Yes.")))).messages[2].parts == (SIGNED, Text("Yes."))
    kept.keep("a", reply(SIGNED, Text("First.")), chat())
    assert kept.restore("a", chat(said(Text("First.")))).messages[0].parts == (SIGNED, Text("First."))


def test_the_newest_call_of_an_id_holds() -> None:
    """Some providers number their calls anew in each answer; the last one said is the one being answered."""
    kept = memory()
    newer = (Thinking("newer", Seal("anthropic", "2")), CALL)
    kept.keep("a", reply(SIGNED, CALL), chat(ASKED))
    kept.keep("a", reply(*newer), chat(ASKED))
    assert kept.restore("a", chat(ASKED, said(CALL))).messages[1].parts == newer
    assert len(kept) == 2  # the other is what a client without ids asks for


TWO = (SIGNED, Text("Looking."), CALL, ToolCall("t2", "now", "{}", seal=Seal("gemini", "S")))


def nameless(parts: tuple[Part, ...], number: int = 1) -> Message:
    """What a client has of an answer that was the message `number`, and that keeps neither state nor ids."""
    calls = iter(range(len(parts)))
    return said(*(
        structs.replace(part, id=made_id(f"{number}", next(calls)), seal=None) if isinstance(part, ToolCall) else part
        for part in parts if not isinstance(part, Thinking)
    ))  # fmt: skip


def results(*ids: str, text: str = "rain") -> Message:
    """What tools said to calls of these ids."""
    return Message("tool", tuple(ToolResult(one, "", (Text(text),)) for one in ids))


def ids_of(message: Message) -> list[str]:
    """Of the calls and results in it."""
    return [part.id for part in message.parts if isinstance(part, ToolCall | ToolResult)]


@pytest.mark.parametrize("dialect", ["ollama", "gemini"])
def test_calls_whose_ids_the_client_drops_get_them_back_and_so_do_their_results(dialect: str) -> None:
    """Ollama's SDK knows no ids: without this no signature came back through it, and the provider saw ids not its own."""
    kept = memory()
    kept.keep("a", reply(*TWO), chat(ASKED))
    shown, made = nameless(TWO), [made_id("1", 0), made_id("1", 1)]
    later = Message("user", (Text("Again:"), ToolResult(made[0], "", ()), ToolResult("mine", "", ())))
    history = chat(ASKED, shown, results(*made), results(made[1]), ASKED, later, dialect=dialect)
    found = kept.restore("a", history)
    assert found.messages[1].parts == TWO
    assert [ids_of(message) for message in found.messages[2:]] == [["t1", "t2"], ["t2"], [], ["t1", "mine"]]
    assert found.messages[4] is ASKED
    assert kept.restore("a", found) is not history
    assert kept.restore("a", found) == found
    assert kept.restore("b", history) is history


@pytest.mark.parametrize(
    ("before", "shown"),
    [
        ((), nameless(TWO)),
        ((Message("user", (Text("Will it snow?"),)),), nameless(TWO)),
        ((Message("system", ASKED.parts),), nameless(TWO)),
        ((ASKED,), nameless((*TWO[:3], ToolCall("", "then", "{}")))),
        ((ASKED,), nameless((*TWO[:3], ToolCall("", "now", '{"a":1}')))),
        ((ASKED,), nameless((TWO[0], TWO[1], TWO[3], TWO[2]))),
        ((ASKED,), nameless(TWO[:3])),
        ((ASKED,), nameless((SIGNED, *TWO[2:]))),
        ((ASKED,), said(TWO[1], structs.replace(CALL, id=made_id("1", 0)), structs.replace(CALL, id="t2"))),
        ((ASKED,), said(TWO[1], structs.replace(CALL, id="x1"), ToolCall("x2", "now", "{}"))),
        ((ASKED,), said(TWO[1], structs.replace(CALL, id="t1"), ToolCall(made_id("1", 1), "now", "{}"))),
    ],
)
def test_calls_without_ids_are_known_only_where_they_were_said(before: tuple[Message, ...], shown: Message) -> None:
    """Less tells them apart, so all of it must be as it was; ids that the client gave are its word."""
    kept = memory()
    kept.keep("a", reply(*TWO), chat(ASKED))
    history = chat(*before, shown, results(*ids_of(shown)))
    assert kept.restore("a", history) is history


def test_calls_without_ids_are_not_known_where_the_question_is_not() -> None:
    """Nothing else tells them from another conversation's."""
    kept = memory()
    for asked in (chat(), chat()):
        kept.keep("a", reply(*TWO), asked)
        assert len(kept) == 2
    history = chat(ASKED, nameless(TWO))
    assert kept.restore("a", history) is history


def test_of_calls_that_look_alike_without_ids_the_newer_holds() -> None:
    """As of texts; the same answer told twice is one answer, and a client that keeps ids is served on."""
    kept = memory()
    history = chat(ASKED, nameless(TWO), results(made_id("1", 0)))
    for _ in range(2):
        kept.keep("a", reply(*TWO), chat(ASKED))
        assert ids_of(kept.restore("a", history).messages[2]) == ["t1"]
    other = (Thinking("other", Seal("anthropic", "2")), TWO[1], structs.replace(CALL, id="u1"), ToolCall("u2", "now", "{}"))
    for _ in range(2):
        kept.keep("a", reply(*other), chat(ASKED))
        assert ids_of(kept.restore("a", history).messages[2]) == ["u1"]
    for parts in (TWO, other):
        assert (
            kept.restore("a", chat(ASKED, said(*parts[1:3], structs.replace(parts[3], seal=None)))).messages[1].parts == parts
        )


def test_ids_that_the_gateway_made_tell_answers_apart() -> None:
    """Gemini gives none, so the client got ours; where it hands them back they are as good as any."""
    kept = memory()
    answers = [(Thinking(seed, Seal("gemini", seed)), ToolCall(made_id(seed, 0), "now", "{}")) for seed in ("r1", "r2")]
    for parts in answers:
        kept.keep("a", reply(*parts), chat(ASKED))
    for parts in answers:
        assert kept.restore("a", chat(ASKED, said(parts[1]))).messages[1].parts == parts


def test_the_same_call_again_and_again_is_told_apart_by_what_it_followed() -> None:
    """An agent that waits asks the same and hears the same; every turn has its own signature all the same."""
    kept = memory()
    history = chat(ASKED)
    told: list[tuple[Part, ...]] = []
    for turn in range(4):
        found = kept.restore("a", history)
        assert [message.parts for message in found.messages[1::2]] == told
        assert [ids_of(message) for message in found.messages[2::2]] == [[f"t{number}"] for number in range(turn)]
        told.append((Thinking("hm", Seal("anthropic", f"{turn}")), ToolCall(f"t{turn}", "state", "{}")))
        kept.keep("a", reply(*told[-1]), found)
        number = len(history.messages)
        history = chat(*history.messages, nameless(told[-1], number), results(made_id(f"{number}", 0), text="pending"))


def test_a_newer_answer_of_the_same_ids_is_not_taken_for_an_older() -> None:
    """Of a provider that numbers its calls anew: what another question led to is another conversation's."""
    kept = memory()
    questions = [Message("user", (Text(text),)) for text in ("Oslo?", "And now?")]
    answers = [(Thinking(text, Seal("anthropic", text)), CALL) for text in ("1", "2")]
    for question, parts in zip(questions, answers, strict=True):
        kept.keep("a", reply(*parts), chat(question))
    for question, parts in zip(questions, answers, strict=True):
        for shown in (nameless(parts), said(CALL)):
            assert kept.restore("a", chat(question, shown)).messages[1].parts == parts


def test_a_result_points_to_the_last_call_of_its_id() -> None:
    """A client may number its calls as it likes; what it says of a call that is not ours is not about ours."""
    kept = memory()
    kept.keep("a", reply(SIGNED, CALL), chat(ASKED))
    shown = nameless((CALL,))
    mine = structs.replace(shown, parts=(structs.replace(shown.parts[0], name="mine"),))
    found = kept.restore("a", chat(ASKED, shown, results(*ids_of(shown)), mine, results(*ids_of(shown))))
    assert [ids_of(message) for message in found.messages[1:]] == [["t1"], ["t1"], ids_of(shown), ids_of(shown)]


def test_cache_marks_stay_on_calls_whose_ids_change() -> None:
    """They are matched by order, since nothing else is the same."""
    kept = memory()
    kept.keep("a", reply(*TWO), chat(ASKED))
    shown = nameless(TWO)
    marked = (*shown.parts[:2], structs.replace(shown.parts[2], cache="1h"))
    found = kept.restore("a", chat(ASKED, said(*marked))).messages[1].parts
    assert found == (*TWO[:3], structs.replace(TWO[3], cache="1h"))


def test_what_is_old_is_gone() -> None:
    """Thoughts of users are not kept longer than said; asking for one keeps it."""
    clock = Clock()
    kept = memory(ttl=60, clock=clock)
    history = chat(ASKED, said(Text("It rains.")))
    kept.keep("a", reply(SIGNED, Text("It rains.")), chat(ASKED))
    for _ in range(5):
        clock.now += 59
        assert kept.restore("a", history) != history
    clock.now += 60
    assert kept.restore("a", history) is history
    assert (len(kept), kept.size) == (0, 0)
    kept.keep("a", reply(SIGNED, Text("It rains.")), chat(ASKED))
    clock.now += 61
    kept.keep("a", reply(SIGNED, Text("other")), chat(ASKED))
    assert len(kept) == 1  # what is over goes when something comes, asked for or not


def test_the_least_recently_used_goes_first() -> None:
    """A conversation that goes on stays; one that ended makes room."""
    kept = memory(max_bytes=3 * (ENTRY_BYTES + 200))
    histories = [chat(ASKED, said(Text(f"{number}"))) for number in range(4)]
    for number in range(3):
        kept.keep("a", reply(SIGNED, Text(f"{number}")), chat(ASKED))
    assert kept.restore("a", histories[0]) != histories[0]
    kept.keep("a", reply(SIGNED, Text("3")), chat(ASKED))
    assert [kept.restore("a", history) == history for history in histories] == [False, True, False, False]


@pytest.mark.parametrize("max_bytes", [0, 1000])
def test_what_is_larger_than_the_bound_is_not_kept(max_bytes: int) -> None:
    """And takes nothing else with it."""
    kept = memory(max_bytes)
    kept.keep("a", reply(SIGNED, Text("short")), chat(ASKED))
    held = len(kept)
    kept.keep("a", reply(Thinking("x" * 2000), Text("long")), chat(ASKED))
    kept.keep("a", reply(Thinking("x" * 2000), ToolCall("t2", "now", "{}")), chat(ASKED))
    assert len(kept) == held == min(max_bytes, 1)
    assert kept.restore("a", chat(ASKED, said(Text("short")))).messages[1].parts == (SIGNED, Text("short"))[1 - held :]


def test_nothing_is_kept_for_no_time() -> None:
    """A time of zero switches the memory off."""
    kept = memory(ttl=0)
    kept.keep("a", reply(SIGNED, CALL), chat(ASKED))
    assert (len(kept), kept.size) == (0, 0)


@pytest.mark.parametrize("value", [10**30, "\ud800"])
def test_what_cannot_be_packed_is_not_kept(value: Any) -> None:
    """The answer has gone out; its state is lost, and nothing else."""
    kept = memory()
    kept.keep("a", reply(SIGNED, structs.replace(CALL, vendor={"x": value})), chat())
    assert len(kept) == 0


def test_what_is_no_json_is_a_mistake_of_ours() -> None:
    """A reader that puts an object into `vendor` is found by the first test that meets it."""
    with pytest.raises(TypeError, match="object is no part of an answer"):
        memory().keep("a", reply(Text("a", vendor={"x": object()})), chat(ASKED))


def test_half_a_character_is_no_error() -> None:
    """JSON can spell it, and a client can send it."""
    kept = memory()
    kept.keep("a", reply(SIGNED, CALL), chat())
    history = chat(ASKED, said(Text("\ud800"), ToolCall("\udfff", "f", '{"a":"\ud800"}')))
    assert kept.restore("a", history) is history


SEALS = st.none() | st.builds(Seal, st.sampled_from(["anthropic", "gemini"]), st.text(max_size=5))
ARGUMENTS = st.sampled_from(["{}", "", '{"a":1}', '{"a": 1.0}', "{", "[]"])
WORDS: Any = st.builds(Text, st.sampled_from(["a", "b", "ab", ""]))
CALLS: Any = st.builds(ToolCall, st.sampled_from(["1", "2"]), st.sampled_from(["f", "g"]), ARGUMENTS, SEALS)
THOUGHTS: Any = st.builds(Thinking, st.text(max_size=5), SEALS)
PARTS: Any = st.lists(WORDS | CALLS | THOUGHTS | st.just(Refusal("b")), max_size=4).map(tuple)
USERS: Any = st.builds(Message, st.just("user"), st.tuples(WORDS))


class Step(NamedTuple):
    """An answer that was kept: whose it is, what it answered, what it was, and what the client shows of it later."""

    tenant: str
    question: Message
    parts: tuple[Part, ...]
    told: bool
    edited: bool
    named: bool

    def turns(self, number: int) -> tuple[Message, Message, Message]:
        """What a client without a slot for state has of it, with a result for each call."""
        shown = nameless(self.parts, number).parts
        if self.named:
            shown = tuple(structs.replace(p, seal=None) if isinstance(p, ToolCall) else p for p in without_thoughts(self.parts))
        message = said(*shown, *([Text("!")] if self.edited else []))
        return self.question, message, results(*ids_of(message))


STEPS = st.lists(
    st.builds(Step, st.sampled_from(["a", "b"]), USERS, PARTS, st.booleans(), st.booleans(), st.booleans()), max_size=10
)


@given(STEPS, st.integers(0, 12_000))
def test_laws(steps: list[Step], max_bytes: int) -> None:
    """Never over the bound, never another tenant's, never other words; results stay with their calls; twice is as once; what
    is not known is not touched.
    """
    kept = memory(max_bytes)
    for step in steps:
        kept.keep(step.tenant, reply(*step.parts), chat(step.question) if step.told else chat())
        assert kept.size <= max_bytes
    history = chat(*(message for number, step in enumerate(steps) for message in step.turns(number)))
    assert kept.restore("c", history) is history
    found = kept.restore("a", history)
    assert kept.restore("a", found) == found
    mine = [step.parts for step in steps if step.tenant == "a"]
    turns = zip(steps, history.messages[1::3], found.messages[1::3], found.messages[2::3], strict=True)
    for step, was, now, answered in turns:
        assert ids_of(answered) == ids_of(now)
        if now is not was:
            event("restored with ids" if step.named else "restored without ids")
            assert now.parts in mine
            assert text_of(now) == text_of(was)
            assert calls_of(now) == calls_of(was)
            assert ids_of(now) == ids_of(was) or not step.named
    assert all(new is old for new, old in zip(found.messages[::3], history.messages[::3], strict=True))


def without_thoughts(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    """What is shown of an answer."""
    return tuple(part for part in parts if not isinstance(part, Thinking))


def calls_of(message: Message) -> list[str]:
    """The calls in it, by the name of the tool."""
    return [part.name for part in message.parts if isinstance(part, ToolCall)]


def text_of(message: Message) -> str:
    """What a person reads of it."""
    return "".join(part.text for part in message.parts if isinstance(part, Text | Refusal))

"""Writes docs/conformance.md: which feature of which client API reaches which provider, found out by asking the dialects.

Every cell is computed: a probe is written by the client's dialect, read, written for the provider and read again, and its
feature compared; answers go the other way, whole and streamed. `--check` compares with the file and writes nothing. The
probes are in `matrix_probes`, the servers of dialects that have no clients in `matrix_bedrock` and `matrix_cohere`, the
tables of other families than chat in `matrix_families`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Protocol

import matrix_bedrock
import matrix_cohere
import matrix_families
import msgspec
from matrix_probes import ANSWERS, PICTURE, REQUESTS, Answer, Request, history, state_of

from trunkline.canon.chat import Chat, Choice, Media, Message, Reply
from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.facts import Facts
from trunkline.canon.loss import Loss
from trunkline.canon.stream import Event, Fail, Fold, unfold
from trunkline.dialects.dialect import NOT_NAMED, Ask, Dialect, Frame, Named, Outgoing, ProviderDialect, Tap
from trunkline.dialects.table import DIALECTS, SPOKEN
from trunkline.dialects.translate import Translation, has_state

FILE = Path(__file__).parent.parent / "docs" / "conformance.md"
_COMPLETIONS = "openai_completions"
CLIENTS = {
    "openai_chat": "OpenAI chat",
    "openai_responses": "OpenAI Responses",
    "anthropic": "Anthropic",
    "gemini": "Gemini",
    "ollama": "Ollama",
    _COMPLETIONS: "OpenAI completions",
}
_TOOLLESS = {"tool choice: none"}
"""What goes without saying where there are no tools."""


class _Server(Protocol):
    """A module that plays a provider."""

    def read(self, body: bytes) -> Chat: ...
    def whole(self, reply: Reply) -> bytes: ...
    def stream(self, reply: Reply) -> bytes: ...
    def begun(self, reply: Reply) -> bytes: ...
    def broken(self, message: str) -> bytes: ...
    def refused(self, message: str) -> bytes: ...


_SERVERS: dict[str, _Server] = {"bedrock": matrix_bedrock, "cohere": matrix_cohere}
"""What stands for providers whose dialect no client speaks."""
PROVIDERS = {name: title for name, title in CLIENTS.items() if name != _COMPLETIONS} | {
    "bedrock": "Bedrock",
    "cohere": "Cohere",
}
ABLE = {
    _COMPLETIONS: Facts(),
    "openai_responses": Facts(thinks="effort", system_midway=True),
    "bedrock": Facts(
        thinks="adaptive",
        system_midway=True,
        media_urls=False,
        caches=frozenset({"tools", "system", "messages", "1h"}),
        result_status=True,
        takes=frozenset({"top_k"}),
    ),
    "cohere": Facts(thinks="budget", system_midway=True),
    "openai_chat": Facts(thinks="effort", system_midway=True, max_tokens_field="max_completion_tokens"),
    "anthropic": Facts(thinks="adaptive", system_midway=True),
    "gemini": Facts(thinks="level", media_urls=False),
    "ollama": Facts(thinks="switch", system_midway=True, media=frozenset({"image"}), media_urls=False),
}
"""Facts of a model that can all that its API can say: the matrix is about APIs, not about models."""
BUDGETED = {
    "anthropic": msgspec.structs.replace(ABLE["anthropic"], thinks="budget"),
    "gemini": msgspec.structs.replace(ABLE["gemini"], thinks="budget"),
    "bedrock": msgspec.structs.replace(ABLE["bedrock"], thinks="budget"),
}
"""The same for models whose thinking is asked for in tokens."""
_OFF_UNASKED = {"bedrock"}
"""Whose models of that kind are kept from thinking by saying nothing, which proves nothing here."""
PASSES, OTHERWISE, REFUSED, UNSAID, FETCHED, MEMORY, LOST = "✓", "≈", "refused", "-", "fetched", "memory", "LOST"
SEED = "seed"


def facts_of(name: str, probe: Request) -> Facts:
    """The model that is asked."""
    budgeted = probe.name == "thinking budget" or (probe.name == "thinking off" and name not in _OFF_UNASKED)
    return BUDGETED.get(name, ABLE[name]) if budgeted else ABLE[name]


def providers_of(client: str) -> dict[str, str]:
    """The providers to compare with. Of completions there are few, which nobody else can be translated to."""
    return PROVIDERS | ({client: CLIENTS[client]} if client == _COMPLETIONS else {})


def read(dialect: ProviderDialect, sent: Outgoing) -> Chat:
    """A written request, as a server of this dialect would read it."""
    if dialect.name in _SERVERS:
        return _SERVERS[dialect.name].read(sent.body)
    dialect = DIALECTS[dialect.name]
    named = Named(model="model") if dialect.name == "gemini" else NOT_NAMED
    return dialect.read_chat(dialect.read_request(sent.body, named))


def spoken(client: Dialect, probe: Request) -> Chat | None:
    """The probe as a client of this dialect says it; None where it has no words for it."""
    chat = probe.chat(client.name)
    facts = msgspec.structs.replace(facts_of(client.name, probe), media_urls=True)
    try:
        told = read(client, client.write_chat(chat, "model", facts, Loss(strict=True), ask_usage=False))
    except GatewayError:
        return None
    return told if probe.view(told) == probe.view(chat) else None


def asked(client: Dialect, provider: ProviderDialect, probe: Request) -> str:
    """One cell of the requests."""
    told = spoken(client, probe)
    if told is None:
        return UNSAID
    if client.name == provider.name:
        return PASSES
    found = written(told, provider, probe)
    if found == REFUSED and any(isinstance(part, Media) and part.url for one in told.messages for part in one.parts):
        return FETCHED if written(_fetched(told), provider, probe._replace(words=(PICTURE,))) != REFUSED else REFUSED
    return found


def written(told: Chat, provider: ProviderDialect, probe: Request) -> str:
    """What becomes of a request at another dialect."""
    loss = Loss(strict=False)
    try:
        sent = provider.write_chat(told, "model", facts_of(provider.name, probe), loss, ask_usage=False)
    except GatewayError:
        return REFUSED
    seen = read(provider, sent)
    if probe.view(seen) == probe.view(told):
        return PASSES
    if loss.names:
        return "dropped" if probe.name.startswith("`") else f"dropped ({', '.join(f'`{name}`' for name in loss.names)})"
    if probe.blunter is not None and probe.blunter(seen) == probe.blunter(told):
        return OTHERWISE
    text = sent.body.decode()
    return OTHERWISE if probe.words and all(word in text for word in probe.words) else LOST


def _fetched(told: Chat) -> Chat:
    """As the pipeline hands it on where the provider fetches nothing itself."""
    held = Media("image", "image/png", PICTURE)
    messages = tuple(
        Message(one.role, tuple(held if isinstance(part, Media) else part for part in one.parts)) for one in told.messages
    )
    return msgspec.structs.replace(told, messages=messages)


def _frame(client: Dialect, *, stream: bool) -> Frame:
    form = "sse" if stream and client.name == "gemini" else ""
    return Frame(Ask({}, "model", stream, include_usage=True, form=form), "id-2", 1)


def whole(dialect: ProviderDialect, reply: Reply) -> tuple[Reply, str]:
    """A whole answer in this dialect, read again, and its text."""
    if dialect.name in _SERVERS:
        body = _SERVERS[dialect.name].whole(reply)
    else:
        writes = DIALECTS[dialect.name]
        body = writes.write_answer(reply, _frame(writes, stream=False))
    return dialect.read_answer(body, SEED), body.decode()


def streamed(dialect: ProviderDialect, reply: Reply) -> tuple[Reply, str]:
    """The same as a stream."""
    if dialect.name in _SERVERS:
        body = _SERVERS[dialect.name].stream(reply)
    else:
        writes = DIALECTS[dialect.name]
        body = writes.writer(_frame(writes, stream=True)).write(unfold(reply))
    events = events_of(dialect, body)
    fold = Fold(dialect.name)
    fold.add(events)
    return fold.reply(), body.decode(errors="replace")


def events_of(dialect: ProviderDialect, body: bytes) -> list[Event]:
    """A stream's events."""
    reader = dialect.reader(SEED)
    return [*reader.feed(body), *reader.close()]


def answered(client: Dialect, provider: ProviderDialect, probe: Answer) -> str:
    """One cell of the answers, and both ways where they part."""
    ways = [_answered(client, provider, probe, way) for way in (whole, streamed)]
    return ways[0] if ways[0] == ways[1] else f"{ways[0]} / {ways[1]}"


_Way = Callable[[ProviderDialect, Reply], tuple[Reply, str]]


def _answered(client: Dialect, provider: ProviderDialect, probe: Answer, way: _Way) -> str:
    want = probe.reply(provider.name)
    told, _ = way(provider, want)
    if probe.view(told) != probe.view(want):
        return UNSAID
    if client.name == provider.name:
        return PASSES
    seen, text = way(client, told)
    if probe.view(seen) == probe.view(told):
        return PASSES
    if probe.words and all(word in text for word in probe.words):
        return OTHERWISE
    if probe.name == "thinking state" and has_state(told) and client.name != _COMPLETIONS:  # it has no next turn
        return MEMORY
    return "not shown"


def failed(client: Dialect, provider: ProviderDialect, *, stream: bool) -> str:
    """Whether the provider's own words arrive in the caller's form."""
    said = GatewayError(Kind.UPSTREAM_FAILED, "The model is overloaded, try again.", status=503)
    told = provider.read_error(503, "application/json", _refused(provider, said))
    if stream:
        body = _broken(provider, told)
        way: Tap = Translation(provider.name, provider.reader(SEED), client.writer(_frame(client, stream=True)), {})
        if client.name == provider.name:
            way = client.tap(_frame(client, stream=True).ask, hide_usage=False)
        fails = [event for event in events_of(client, way.feed(body) + way.close()) if isinstance(event, Fail)]
        return PASSES if fails and said.message in fails[-1].error.message else LOST
    back = client.read_error(told.status, "application/json", client.write_error(told))
    return PASSES if back.status == 503 and said.message in back.message else LOST


def _refused(provider: ProviderDialect, error: GatewayError) -> bytes:
    """A provider's error answer."""
    if provider.name in _SERVERS:
        return _SERVERS[provider.name].refused(error.message)
    return DIALECTS[provider.name].write_error(error)


def _broken(provider: ProviderDialect, error: GatewayError) -> bytes:
    """A provider's stream that ends with an error."""
    reply = ANSWERS[0].reply(provider.name)
    if provider.name in _SERVERS:
        server = _SERVERS[provider.name]
        return server.begun(reply) + server.broken(error.message)
    writes = DIALECTS[provider.name]
    source = writes.writer(_frame(writes, stream=True))
    return source.write(unfold(reply)[:3]) + source.fail(error)


def counted(client: Dialect, provider: ProviderDialect) -> str:
    """Who counts."""
    if client.write_count(REQUESTS[0].chat(client.name), "model", ABLE[client.name]) is None:
        return UNSAID
    asks = provider.write_count(REQUESTS[0].chat(client.name), "model", ABLE[provider.name])
    return "provider" if asks is not None else "tokenizer"


def rows(client: Dialect) -> Iterable[tuple[str, list[str]]]:
    """Feature and cells, by provider, of one client."""
    providers = [SPOKEN[name] for name in providers_of(client.name)]
    for ask in REQUESTS:
        yield ask.name, [asked(client, provider, ask) for provider in providers]
    yield "thinking state given back", [_given_back(client, provider) for provider in providers]
    yield "counting tokens", [counted(client, provider) for provider in providers]
    yield "", []
    for answer in ANSWERS:
        yield answer.name, [answered(client, provider, answer) for provider in providers]
    yield "error", [failed(client, provider, stream=False) for provider in providers]
    yield "error in mid-stream", [failed(client, provider, stream=True) for provider in providers]


def _given_back(client: Dialect, provider: ProviderDialect) -> str:
    """The provider's state in a client's history; where the client has no slot for it, the gateway remembers."""
    want, choice = history(provider.name, sealed=True)
    facts = ABLE[provider.name]
    own = state_of(read(provider, provider.write_chat(want, "model", facts, Loss(strict=False), ask_usage=False)))
    if not own:
        return UNSAID
    if client.name == provider.name:
        return PASSES
    if client.name == _COMPLETIONS:
        return UNSAID
    told = _handed_back(client, provider, choice)
    sent = provider.write_chat(told, "model", facts, Loss(strict=False), ask_usage=False)
    return PASSES if state_of(read(provider, sent)) == own else MEMORY


def _handed_back(client: Dialect, provider: ProviderDialect, choice: Choice) -> Chat:
    """The conversation in the client's words, the provider's answer in it as the client was given it."""
    bare, _ = history(client.name, sealed=False)
    sent = client.write_chat(bare, "model", ABLE[client.name], Loss(strict=False), ask_usage=False)
    body = msgspec.json.decode(sent.body)
    answer = msgspec.json.decode(
        client.write_answer(Reply(provider.name, "id", "model", (choice,)), _frame(client, stream=False))
    )
    if client.name == "openai_responses":
        own = {"function_call", "reasoning"}
        question, *rest = (item for item in body["input"] if item["type"] not in own)
        body["input"] = [question, *answer["output"], *rest]
    else:
        turns = body["contents" if client.name == "gemini" else "messages"]
        at = next(number for number, turn in enumerate(turns) if turn["role"] in {"assistant", "model"})
        turns[at] = _MESSAGES[client.name](answer)
    return read(client, Outgoing(sent.path, msgspec.json.encode(body)))


_MESSAGES: dict[str, Callable[[Any], Any]] = {
    "openai_chat": lambda answer: answer["choices"][0]["message"],
    "anthropic": lambda answer: {"role": "assistant", "content": answer["content"]},
    "gemini": lambda answer: answer["candidates"][0]["content"],
    "ollama": lambda answer: answer["message"],
}
"""The message that a user of each API puts back into the history."""


_HEAD = """# Conformance

Which feature of which client API reaches which provider dialect. Generated by `scripts/build_matrix.py`, which asks the
dialects themselves; do not edit. It is about the APIs: a model may take less, as its facts say
([translation](translation.md)).

| | |
|---|---|
| ✓ | passes, with the same meaning; word for word where both sides speak the same |
| ≈ | carried in another form: said in words, or at another place |
| dropped | left out by rule and named in `x-trunkline-dropped`; refused where the model is configured `unsupported: strict` |
| refused | answered 400 with the path of the field: left out, it would be another question |
| fetched | the gateway fetches it, as the provider does not |
| memory | this client API has no place for it; the gateway remembers it for the next turn |
| provider, tokenizer | who counts |
| not shown | this client API has no word for it |
| - | the client API cannot say it (requests), or the provider's cannot (answers) |

Two signs with a slash: whole answers / streams. Bedrock and Cohere are providers only. Completions are native where the
provider has them, else a chat of one message.
"""


def page() -> str:
    """The whole page."""
    parts = [_HEAD]
    for name, title in CLIENTS.items():
        others = providers_of(name).values()
        line = f"|---|{'---|' * len(others)}\n"
        table = f"| requests | {' | '.join(f'to {other}' for other in others)} |\n{line}"
        for feature, cells in rows(DIALECTS[name]):
            if not feature:
                table += f"\n| answers | {' | '.join(f'from {other}' for other in others)} |\n{line}"
            elif name != _COMPLETIONS or (feature not in _TOOLLESS and set(cells[:-1]) - {UNSAID, "not shown"}):
                table += f"| {feature} | {' | '.join(cells)} |\n"
        parts.append(f"## Clients that speak {title}\n\n{table}")
    return "\n".join([*parts, *matrix_families.tables()])


def main(arguments: list[str]) -> int:
    """Write the page, or compare; 0 where all is well."""
    parser = argparse.ArgumentParser(description="The conformance matrix.")
    parser.add_argument("--check", action="store_true", help="compare with the file, write nothing")
    text = page()
    if not parser.parse_args(arguments).check:
        FILE.write_text(text, encoding="utf-8")
        return 0
    fresh = FILE.is_file() and FILE.read_text(encoding="utf-8") == text
    print("matrix: as it is" if fresh else "docs/conformance.md is stale: run scripts/build_matrix.py")
    return 0 if fresh else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

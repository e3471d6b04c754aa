"""Requests and answers with something odd in any place of them, and what a dialect must make of those: a `GatewayError` or a
translation, never another exception.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.facts import NO_FACTS, Facts
from trunkline.canon.loss import Loss
from trunkline.dialects.dialect import NOT_NAMED, Ask, Dialect, Frame, Named
from trunkline.dialects.table import DIALECTS, SPOKEN
from trunkline.dialects.translate import Translation

#: JSON texts, one of each type and those that decoders trip over.
ODD = (
    '""', '"a"', '" "', "5", "-1", "0.5", "1e999", "1" + "0" * 30, "true", "null", "[]", "{}", "[[]]", "[5]", "[null]",
    '[""]', '{"type":5}', '{"a":[]}', r'"\ud800"', r'"\u0000"', '"dGwx"', '"data:,"',
)  # fmt: skip
#: Facts under which writers do what they do for few models only.
RARE = Facts(
    thinks="adaptive", media=frozenset({"image"}), media_urls=False, schema=False, system_midway=True, binds_thinking=True,
    signatures=True, max_output=100, refuses=frozenset({"prefill"}), reasoning_field="reasoning_details",
)  # fmt: skip
_FRAME = Frame(Ask(fields={}, model="m", stream=True, include_usage=True), "id", 1)
_PLACE = "@odd {}@"

Path = tuple[str | int, ...]


def paths(told: Any, path: Path = ()) -> Iterator[Path]:
    """Where there is a value."""
    if path:
        yield path
    inner = told.items() if isinstance(told, dict) else enumerate(told) if isinstance(told, list) else ()
    for name, value in inner:
        yield from paths(value, (*path, name))


def changed(told: Any, changes: list[tuple[int, str]]) -> bytes:
    """JSON with these texts of `ODD` in some of its places, which are counted as `paths` does, round and round."""
    told = copy.deepcopy(told)
    for number, (place, _) in enumerate(changes):
        there = list(paths(told))
        if not there:
            break
        *above, last = there[place % len(there)]
        holder = told
        for name in above:
            holder = holder[name]
        holder[last] = _PLACE.format(number)
    body = json.dumps(told)
    for number, (_, odd) in enumerate(changes):
        body = body.replace(json.dumps(_PLACE.format(number)), odd)
    return body.encode()


def each(told: Any) -> Iterator[bytes]:
    """Every odd text in every place, one at a time."""
    for place in range(len(list(paths(told)))):
        for odd in ODD:
            yield changed(told, [(place, odd)])


def ask_all(dialect: Dialect, body: bytes, named: Named = NOT_NAMED) -> None:
    """Read a request and write it for every provider; fails but with the client's own 400."""
    try:
        chat = dialect.read_chat(dialect.read_request(body, named))
    except GatewayError as error:
        if error.kind is not Kind.BAD_REQUEST:
            raise AssertionError(body) from error
        return
    except Exception as error:
        raise AssertionError(body) from error
    for provider in SPOKEN.values():
        for facts in (NO_FACTS, RARE):
            try:
                provider.write_chat(chat, "m", facts, Loss(strict=False), ask_usage=True)
            except GatewayError as error:
                if error.kind is not Kind.BAD_REQUEST:
                    raise AssertionError((provider.name, body)) from error
            except Exception as error:
                raise AssertionError((provider.name, body)) from error


def answer_all(dialect: Dialect, body: bytes) -> None:
    """Read a whole answer, in passing and at all, and write it for every client."""
    try:
        dialect.read_reply(body)
    except GatewayError:
        pass
    except Exception as error:
        raise AssertionError(body) from error
    try:
        reply = dialect.read_answer(body, "seed")
    except GatewayError:
        return
    except Exception as error:
        raise AssertionError(body) from error
    for client in DIALECTS.values():
        try:
            client.write_answer(reply, _FRAME)
        except GatewayError:
            pass
        except Exception as error:
            raise AssertionError((client.name, body)) from error


def stream_all(dialect: Dialect, body: bytes) -> None:
    """Read a streamed answer, in passing and at all, and write it for every client."""
    try:
        tap = dialect.tap(_FRAME.ask, hide_usage=False)
        assert tap.feed(body) + tap.close() == body
    except Exception as error:
        raise AssertionError(body) from error
    for client in DIALECTS.values():
        try:
            told = Translation(dialect.name, dialect.reader("seed"), client.writer(_FRAME), {})
            told.feed(body)
            told.close()
            told.kept()
        except Exception as error:
            raise AssertionError((client.name, body)) from error

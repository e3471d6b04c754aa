"""The endpoints of OpenAI's API that pass to a provider of the same form as they are, as data.

They are never translated: a provider has the family or it has not, which is told in its row of the catalogue. What is
translated has a dialect of its own.
"""

from __future__ import annotations

import re
from typing import Literal

import msgspec

Method = Literal["POST", "GET", "DELETE"]


class Passing(msgspec.Struct, frozen=True):
    """One endpoint."""

    name: str
    """As the ledger and the log call it."""
    family: str
    """As rows of the catalogue name it; providers have it whole or not at all."""
    method: Method = "POST"
    model: Literal["needed", "optional", "none"] = "none"
    """Whether its request names a model: in the field `model` of its JSON or form, or in the query of a WebSocket."""
    form: bool = False
    """Its request may be a form in parts, which is passed on while it arrives."""
    counts: bool = False
    """Its answer reports what was used, for the first time."""
    paid: Literal["", "told", "untold"] = ""
    """It costs money, and its answer tells how much was used; or does not: speech comes without, ranking is paid by the search,
    a batch long after. Empty: it costs nothing, as OpenAI has it."""


_ID = r"[\w-][\w.:-]{0,255}"


def _path(text: str) -> re.Pattern[str]:
    return re.compile(text.replace("{}", _ID), re.ASCII)


_TABLE: tuple[tuple[str, tuple[Passing, ...]], ...] = (
    ("/v1/audio/speech", (Passing("audio.speech", "speech", model="needed", counts=True, paid="untold"),)),
    (
        "/v1/audio/transcriptions",
        (Passing("audio.transcriptions", "transcriptions", model="needed", form=True, counts=True, paid="told"),),
    ),
    (
        "/v1/audio/translations",
        (Passing("audio.translations", "translations", model="needed", form=True, counts=True, paid="told"),),
    ),
    ("/v1/images/edits", (Passing("images.edits", "image_edits", model="optional", form=True, counts=True, paid="told"),)),
    (
        "/v1/images/variations",
        (Passing("images.variations", "image_variations", model="optional", form=True, counts=True, paid="told"),),
    ),
    ("/v[12]/rerank", (Passing("rerank", "rerank", model="needed", counts=True, paid="untold"),)),
    ("/v1/moderations", (Passing("moderations", "moderations", model="optional", counts=True),)),
    ("/v1/files", (Passing("files.create", "files", form=True), Passing("files.list", "files", "GET"))),
    ("/v1/files/{}", (Passing("files.retrieve", "files", "GET"), Passing("files.delete", "files", "DELETE"))),
    ("/v1/files/{}/content", (Passing("files.content", "files", "GET"),)),
    ("/v1/uploads", (Passing("uploads.create", "uploads"),)),
    ("/v1/uploads/{}/parts", (Passing("uploads.parts", "uploads", form=True),)),
    ("/v1/uploads/{}/complete", (Passing("uploads.complete", "uploads"),)),
    ("/v1/uploads/{}/cancel", (Passing("uploads.cancel", "uploads"),)),
    ("/v1/batches", (Passing("batches.create", "batches", paid="untold"), Passing("batches.list", "batches", "GET"))),
    ("/v1/batches/{}", (Passing("batches.retrieve", "batches", "GET"),)),
    ("/v1/batches/{}/cancel", (Passing("batches.cancel", "batches"),)),
    ("/v1/responses/compact", (Passing("responses.compact", "responses", model="needed", counts=True, paid="told"),)),
    (
        "/v1/responses/{}",
        (Passing("responses.retrieve", "responses", "GET"), Passing("responses.delete", "responses", "DELETE")),
    ),
    ("/v1/responses/{}/input_items", (Passing("responses.input_items", "responses", "GET"),)),
    ("/v1/responses/{}/cancel", (Passing("responses.cancel", "responses"),)),
    ("/v1/realtime", (Passing("realtime", "realtime", "GET", model="optional", paid="told"),)),
)

_PATHS = tuple((_path(text), rows) for text, rows in _TABLE)
FAMILIES = frozenset(row.family for _, rows in _TABLE for row in rows)
NAMES = tuple(row.name for _, rows in _TABLE for row in rows)
"""Of all these endpoints."""
_VERSION = re.compile(r"/v[12](?=/)")


def at(path: str) -> tuple[Passing, ...]:
    """The endpoints at a path of ours, one for each method; none where nothing passes there. The first that fits counts."""
    return next((rows for pattern, rows in _PATHS if pattern.fullmatch(path)), ())


def below(path: str) -> str:
    """Such a path as it stands below a provider's base path, where the version belongs to the base."""
    return _VERSION.sub("", path, count=1)

"""What rides in `vendor`: given back to its own dialect, told as a loss to any other."""

from __future__ import annotations

from trunkline.canon.chat import NOTHING, Chat, Json
from trunkline.canon.loss import Loss

#: How a dialect files a part or a tool, whose meaning canon has elsewhere: ids and states of items, what a call is, and
#: whether a text was said on the way (`phase`), which its place tells.
_FILED = frozenset({"id", "status", "type", "namespace", "additional_tools", "phase"})

#: Fields that ask of others only for what happens anyway: nobody keeps what is not asked to be kept.
_ANYWAY = {"store": False}


def own_fields(chat: Chat, dialect: str, loss: Loss) -> Json:
    """The request's own `vendor` where it is of `dialect`; else nothing, and each field is a loss."""
    if chat.dialect == dialect:
        return chat.vendor
    for name in chat.vendor:
        if name in _ANYWAY and chat.vendor[name] == _ANYWAY[name]:
            continue
        if name in chat.needed:
            raise loss.refuse(name, f"the provider's API ({dialect}) has no place for it, and the answer depends on it")
        if name in chat.hints:
            loss.note(name)
        else:
            loss.drop(name, f"it has no counterpart in the provider's API ({dialect})")
    return NOTHING


def own_part(vendor: Json, chat: Chat, dialect: str, loss: Loss, place: str) -> Json:
    """As `own_fields` for a message, a part or a tool, whose fields never decide what is asked; `place` such as `messages`."""
    if chat.dialect == dialect:
        return vendor
    for name in vendor:
        if name not in _FILED:
            loss.note(f"{place}.{name}")
    return NOTHING

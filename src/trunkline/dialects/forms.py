"""Multipart forms (RFC 7578) read while they pass: the field `model` is found and written anew, all else stays as it is.

Stricter than most who read forms, so that nobody after us can read another model out of one: a boundary stands at the
beginning of a line that ends in CR LF and nowhere else, and the field stands once. What a model means belongs in `config`.
"""

from __future__ import annotations

import re

from trunkline.canon.errors import GatewayError, Kind
from trunkline.dialects.shallow import bad, checked_model

_TYPE = re.compile(
    rb'multipart/form-data((?:[ \t]*;[ \t]*[\w-]+=(?:"[^"\\\r\n]*"|[^\s;"]+))*)(?:[ \t]*;)?[ \t]*', re.IGNORECASE
)
_PARAMETER = re.compile(rb';[ \t]*([\w-]+)=("[^"]*"|[^\s;"]+)')
#: RFC 2046 section 5.1.1, without space and apostrophe: some readers strip them off.
_BOUNDARY = re.compile(rb"[0-9A-Za-z()+_,./:=?-]{1,70}")
_TOKEN = re.compile(rb"[\w!#$%&'*+.^`|~-]+")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):([^\r\n\0]*)")
_DISPOSITION = re.compile(
    rb'[ \t]*form-data((?:[ \t]*;[ \t]*[\w*-]+=(?:"(?:[^"\\]|\\.)*"|[^\s;"]*))*)(?:[ \t]*;)?[ \t]*', re.IGNORECASE
)
_NAMED = re.compile(rb';[ \t]*([\w*-]+)=("(?:[^"\\]|\\.)*"|[^\s;"]*)')
#: What anybody could take for a part's name, quoted or not: also `name*=` and `name*0=`, which RFC 2231 puts before `name=`.
_NAME = re.compile(rb"(?<!\w)name[ \t]*[*=]", re.IGNORECASE)
_ESCAPED = re.compile(rb"\\(.)")
_MAX_HEAD = 16 * 1024
"""Bytes of one part's head."""
_MAX_VALUE = 1024
"""Bytes of the field `model`; longer than any name of one."""
_MAX_PARTS = 256
"""Parts of one form: each costs time, whatever its size."""
_MODEL = b'Content-Disposition: form-data; name="model"\r\n\r\n'


def is_form(content_type: bytes) -> bool:
    """Whether a body of this type is a form in parts."""
    return content_type[:19].lower() == b"multipart/form-data"


class Form:
    """One form on its way. Any slicing of the same bytes gives the same bytes.

    Until `put` says what to write for its model, everything is held.
    """

    def __init__(self, content_type: bytes) -> None:
        """`content_type`: the header's value. Raises `GatewayError(BAD_REQUEST)` where it names no boundary, or two."""
        boundary = _boundary(content_type)
        quoted = boundary if _TOKEN.fullmatch(boundary) else b'"' + boundary + b'"'
        self.content_type = b"multipart/form-data; boundary=" + quoted
        """The header's value, spelled so that it can be read in one way only."""
        self.model: str | None = None
        """What the client asks for, once its field was read."""
        self._delimiter = b"--" + boundary
        self._kept = len(self._delimiter) + 1
        """Bytes at the end of what came in which a boundary, or the line end before it, may have begun."""
        self._step = self._begin
        self._rest = b""
        self._value: bytearray | None = None
        """The field's bytes, while it is being read."""
        self._replaced = 0
        self._written: bytes | None = None
        self._passing: list[bytes] = []
        self._place = -1
        self._held = 0
        self._parts = 0

    @property
    def held(self) -> int:
        """Bytes that wait for `put`."""
        return self._held

    @property
    def growth(self) -> int | None:
        """Bytes by which the form grows (or shrinks, below 0); None while it is not known."""
        if self._written is None or self.model is None:
            return None
        return len(self._written) - self._replaced

    def put(self, model: str) -> None:
        """What is written as its model, now or when the field is met; at the end, where there is no such field.

        Empty, for a form that was read to its end and has none: it goes as it is.
        """
        self._written = _MODEL + model.encode() if model else b""
        if self._place >= 0:
            self._passing[self._place] = self._written

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes; return those that may go on. Raises `GatewayError(BAD_REQUEST)`: the form is none."""
        if self._written is not None and self._step == self._content and self._value is None and self._flows(data):
            passing = b"".join((self._rest, memoryview(data)[: -self._kept]))  # the one copy that a long part costs
            self._rest = data[-self._kept :]
            return passing
        self._rest += data
        while self._step():
            pass
        return self._release()

    def close(self) -> None:
        """The body has ended. Raises `GatewayError(BAD_REQUEST)` where the form has not."""
        if self._step != self._end:
            raise _broken("it ends before its closing boundary")

    def _flows(self, data: bytes) -> bool:
        """Whether the boundary is nowhere in these bytes, nor begins in what was kept of those before."""
        joint = self._rest + data[: self._kept]
        return len(data) > 2 * self._kept and self._delimiter not in joint and self._delimiter not in data

    def _release(self) -> bytes:
        if self._written is None:
            return b""
        passing, self._passing, self._place, self._held = self._passing, [], -1, 0
        return passing[0] if len(passing) == 1 else b"".join(passing)

    def _pass(self, count: int) -> None:
        """Let the next `count` bytes go on."""
        if count:
            self._passing.append(self._rest[:count])
            self._held += count
            self._rest = self._rest[count:]

    # Steps: each takes something from the front of `_rest` and sets the next, or returns False to wait for more bytes --------

    def _begin(self) -> bool:
        if not self._delimiter.startswith(self._rest[: len(self._delimiter)]):
            raise _broken("it does not begin with its boundary")
        if len(self._rest) < len(self._delimiter):
            return False
        self._pass(len(self._delimiter))
        self._step = self._after
        return True

    def _after(self) -> bool:
        """Behind a boundary."""
        if len(self._rest) < 2:
            return False
        if self._rest.startswith(b"\r\n"):
            self._parts += 1
            if self._parts > _MAX_PARTS:
                raise _broken(f"it has more than {_MAX_PARTS} parts")
            self._pass(2)
            self._step = self._head
        elif self._rest.startswith(b"--"):
            if self._written and self.model is None:
                self._passing.append(b"\r\n%b\r\n%b" % (self._written, self._delimiter))
            self._pass(2)
            self._step = self._end
        else:
            raise _broken("its boundary stands inside a part")
        return True

    def _head(self) -> bool:
        end = self._rest.find(b"\r\n\r\n", 0, _MAX_HEAD)
        if end < 0:
            if len(self._rest) >= _MAX_HEAD:
                raise _broken(f"the head of a part is longer than {_MAX_HEAD} bytes")
            return False
        head = self._rest[:end]
        if self._delimiter in head:
            raise _broken("its boundary stands inside a part")
        if _name(head).lower() == b"model":
            if self.model is not None:
                raise bad("model", "stands twice in the form")
            self._value = bytearray()
            self._replaced = end + 4
            self._rest = self._rest[end + 4 :]
        else:
            self._pass(end + 4)
        self._step = self._content
        return True

    def _content(self) -> bool:
        """Inside a part: bytes that cannot belong to the boundary after it go on."""
        found = self._rest.find(self._delimiter)
        if found < 0:
            self._take(max(0, len(self._rest) - self._kept))
            return False
        if found < 2 or self._rest[found - 2 : found] != b"\r\n":
            raise _broken("its boundary stands inside a part")
        self._take(found - 2)
        if self._value is not None:
            self._found(bytes(self._value))
            self._value = None
        self._pass(2 + len(self._delimiter))
        self._step = self._after
        return True

    def _take(self, count: int) -> None:
        if self._value is None:
            self._pass(count)
            return
        self._value += self._rest[:count]
        self._rest = self._rest[count:]
        if len(self._value) > _MAX_VALUE:
            raise bad("model", "is too long")

    def _found(self, value: bytes) -> None:
        try:
            self.model = checked_model(value.decode())
        except UnicodeDecodeError:
            raise bad("model", "is not valid UTF-8") from None
        self._replaced += len(value)
        self._place = len(self._passing)
        self._passing.append(self._written or b"")

    def _end(self) -> bool:
        """Behind the closing boundary."""
        if self._rest.strip(b"\r\n"):
            raise _broken("something follows its closing boundary")
        self._pass(len(self._rest))
        return False


def _boundary(content_type: bytes) -> bytes:
    whole = _TYPE.fullmatch(content_type)
    named = _PARAMETER.findall(whole[1]) if whole else []
    found = [value.strip(b'"') for name, value in named if name.lower() == b"boundary"]
    if len(found) != 1 or not _BOUNDARY.fullmatch(found[0]):
        raise _broken("its content-type names no boundary")
    return bytes(found[0])


def _name(head: bytes) -> bytes:
    """The name of the part that begins with this head, without whatever quotes."""
    found = []
    for line in head.split(b"\r\n"):
        field = _FIELD.fullmatch(line)
        if field is None:
            raise _broken("the head of a part cannot be read")
        if field[1].lower() == b"content-disposition":
            found.append(_DISPOSITION.fullmatch(field[2]))
    disposition = found[0] if len(found) == 1 else None
    named = _NAMED.findall(disposition[1]) if disposition else []
    names = [value for name, value in named if name.lower() == b"name"]
    if disposition is None or len(names) != 1 or len(_NAME.findall(disposition[1])) != 1:
        raise _broken("a part has not exactly one name")
    return _ESCAPED.sub(rb"\1", names[0]).strip(b" \t\"'")


def _broken(problem: str) -> GatewayError:
    return GatewayError(Kind.BAD_REQUEST, f"The request's form cannot be read: {problem}.", code="invalid_form")

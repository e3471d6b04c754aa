"""Multipart forms on their way: the model is found and written anew, and nobody can hide another one in them."""

from __future__ import annotations

import email
import email.message
import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.canon.errors import GatewayError, Kind
from trunkline.dialects.forms import _DISPOSITION, Form, is_form

TYPE = b"multipart/form-data; boundary=XX"
FILE = b'--XX\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\nContent-Type: audio/wav\r\n\r\n%b\r\n'
MODEL = b'--XX\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper\r\n'
OURS = b'--XX\r\nContent-Disposition: form-data; name="model"\r\n\r\nbig-whisper\r\n'
LANGUAGE = b"--XX\r\ncontent-disposition: form-data; name=language\r\n\r\nde\r\n"
END = b"--XX--\r\n"
SOUND = b"RIFF\r\n--X\r\n\0--\r\nXX" * 3
CASES = {
    "model first": (MODEL + FILE % SOUND + END, OURS + FILE % SOUND + END),
    "model last": (FILE % SOUND + LANGUAGE + MODEL + END, FILE % SOUND + LANGUAGE + OURS + END),
    "model alone": (MODEL + END, OURS + END),
    "empty parts": (FILE % b"" + MODEL + FILE % b"" + END, FILE % b"" + OURS + FILE % b"" + END),
    "no line end behind": (MODEL + b"--XX--", OURS + b"--XX--"),
    "another spelling": (MODEL.replace(b'"model"', b"MODEL") + END, OURS + END),
    "an escape": (MODEL.replace(b'"model"', rb'"mo\del"') + END, OURS + END),
    "a file of that name": (MODEL.replace(b'"model"', b'"model"; filename="x"\r\nContent-Type: text/plain') + END, OURS + END),
}


def fed(form: Form, body: bytes, cuts: list[int], model: str = "big-whisper") -> bytes:
    """What goes on of `body`, cut at these places; the model is put as soon as it is known."""
    out = b""
    edges = [0, *sorted(cuts), len(body)]
    for start, end in pairwise(edges):
        out += form.feed(body[start:end])
        if form.model is not None:
            form.put(model)
    out += form.feed(b"")
    form.close()
    return out


@pytest.mark.parametrize("case", CASES)
def test_the_model_is_found_and_written_anew(case: str) -> None:
    """Whoever uploads a recording for a model of ours reaches the provider's model, with the file as it was."""
    body, expected = CASES[case]
    form = Form(TYPE)
    assert fed(form, body, []) == expected
    assert form.model == "whisper"
    assert form.growth == len(expected) - len(body)


@pytest.mark.parametrize("case", CASES)
def test_every_cut_gives_the_same(case: str) -> None:
    """A form arrives in whatever pieces the network makes of it."""
    body, expected = CASES[case]
    for cut in range(len(body) + 1):
        assert fed(Form(TYPE), body, [cut]) == expected
    assert fed(Form(TYPE), body, list(range(len(body)))) == expected


@given(
    st.lists(st.binary(max_size=200), max_size=4),
    st.integers(0, 4),
    st.lists(st.integers(0, 600), max_size=8),
    st.booleans(),
)
def test_any_files_pass_byte_for_byte(files: list[bytes], place: int, cuts: list[int], known: bool) -> None:
    """No content of a file may be taken for the form's own lines, and none may be changed."""
    files = [content.replace(b"--XX", b"--YY") for content in files]
    parts = [FILE % content for content in files]
    body = b"".join([*parts[:place], MODEL, *parts[place:], END])
    expected = b"".join([*parts[:place], OURS, *parts[place:], END])
    form = Form(TYPE)
    if known:
        form.put("big-whisper")
    assert fed(form, body, [cut for cut in cuts if cut < len(body)]) == expected


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=5))
def test_any_bytes_are_a_form_or_refused(body: bytes, cuts: list[int]) -> None:
    """A client may send anything at all: it is told so, and nothing breaks."""
    form = Form(TYPE)
    form.put("m")
    try:
        out = fed(form, body, [cut for cut in cuts if cut < len(body)])
    except GatewayError as error:
        out = b"--XX " + error.kind.value.encode()
    assert out.startswith(b"--XX")
    assert b"internal" not in out


SLIPPED = MODEL.removeprefix(b"--XX\r\n").removesuffix(b"\r\n")
ODD = [
    b"--XX", b"--XX--", b"--XX\r\n", b"--", b"\r\n", b"\n", b"\r", b"\r\n\r\n", b"\n\n", b" ", b"\t", b";", b'"', b"\\", b"\0",
    b"=", b":", b"model", b"MODEL", b'; name="model"', b"; name=model", b'; filename="model"', b"; name*=model",
    SLIPPED, b"\r\n--XX\r\n" + SLIPPED, b"\n--XX\n" + SLIPPED.replace(b"\r\n", b"\n"), b"\r\n--XX \r\n" + SLIPPED,
]  # fmt: skip


@given(st.lists(st.tuples(st.integers(0, 400), st.sampled_from(ODD)), min_size=1, max_size=4), st.booleans())
def test_no_lenient_reader_finds_another_model(changes: list[tuple[int, bytes]], known: bool) -> None:
    """Whatever is slipped into a form: where it passes, a reader that forgives much still finds no model but the one put."""
    body = FILE % b"RIFF" + LANGUAGE + MODEL + FILE % b"\r\nmore\n" + END
    for where, odd in changes:
        place = where % (len(body) + 1)
        body = body[:place] + odd + body[place:]
    form = Form(TYPE)
    if known:
        form.put("big-whisper")
    try:
        out = fed(form, body, [])
    except GatewayError:
        return
    if form.model is None and not known:
        form.put("")
        out = form.feed(b"")
    told = email.message_from_bytes(b"Content-Type: " + form.content_type + b"\r\n\r\n" + out)
    parts = told.get_payload() if told.is_multipart() else []
    assert parts, out
    for part in parts:
        assert isinstance(part, email.message.Message)
        names = {str(part.get_param(name, "", "content-disposition")).strip().lower() for name in ("name", "name*")}
        if "model" in names:
            assert str(part.get_payload()).strip() == "big-whisper", out


def test_what_waits_is_held_and_counted() -> None:
    """Before the model is known no byte may go to a provider, and whoever holds them must know how many."""
    form = Form(TYPE)
    assert form.feed(FILE % SOUND + MODEL + b"--XX--") == b""
    assert form.held > len(SOUND)
    assert (form.model, form.growth) == ("whisper", None)
    form.put("big-whisper")
    assert form.feed(b"") == FILE % SOUND + OURS + b"--XX--"
    assert (form.held, form.growth) == (0, 4)


def test_a_model_named_elsewhere_is_added_at_the_end() -> None:
    """Who names the model in a header may leave it out of the form; the provider needs it there."""
    form = Form(TYPE)
    form.put("big-whisper")
    assert form.feed(FILE % SOUND + END) == FILE % SOUND + OURS + END
    assert form.growth is None


def test_a_form_without_a_model_goes_as_it_is() -> None:
    """Where the provider has a default model, none is made up."""
    form = Form(TYPE)
    assert form.feed(FILE % SOUND + END) == b""
    assert form.model is None
    form.put("")
    assert form.feed(b"") == FILE % SOUND + END
    form.close()


def test_a_part_goes_on_before_it_has_ended() -> None:
    """A gigabyte in one part must not be held."""
    form = Form(TYPE)
    form.put("m")
    begun = form.feed((FILE % (b"s" * 100_000))[:-2])
    assert len(begun) > 99_990
    assert form.held == 0


@pytest.mark.parametrize("step", range(11, 80, 3))
@pytest.mark.parametrize("size", [0, 1, 100, 517])
def test_long_pieces_of_a_long_part(step: int, size: int) -> None:
    """What flows without being looked at closely ends exactly where the boundary begins, wherever the network cuts."""
    content = (b"s" * 37 + b"\r\n--X" + b"\r\n--") * 12 + b"s" * size
    body = MODEL + FILE % content + LANGUAGE + END
    form = Form(TYPE)
    form.put("big-whisper")
    assert fed(form, body, list(range(step, len(body), step))) == OURS + FILE % content + LANGUAGE + END
    wrong = MODEL + FILE % (content + b"--XX" + content) + END
    form = Form(TYPE)
    form.put("m")
    with pytest.raises(GatewayError):
        fed(form, wrong, list(range(step, len(wrong), step)))


BROKEN = {
    "nothing": b"",
    "not a form": b"{}",
    "before the boundary": b"\r\n" + MODEL + END,
    "another boundary": b"--XY\r\n" + END,
    "a boundary that goes on": b"--XXY\r\n\r\n",
    "cut in a part": FILE % SOUND,
    "cut in a head": b"--XX\r\nContent-Dis",
    "cut behind a boundary": b"--XX-",
    "something behind the end": MODEL + END + b"--XX\r\n",
    "a line that ends in LF": MODEL + b"--XX\n",
    "a boundary in a line": FILE % b"a--XX\r\n" + END,
    "a boundary behind LF": FILE % b"a\n--XX\r\n" + END,
    "a boundary behind a head": b'--XX\r\nContent-Disposition: form-data; name="a"\r\n\r\n--XX--',
    "no name": b"--XX\r\nContent-Disposition: form-data\r\n\r\n\r\n" + END,
    "no disposition": b"--XX\r\nContent-Type: text/plain\r\n\r\n\r\n" + END,
    "two dispositions": MODEL.replace(b"\r\n\r\n", b'\r\nContent-Disposition: form-data; name="x"\r\n\r\n') + END,
    "two names": MODEL.replace(b'"model"', b'"x"; name="model"') + END,
    "an encoded name": MODEL.replace(b"name=", b"name*=") + END,
    "an encoded name beside": MODEL.replace(b'"model"', b"\"x\"; name*=utf-8''model") + END,
    "a name in pieces beside": MODEL.replace(b'"model"', b'"x"; name*0="mod"; name*1="el"') + END,
    "a name inside a name": MODEL.replace(b'"model"', b'"x"; filename="a; name=model; b"') + END,
    "a name behind an escape": MODEL.replace(b'"model"', b'"x"; filename="\\"; name =model; \\""') + END,
    "a name inside another's value": MODEL.replace(b'name="model"', b'filename="; name=model"') + END,
    "two models, one in apostrophes": MODEL + MODEL.replace(b'"model"', b"'model'") + END,
    "not form-data": MODEL.replace(b"form-data", b"attachment") + END,
    "a folded head": MODEL.replace(b"; name", b";\r\n name") + END,
    "no colon": b"--XX\r\nhello\r\n\r\n\r\n" + END,
    "a NUL in a head": MODEL.replace(b"Content", b"a: \0\r\nContent") + END,
    "a long head": b"--XX\r\na: " + b"b" * 20_000 + b"\r\n\r\n\r\n" + END,
    "too many parts": LANGUAGE * 257 + END,
    "a boundary in a head": MODEL.replace(b"\r\n\r\n", b"\r\n--XX: a\r\n\r\n") + END,
    "two models": MODEL + MODEL + END,
    "two models, one disguised": MODEL + FILE % SOUND + MODEL.replace(b'"model"', b'" Model"') + END,
    "no name of a model": MODEL.replace(b"whisper", b"") + END,
    "a control character": MODEL.replace(b"whisper", b"a\x01") + END,
    "not UTF-8": MODEL.replace(b"whisper", b"\xff") + END,
    "a long model": MODEL.replace(b"whisper", b"w" * 2000) + END,
    "a very long model": MODEL.replace(b"whisper", b"w" * 200_000),
}


@pytest.mark.parametrize("case", BROKEN)
@pytest.mark.parametrize("step", [1, 7, 1_000_000])
def test_what_could_be_read_in_two_ways_is_refused(case: str, step: int) -> None:
    """A form whose model we and the provider could disagree about would let a key use what it may not."""
    form = Form(TYPE)
    form.put("m")
    with pytest.raises(GatewayError) as caught:
        fed(form, BROKEN[case], list(range(step, len(BROKEN[case]), step)))
    assert (caught.value.kind, caught.value.status) == (Kind.BAD_REQUEST, 400)


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        (b"multipart/form-data; boundary=XX", b"multipart/form-data; boundary=XX"),
        (b'Multipart/Form-Data ;charset=utf-8; BOUNDARY="a:b"; ', b'multipart/form-data; boundary="a:b"'),
        (b"multipart/form-data;boundary=----WebKit7MA4", b"multipart/form-data; boundary=----WebKit7MA4"),
        (b"multipart/form-data; boundary=(a)", b'multipart/form-data; boundary="(a)"'),
    ],
)  # fmt: skip
def test_the_boundary_is_told_in_one_way(given: bytes, sent: bytes) -> None:
    """The provider must read the boundary that we read."""
    assert Form(given).content_type == sent


@pytest.mark.parametrize(
    "given",
    [
        b"multipart/form-data",
        b"multipart/form-data; boundary=",
        b'multipart/form-data; boundary=""',
        b"multipart/form-data; boundary=a; boundary=b",
        b"multipart/form-data; boundary=a, multipart/form-data; boundary=b",
        b"multipart/form-data; boundary*=utf-8''a",
        b'multipart/form-data; boundary="a ',
        b'multipart/form-data; boundary="a "',
        b'multipart/form-data; boundary=" a"',
        b"multipart/form-data; boundary='a'",
        b"multipart/form-data; boundary=" + b"a" * 71,
        b'multipart/form-data; boundary="a\\"b"',
        b"multipart/form-data; boundary=\xff",
        b"multipart/mixed; boundary=a",
    ],
)
def test_a_doubtful_boundary_is_refused(given: bytes) -> None:
    """Two boundaries are two forms."""
    with pytest.raises(GatewayError) as caught:
        Form(given)
    assert caught.value.code == "invalid_form"


@pytest.mark.parametrize("size", [1_000, 200_000])
def test_spaces_without_end_cost_no_time(size: int) -> None:
    """A head of nothing but spaces, read in steps that grow with its square, would hold up every other client for seconds."""
    began = time.process_time()
    with pytest.raises(GatewayError):
        Form(TYPE + b" " * size + b"x")
    assert _DISPOSITION.fullmatch(b" form-data; name=a" + b" " * size + b"x") is None
    assert time.process_time() - began < 1.0


def test_forms_are_told_by_their_type() -> None:
    """Only forms are passed on while they arrive."""
    assert is_form(b"Multipart/Form-Data; boundary=x")
    assert not is_form(b"application/json")

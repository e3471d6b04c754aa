"""What providers' exports of costs and usage look like, as data, and how a row of one is read. CSV, whatever is in it.

Money becomes integer nano-dollars and is never a float. What an export is compared with belongs in `reconcile`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation

import msgspec

MOST_DOLLARS = 10**9
MOST_COUNT = 10**15
_NUMBER = re.compile(r"(?:-\$?|\$-?)?(?:\d+|[1-9]\d{0,2}(?:,\d{3})+)?(?:(?<=\d)|\.\d+)(?:[eE][-+]?\d{1,3})?", re.ASCII)
"""English. A comma anywhere else than between thousands is somebody's decimal point: 0,25 must not be read as 25."""
_SECONDS = re.compile(r"\d{9,10}(\.\d+)?", re.ASCII)
_NANO = 1_000_000_000


class Charge(msgspec.Struct):
    """What a provider says of a model on a day. None where its export does not say it."""

    day: str
    """UTC, `2026-01-31`."""
    model: str
    """Its own name for it; empty where it does not tell models apart."""
    nano: int | None = None
    """Nano-dollars; negative for a credit."""
    input: int | None = None
    output: int | None = None
    requests: int | None = None

    @property
    def tokens(self) -> int | None:
        """All of them."""
        return None if self.input is None and self.output is None else (self.input or 0) + (self.output or 0)

    def plus(self, other: Charge) -> Charge:
        """Both together, under this one's name."""
        sums = {name: _sum(getattr(self, name), getattr(other, name)) for name in ("nano", "input", "output", "requests")}
        return msgspec.structs.replace(self, **sums)


def _sum(one: int | None, other: int | None) -> int | None:
    return None if one is None and other is None else (one or 0) + (other or 0)


class Form(msgspec.Struct, frozen=True):
    """An export's columns, in lower case. Several for one thing are added up; of dates the first that is filled counts."""

    name: str
    kind: str = ""
    """The kind of provider it is from; empty: any."""
    date: tuple[str, ...] = ()
    model: str = ""
    amount: tuple[str, ...] = ()
    """Dollars."""
    input: tuple[str, ...] = ()
    output: tuple[str, ...] = ()
    requests: str = ""
    currency: str = ""
    needs: tuple[str, ...] = ()
    """The columns by which it is known."""
    single: bool = False
    """A row is one request."""
    item: bool = False
    """The model stands before a comma, and after it what of it was charged."""


PLAIN = "a plain list"
FORMS = (
    # https://docs.pelanor.io/integrations/services/openai (the columns of the dashboard's cost data), and
    # https://platform.openai.com/docs/api-reference/usage/costs (`amount.value`, `amount.currency`, `line_item`)
    Form("OpenAI costs", "openai", ("start_time_iso", "start_time"), "line_item", ("amount_value",), currency="amount_currency",
         needs=("amount_value",), item=True),
    # https://platform.openai.com/docs/api-reference/usage/completions: the dashboard's activity data has its fields
    Form("OpenAI usage", "openai", ("start_time_iso", "start_time"), "model", (), ("input_tokens",), ("output_tokens",),
         "num_model_requests", needs=("num_model_requests", "input_tokens")),
    # https://support.claude.com/en/articles/9534590-cost-and-usage-reporting-in-the-claude-console: the console's two exports
    Form("Anthropic costs", "anthropic", ("usage_date_utc",), "model", ("cost_usd",), needs=("usage_date_utc", "cost_usd")),
    Form("Anthropic usage", "anthropic", ("usage_date_utc",), "model_version", (),
         ("usage_input_tokens_no_cache", "usage_input_tokens_cache_write_5m", "usage_input_tokens_cache_write_1h",
          "usage_input_tokens_cache_read"), ("usage_output_tokens",), needs=("usage_date_utc", "usage_input_tokens_no_cache")),
    # https://openrouter.ai/docs/api-reference/analytics/get-activity; with a key of one's own the upstream's part stands beside
    Form("OpenRouter activity", "openrouter", ("date",), "model_permaslug", ("usage", "byok_usage_inference"),
         ("prompt_tokens",), ("completion_tokens",), "requests", needs=("usage", "model_permaslug", "requests")),
    # https://openrouter.ai/docs/guides/features/logs: the export of single generations
    Form("OpenRouter generations", "openrouter", ("created_at",), "model_permaslug", ("cost_total", "byok_usage_inference"),
         ("tokens_prompt",), ("tokens_completion",), needs=("cost_total", "model_permaslug"), single=True),
    Form(PLAIN, "", ("date", "day"), "model", ("amount", "cost", "amount_usd", "cost_usd"), ("input_tokens",),
         ("output_tokens",), "requests", "currency", needs=("model",)),
)  # fmt: skip
FIELDS = ("date", "model", "amount", "input", "output", "requests", "currency")
"""What a column can be mapped to."""


class ExportError(Exception):
    """An export that cannot be read. `str` says where and why."""


def form_of(columns: Sequence[str], mapped: Mapping[str, str]) -> Form:
    """The form that these columns (lower case) have, with `mapped` put in the place of its own: field to column.

    Raises ExportError, which lists the columns where it is none.
    """
    for name, column in mapped.items():
        if name not in FIELDS or column not in columns:
            what = f"no column {column!r}" if name in FIELDS else f"nothing called {name!r} (there are {', '.join(FIELDS)})"
            raise ExportError(f"There is {what}. The columns are: {', '.join(columns)}.")
    found = next((form for form in FORMS if all(need in columns for need in form.needs)), Form("a mapped list"))
    if found.name == PLAIN:  # the spellings of one column
        found = msgspec.structs.replace(found, amount=tuple(name for name in found.amount if name in columns)[:1])
    several = ("date", "amount", "input", "output")
    found = msgspec.structs.replace(found, **{name: (it,) if name in several else it for name, it in mapped.items()})
    if not any(name in columns for name in found.date) or not any(name in columns for name in (*found.amount, *found.input)):
        raise ExportError(
            f"This form of export is not known. Its columns are: {', '.join(columns)}. Say which is which, for example:"
            " --map date=COLUMN --map model=COLUMN --map amount=COLUMN."
        )
    used = {*found.date, *found.amount, *found.input, *found.output, found.model, found.requests, found.currency}
    if twice := [name for name in columns if name in used and columns.count(name) > 1]:
        raise ExportError(f"There are two columns {twice[0]!r}.")
    return found


def charges(form: Form, rows: Iterable[Mapping[str, str]]) -> Iterable[Charge]:
    """The rows of an export. Raises ExportError, with the row's number (the first below the header is 2)."""
    for number, row in enumerate(rows, 2):
        try:
            yield _charge(form, row)
        except ValueError as error:
            raise ExportError(f"Row {number}: {error}.") from None


def _charge(form: Form, row: Mapping[str, str]) -> Charge:
    currency = (row.get(form.currency) or "usd").strip().lower()
    if currency != "usd":
        raise ValueError(f"the amount is in {currency!r}, and only dollars are compared")
    model = (row.get(form.model) or "").strip()
    return Charge(
        day=_day(next((row[name] for name in form.date if row.get(name)), "")),
        model=model.partition(",")[0].strip() if form.item else model,
        nano=_nano([row[name] for name in form.amount if row.get(name)]) if any(name in row for name in form.amount) else None,
        input=_count(row, form.input),
        output=_count(row, form.output),
        requests=1 if form.single else _count(row, (form.requests,)),
    )


def _day(text: str) -> str:
    """UTC. A date, a date and time (UTC where it names no zone), or seconds since the epoch."""
    text = text.strip()
    try:
        if _SECONDS.fullmatch(text):
            return datetime.fromtimestamp(int(text.partition(".")[0]), UTC).date().isoformat()
        moment = datetime.fromisoformat(text.removesuffix(" UTC"))
        return (moment.astimezone(UTC) if moment.tzinfo else moment).date().isoformat()
    except (ValueError, OverflowError):
        raise ValueError(f"{text[:40]!r} is no date such as 2026-01-31") from None


def _nano(texts: Collection[str]) -> int:
    """Dollars added up exactly, then rounded half up."""
    total = sum((_number(text) for text in texts), Decimal(0))
    return int((total * _NANO).to_integral_value(ROUND_HALF_UP)) if abs(total) <= MOST_DOLLARS else _too_much(total)


def _too_much(total: Decimal) -> int:
    raise ValueError(f"{total:.3g} dollars are more than there can be")


def _count(row: Mapping[str, str], names: Iterable[str]) -> int | None:
    texts = [row[name] for name in names if row.get(name)]
    if not any(name in row for name in names):
        return None
    total = sum((_number(text) for text in texts), Decimal(0))
    if total != total.to_integral_value() or not 0 <= total <= MOST_COUNT:
        raise ValueError(f"{texts[0][:40]!r} is no count")
    return int(total)


def _number(text: str) -> Decimal:
    text = text.strip()
    try:
        if _NUMBER.fullmatch(text):
            return Decimal(text.replace("$", "").replace(",", ""))
    except InvalidOperation:
        pass
    raise ValueError(f"{text[:40]!r} is no number")

"""Providers' exports: which is which, and what a row of one says."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.ledger.exports import Charge, ExportError, charges, form_of

OPENAI = """start_time,end_time,start_time_iso,end_time_iso,amount_value,amount_currency,line_item,project_id
1790467200,1790553600,2026-09-27T00:00:00+00:00,2026-09-28T00:00:00+00:00,0.123456789123,usd,"gpt-4.1-2025-04-14, input",p
1790467200,1790553600,,2026-09-28T00:00:00+00:00,0.1,usd,"gpt-4.1-2025-04-14, output",p
"""
OPENAI_USAGE = """start_time,num_model_requests,input_tokens,output_tokens,input_cached_tokens,model
1790467200,3,1000,200,50,gpt-4.1
"""
ANTHROPIC = """usage_date_utc,model,workspace,token_type,cost_usd,list_price_usd
2026-09-27,Claude Haiku 4.5,Default,input_no_cache,0.05,0.05
"""
_KINDS = ("no_cache", "cache_write_5m", "cache_write_1h", "cache_read")
_COLUMNS = ",".join(f"usage_input_tokens_{kind}" for kind in _KINDS)
ANTHROPIC_USAGE = f"""usage_date_utc,model_version,{_COLUMNS},usage_output_tokens
2026-09-27,claude-haiku-4-5-20251001,100,20,3,4000,50
"""
ACTIVITY = """date,model,model_permaslug,provider_name,usage,byok_usage_inference,requests,prompt_tokens,completion_tokens
2026-09-27,openai/gpt-4.1,openai/gpt-4.1-2025-04-14,OpenAI,0.015,0.012,5,50,125
"""
GENERATIONS = """generation_id,created_at,cost_total,byok_usage_inference,tokens_prompt,tokens_completion,model_permaslug
gen-1,2026-09-27 23:59:59.123+00:00,0.5,,10,20,openai/gpt-4.1
"""
PLAIN = """Day,Model,Cost,Amount
2026-09-27,m,7,"$1,234.50"
"""


def read(text: str, mapped: dict[str, str] | None = None) -> tuple[str, list[Charge]]:
    lines = list(csv.reader(io.StringIO(text)))
    columns = [name.lower() for name in lines[0]]
    form = form_of(columns, mapped or {})
    return form.name, list(charges(form, (dict(zip(columns, line, strict=False)) for line in lines[1:])))


DAY = "2026-09-27"


@pytest.mark.parametrize(
    ("text", "name", "found"),
    [
        (OPENAI, "OpenAI costs", [Charge(DAY, "gpt-4.1-2025-04-14", nano) for nano in (123_456_789, 100_000_000)]),
        (OPENAI_USAGE, "OpenAI usage", [Charge(DAY, "gpt-4.1", None, 1000, 200, 3)]),
        (ANTHROPIC, "Anthropic costs", [Charge(DAY, "Claude Haiku 4.5", 50_000_000)]),
        (ANTHROPIC_USAGE, "Anthropic usage", [Charge(DAY, "claude-haiku-4-5-20251001", None, 4123, 50)]),
        (ACTIVITY, "OpenRouter activity", [Charge(DAY, "openai/gpt-4.1-2025-04-14", 27_000_000, 50, 125, 5)]),
        (GENERATIONS, "OpenRouter generations", [Charge(DAY, "openai/gpt-4.1", 500_000_000, 10, 20, 1)]),
        (PLAIN, "a plain list", [Charge(DAY, "m", 1_234_500_000_000)]),
    ],
)
def test_forms(text: str, name: str, found: list[Charge]) -> None:
    """Each provider writes its own columns; what they say must be the same thing here."""
    assert read(text) == (name, found)


def test_a_form_of_ones_own() -> None:
    """An accountant's sheet can be told column by column; an unknown one says what it has."""
    text = "When,What,How much,Words\n2026-09-27,m,-1.5,3\n"
    with pytest.raises(ExportError, match=r"not known. Its columns are: when, what, how much, words. .*--map date=COLUMN"):
        read(text)
    mapped = {"date": "when", "model": "what", "amount": "how much", "input": "words"}
    assert read(text, mapped)[1] == [Charge(DAY, "m", -1_500_000_000, 3)]
    with pytest.raises(ExportError, match=r"no column 'where'\. The columns are: when"):
        read(text, {"date": "where"})
    with pytest.raises(ExportError, match="nothing called 'dates'"):
        read(text, {"dates": "when"})


@pytest.mark.parametrize(
    ("cells", "why"),
    [
        ("2026-09-27,m,x", "Row 2: 'x' is no number"),
        ("2026-09-27,m,--5", "Row 2: '--5' is no number"),
        ("yesterday,m,1", "Row 2: 'yesterday' is no date"),
        (",m,1", "Row 2: '' is no date"),
        ("2026-09-27,m,1e999", "Row 2: 1.00e\\+999 dollars are more than there can be"),
        ("99999999999,m,1", "Row 2: '99999999999' is no date"),
        ("0001-01-01T00:00+14:00,m,1", "Row 2: '0001-01-01T00:00.14:00' is no date"),
        ("9999-12-31T23:00-12:00,m,1", "Row 2: '9999-12-31T23:00-12:00' is no date"),
        ('2026-09-27,m,"0,25"', "Row 2: '0,25' is no number"),
        ('2026-09-27,m,"0,250"', "Row 2: '0,250' is no number"),
        ('2026-09-27,m,"12,34"', "Row 2: '12,34' is no number"),
        ('2026-09-27,m,"1.234,56"', "Row 2: '1.234,56' is no number"),
        ("2026-09-27,m,$", "Row 2: '.' is no number"),
    ],
)
def test_rows_that_make_no_sense(cells: str, why: str) -> None:
    """A sum over what could be read would look like a sum over everything."""
    with pytest.raises(ExportError, match=why):
        read(f"date,model,amount\n{cells}\n")


def test_a_column_that_is_there_twice() -> None:
    """Which of two amounts counts cannot be guessed; what nobody reads may be there as often as it likes."""
    with pytest.raises(ExportError, match="two columns 'amount'"):
        read("date,model,amount,amount\n2026-09-27,m,1,2\n")
    assert read("date,model,amount,x,x\n2026-09-27,m,1,2,3\n")[1][0].nano == 10**9


def test_only_dollars_are_compared() -> None:
    """An amount in another currency is not a wrong amount of dollars."""
    with pytest.raises(ExportError, match="the amount is in 'eur'"):
        read("date,model,amount,currency\n2026-09-27,m,1,EUR\n")
    with pytest.raises(ExportError, match=r"'1\.5' is no count"):
        read("date,model,amount,requests\n2026-09-27,m,1,1.5\n")


COUNTS = st.none() | st.integers(0, 10**9)
CHARGES = st.builds(Charge, st.just(DAY), st.just("m"), COUNTS, COUNTS, COUNTS, COUNTS)


@given(st.lists(CHARGES, min_size=1))
def test_charges_add_up(found: list[Charge]) -> None:
    """Whatever is told is counted once; what nobody tells stays untold."""
    total = found[0]
    for one in found[1:]:
        total = total.plus(one)
    for name in ("nano", "input", "output", "requests"):
        told = [value for one in found if (value := getattr(one, name)) is not None]
        assert getattr(total, name) == (sum(told) if told else None)


@given(st.decimals(-(10**6), 10**6, places=9))
def test_amounts_are_exact(dollars) -> None:
    """No cent goes through a binary float."""
    assert read(f"date,model,amount\n{DAY},m,{dollars:f}\n")[1][0].nano == int(dollars * 10**9)

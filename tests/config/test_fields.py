"""What every section of the file has in common."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from trunkline.config.fields import Duration, Section, Size


class Sample(Section):
    """A section as others are."""

    wait: Duration = 1.0
    room: Size = 1


def test_a_blank_section_is_an_empty_one() -> None:
    """Switching off the last line below a section's name would make the file wrong."""
    assert Sample.model_validate(None) == Sample()


def test_units_may_be_written() -> None:
    """Operators write 200ms and 64KiB, not 0.2 and 65536."""
    sample = Sample.model_validate({"wait": "200ms", "room": "64KiB"})
    assert (sample.wait, sample.room) == (0.2, 64 * 1024)


@pytest.mark.parametrize("written", [{"wiat": "1s"}, {"wait": "soon"}, []])
def test_what_is_misspelt_is_refused(written: object) -> None:
    """It would be ignored in silence."""
    with pytest.raises(ValidationError):
        Sample.model_validate(written)

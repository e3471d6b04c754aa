"""The numbers of groups."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from trunkline.store.groups import group_id

_NAMES = st.tuples(*[st.text(max_size=3)] * 7)


def test_a_number_is_for_ever():
    """Sums stand under it in every store: another number would be another group."""
    assert group_id(("laptop", "", "", "", "gpt-4.1", "openai", "gpt-4.1")) == 7_772_984_666_750_810_573


@given(_NAMES, _NAMES)
def test_groups_differ_by_their_names_alone(one, other):
    """Whose sums fell together with another's would pay for both; where one name ends and the next begins counts too."""
    assert (group_id(one) == group_id(other)) == (one == other)
    assert 0 < group_id(one) < 2**63

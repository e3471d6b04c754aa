"""Which credential belongs to whom."""

from __future__ import annotations

from trunkline.credentials.table import open_credentials


def test_who_has_none_gets_none():
    """A provider with an ordinary key would be signed for."""
    assert open_credentials({"lab": None}) == {}

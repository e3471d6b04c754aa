"""What a provider shows of itself."""

from __future__ import annotations

from trunkline.canon.wire import Origin
from trunkline.providers.provider import Provider, Target


def test_a_provider_does_not_show_its_credential():
    """A traceback or a debug log would hold the key."""
    provider = Provider(
        "lab", "openai", Origin("https", "h", 443), {"openai_chat": "/v1"}, b"Authorization: Bearer hunter2\r\n", (b"hunter2",)
    )
    assert repr(provider) == "Provider('lab', https://h:443/v1)"
    assert "hunter2" not in repr(Target(provider, "m"))

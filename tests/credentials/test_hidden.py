"""What stands in for a credential that is not to be made."""

from __future__ import annotations

import asyncio

from trunkline.canon.wire import Deadlines, Origin, WireRequest
from trunkline.credentials.aws import AwsSpec, Keys
from trunkline.credentials.google import GoogleSpec
from trunkline.credentials.hidden import hide_credentials
from trunkline.credentials.table import _MAKERS

REQUEST = WireRequest(Origin("https", "h", 443), "/", b"", b"{}", Deadlines(), 1)


def test_names_are_shown_and_values_are_not() -> None:
    """An explanation goes into tickets; and no token server may be asked for it."""
    keys = Keys("AKIAIOSFODNN7EXAMPLE", 0.0, secret="wJalrXUtnFEMI")
    found = hide_credentials({"aws": AwsSpec("us-east-1", keys), "google": GoogleSpec(None), "fixed": None})
    assert list(found) == ["aws", "google"]
    lines = {name: asyncio.run(one.lines(REQUEST)) for name, one in found.items()}
    assert lines["aws"] == b"X-Amz-Date: ***\r\nAuthorization: AWS4-HMAC-SHA256 ***\r\n"
    assert lines["google"] == b"Authorization: Bearer ***\r\n"
    for one in found.values():
        assert one.secrets == ()
        one.close()


def test_there_is_one_for_each_kind() -> None:
    """A provider of a new kind could not be explained."""
    specs = {"a": AwsSpec("us-east-1"), "g": GoogleSpec(None)}
    assert {type(spec) for spec in specs.values()} == set(_MAKERS)
    assert set(hide_credentials(specs)) == set(specs)

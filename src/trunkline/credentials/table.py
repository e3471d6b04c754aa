"""Which credential is made from which spec."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from trunkline.credentials.aws import AwsSpec, open_aws
from trunkline.credentials.credential import Credential, Spec
from trunkline.credentials.google import GoogleSpec, open_google

_MAKERS: dict[type[Spec], Callable[[Spec], Credential]] = {AwsSpec: open_aws, GoogleSpec: open_google}


def open_credentials(specs: Mapping[str, Spec | None]) -> dict[str, Credential]:
    """The live credential of every provider that has such, by the provider's name."""
    return {name: _MAKERS[type(spec)](spec) for name, spec in specs.items() if spec is not None}

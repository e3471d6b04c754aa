"""Which credential is made from which spec."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from trunkline.credentials.aws import AwsSpec, open_aws, prepare_aws
from trunkline.credentials.credential import Credential, Spec
from trunkline.credentials.google import GoogleSpec, open_google

_MAKERS: dict[type[Spec], Callable[[Spec], Credential]] = {AwsSpec: open_aws, GoogleSpec: open_google}


def open_credentials(specs: Mapping[str, Spec | None]) -> dict[str, Credential]:
    """The live credential of every provider that has such, by the provider's name."""
    return {name: _MAKERS[type(spec)](spec) for name, spec in specs.items() if spec is not None}


def prepare_credentials(specs: Mapping[str, Spec | None]) -> None:
    """Load the code they take, which blocks for a moment, so that opening them does not."""
    if any(isinstance(spec, AwsSpec) for spec in specs.values()):
        prepare_aws()


def follow_credentials(
    old: Mapping[str, Spec | None], new: Mapping[str, Spec | None], alive: Mapping[str, Credential]
) -> dict[str, Credential]:
    """The live credentials of `new`, where `alive` are those of `old`. One that is the same goes on with the token it has.

    The others are opened; those of `old` that are left out are not closed: requests that began with them may go on to use
    them, and after that they are forgotten.
    """
    kept = {name: alive[name] for name, spec in new.items() if spec is not None and spec == old.get(name)}
    return kept | open_credentials({name: spec for name, spec in new.items() if name not in kept})

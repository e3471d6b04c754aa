"""From what is written of issuers of tokens to what is asked of their tokens, and from a good token to whom it lets in.

What a token itself must be is in `policy.tokens`; whom there is to belong to, in `holders`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

import msgspec

from trunkline.config.holders import Chart, Unfit, rules, rules_of
from trunkline.config.mistakes import KeyPath
from trunkline.config.reach import Context, existing_file
from trunkline.config.schema_holders import HolderSpec, KeySettings, Kind
from trunkline.config.schema_tokens import TokenSpec
from trunkline.config.web import place, web
from trunkline.credentials.jwks import Where
from trunkline.edge.call import Place
from trunkline.policy.keys import Principal
from trunkline.policy.tokens import Issuer, Names, Said, mismatched, no_keys, unknown

_FILE = "file:"
_SECOND_NS = 1_000_000_000


class TokenIssuer(msgspec.Struct, frozen=True):
    """One issuer, ready to be used."""

    asked: Issuer
    where: Where
    place: Place | None
    """Where its keys, or the document that names them, are; None where they are in a file."""
    each: HolderSpec
    """What each of its users has for himself."""


def compile_tokens(written: Mapping[str, TokenSpec], context: Context) -> tuple[TokenIssuer, ...]:
    """All of them. Two for one issuer are reported: a token could be either's."""
    by_issuer: dict[str, str] = {}
    found = []
    for name, spec in written.items():
        path: KeyPath = ("tokens", name)
        if (first := by_issuer.setdefault(spec.issuer, name)) != name:
            context.report((*path, "issuer"), f"tokens.{first} has the same issuer; give that one several audiences")
        found.append(_issuer(name, spec, path, context))
    return tuple(found)


def _issuer(name: str, spec: TokenSpec, path: KeyPath, context: Context) -> TokenIssuer:
    asked = Issuer(
        name=name,
        issuer=spec.issuer,
        audience=frozenset(spec.audience),
        algorithms=frozenset(spec.algorithms),
        leeway=spec.leeway,
        max_age=spec.max_age,
        prefix=spec.prefix or "",
        claims=Names(**spec.claims.model_dump()),
        require=tuple(spec.require.items()),
    )
    if spec.jwks is not None and spec.jwks.startswith(_FILE):
        file = existing_file(spec.jwks.removeprefix(_FILE), (*path, "jwks"), context)
        return TokenIssuer(asked, Where(spec.issuer, file=file, refresh=spec.refresh), None, spec.each)
    where = Where(spec.issuer, url=spec.jwks, refresh=spec.refresh)
    return TokenIssuer(asked, where, place(web(spec.jwks or spec.issuer), spec.ca, path, context), spec.each)


class Guests:
    """Whom the tokens of some issuers let in."""

    def __init__(self, issuers: Iterable[TokenIssuer], chart: Chart) -> None:
        self._each = {issuer.asked.name: (issuer.asked.issuer, issuer.each) for issuer in issuers}
        self._chart = chart

    def let_in(self, issuer: str, said: Said, token: bytes) -> Principal:
        """The user of a good token: under the rules of all that he belongs to, and under those that each user has for himself.

        What is said of one user takes the place of what each has: he may be given more. Raises `GatewayError` (403) where the
        token names nobody who is known, or such as do not belong together.
        """
        if issuer not in self._each:
            raise no_keys()  # a configuration that gives way to another
        chart, (url, each) = self._chart, self._each[issuer]
        settings = KeySettings.model_construct(
            **{name: getattr(each, name) for name in ("models", "providers", "endpoints", "addresses")},
            tags=sorted({*each.tags, *said.tags}),
            user=said.user if chart.has("user", said.user) else None,
            team=_first("team", said.teams, chart),
            organisation=_first("organisation", said.organisations, chart),
            expires=int(said.until * _SECOND_NS),
        )
        digest = hashlib.sha256(f"token\0{url}\0{said.user}".encode()).digest()
        try:
            made = chart.principal(f"{issuer}:{said.user}", digest, settings)
        except Unfit as error:
            raise mismatched() from error
        theirs = {rule.ident for rule in made.rules.rules}
        own = tuple(rule for rule in rules_of(f"user:{said.user}", each) if rule.ident not in theirs)
        models = [one for one in (said.models, made.models) if one is not None]
        return msgspec.structs.replace(
            made,
            user=said.user,
            rules=rules(own + made.rules.rules),
            models=models[0] if models else None,
            also=(*models[1:], *made.also),
            token=token,
        )


def _first(kind: Kind, names: Iterable[str] | None, chart: Chart) -> str | None:
    """The first of those that a token names which is known; None where it need not name any."""
    if names is None:
        return None
    found = next((name for name in names if chart.has(kind, name)), None)
    if found is None:
        raise unknown(kind)
    return found

"""Bearer tokens at the door of the real gateway: good ones let in, every wrong one is a 401, and a lost issuer harms nobody."""

from __future__ import annotations

import hmac
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import openai
import pytest
import yaml

from harness.client import Reply
from harness.gateway import KEY, Gateway, Make, settings
from harness.issuer import AUDIENCE, Issuer, part, private_key, public_jwk, public_pem, signed_by_hand
from harness.redis import Redis
from harness.script import whole
from harness.upstream import Upstream

THERE = "the keys of an issuer of tokens are there"
BAD = b'"code":"invalid_api_key"'


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    """The issuer of the file's own gateway."""
    with Issuer() as running:
        yield running


def config(upstream: Upstream, issuer: Issuer, **token: Any) -> dict[str, Any]:
    """The harness's settings and one issuer of tokens."""
    made = settings(upstream.url)
    made["tokens"] = {"corporate": issuer.settings(**token)}
    return made


@pytest.fixture(scope="module")
def gateway(upstream: Upstream, issuer: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """The real process, which takes the issuer's tokens of users in the team `lab`."""
    made = config(
        upstream,
        issuer,
        claims={"team": "groups", "tags": "roles"},
        require={"verified": True},
        max_age="1h",
        algorithms=["RS256"],
        each={"limits": {"rpm": 5}},
    )
    made["organisations"] = {"acme": {}}
    made["teams"] = {"lab": {"organisation": "acme", "models": ["m"]}}
    with Gateway(made, tmp_path_factory.mktemp("gateway")) as running:
        ready(running)
        yield running


def ready(gateway: Gateway) -> None:
    """Wait until the keys are there."""
    gateway.wait_log(lambda line: line.get("event") == THERE)


def good(issuer: Issuer, **claims: Any) -> str:
    """A token that lets in."""
    return issuer.token(**{"groups": ["guests", "lab"], "verified": True, **claims})


def test_an_sdk_uses_a_token_as_its_key_and_accounts_say_whose(gateway: Gateway, issuer: Issuer) -> None:
    """A company whose people sign in would hand out keys after all, or could not tell who spent what."""
    host, port = gateway.listen
    token = good(issuer, sub="ann@example.com", roles=["Staff", "eng"])
    with openai.OpenAI(api_key=token, base_url=f"http://{host}:{port}/v1", max_retries=0) as client:
        said = client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}])
        assert said.choices
        with pytest.raises(openai.PermissionDeniedError):
            client.chat.completions.create(model="costly", messages=[{"role": "user", "content": "hi"}])
    row = next(one for one in reversed(gateway.ledger()) if one["key"].startswith("corporate:"))
    assert row["key"] == "corporate:ann@example.com"
    assert (row["user"], row["team"], row["organisation"], row["tags"]) == ("ann@example.com", "lab", "acme", "Staff,eng")
    assert token not in gateway.output() + gateway.metrics_text()


def head_of(issuer: Issuer, **changes: Any) -> dict[str, Any]:
    """A good token's header with changes; None leaves a field out."""
    return {k: v for k, v in {"alg": "RS256", "typ": "JWT", "kid": "first", **changes}.items() if v is not None}


def made_wrong(issuer: Issuer) -> dict[str, str]:
    """Tokens with one thing wrong each, by what that is."""
    now = int(time.time())
    key, other = issuer.keys["first"], private_key()
    claims = issuer.claims(groups=["lab"], verified=True)
    text, public = json.dumps(claims), public_pem(key)
    whole = good(issuer)
    head, body, signature = whole.split(".")
    hs = f"{part(head_of(issuer, alg='HS256'))}.{part(claims)}"
    confused = f"{hs}.{part(hmac.digest(public, hs.encode(), 'sha256'))}"

    def headed(**changes: Any) -> str:
        return signed_by_hand(head_of(issuer, **changes), claims, key)

    def said(written: str) -> str:
        return signed_by_hand(head_of(issuer), written.encode(), key)

    return {
        "no signature": f"{part(head_of(issuer, alg='none'))}.{part(claims)}.",
        "no signature, not even a dot": f"{part(head_of(issuer, alg='none'))}.{part(claims)}",
        "alg none, signed": headed(alg="none"),
        "alg nOnE, signed": headed(alg="nOnE"),
        "HS256 with the public key as secret": confused,
        "another's key": signed_by_hand(head_of(issuer), claims, other),
        "a signature cut short": f"{head}.{body}.{signature[:-8]}",
        "a signature with other bits": f"{head}.{body}.{signature[:-1]}{'A' if signature[-1] != 'A' else 'Q'}",
        "other claims under it": f"{head}.{part({**claims, 'sub': 'eve'})}.{signature}",
        "an algorithm of another kind of key": headed(alg="ES256"),
        "an algorithm that is not allowed": signed_by_hand(head_of(issuer, alg="RS384"), claims, key, "RS384"),
        "another algorithm's name": headed(alg="PS256"),
        "algorithm not a text": headed(alg=["RS256"]),
        "kid of nobody": issuer.token(header={"kid": "nobody"}, groups=["lab"], verified=True),
        "kid not a text": headed(kid=7),
        "kid empty": headed(kid=""),
        "type of a logout": headed(typ="logout+jwt"),
        "type not a text": headed(typ=1),
        "critical extension": headed(crit=["exp"]),
        "unencoded payload": headed(b64=False),
        "header no object": signed_by_hand([1], claims, key),
        "header not JSON": signed_by_hand(b"{", claims, key),
        "header twice alg": signed_by_hand(b'{"alg":"none","alg":"RS256","kid":"first"}', claims, key),
        "claims no object": said('["lab"]'),
        "claims not UTF-8": signed_by_hand(head_of(issuer), text.encode().replace(b"ann", b"a\xff"), key),
        "claims twice sub": said(text[:-1] + ', "sub": "root"}'),
        "claims twice, deep": said(text[:-1] + ', "x": {"a": 1, "a": 2}}'),
        "nested bomb": said(text[:-1] + ', "x": ' + "[" * 2500 + "]" * 2500 + "}"),
        "a number of 5000 digits": said(text[:-1] + ', "x": ' + "9" * 5000 + "}"),
        "exp beyond all": said(text.replace(str(claims["exp"]), "1e400")),
        "exp NaN": said(text.replace(str(claims["exp"]), "NaN")),
        "larger than 8 KiB": good(issuer, padding="x" * 8000),
        "padded": ".".join((head + "=", body, signature)),
        "a fourth part": whole + ".eyJ9",
        "a part that is no base64url": f"{head}.{body}.{signature[:-1]}+",
        "another issuer": good(issuer, iss="https://login.example.com/"),
        "the issuer without its slash": good(issuer, iss=issuer.issuer.removesuffix("/")),
        "issuer a list": said(text.replace(f'"{issuer.issuer}"', f'["{issuer.issuer}"]')),
        "no issuer": good(issuer, iss=None),
        "another audience": good(issuer, aud="others"),
        "audience a list of others": good(issuer, aud=["others", "trunkline2"]),
        "audience not a text": said(text.replace('"trunkline"', "[7]")),
        "no audience": good(issuer, aud=None),
        "expired": good(issuer, exp=now - 40),
        "no exp": good(issuer, exp=None),
        "exp a text": said(text.replace(str(claims["exp"]), f'"{claims["exp"]}"')),
        "exp true": said(text.replace(str(claims["exp"]), "true")),
        "exp null": said(text.replace(str(claims["exp"]), "null")),
        "not yet": good(issuer, nbf=now + 100),
        "issued in the future": good(issuer, iat=now + 100),
        "issued long ago": good(issuer, iat=now - 4000),
        "no iat, whose age is bounded": good(issuer, iat=None),
        "subject a number": said(text.replace('"ann"', "7")),
        "subject a list": said(text.replace('"ann"', '["ann"]')),
        "no subject": good(issuer, sub=None),
        "subject empty": good(issuer, sub=""),
        "subject too long": good(issuer, sub="x" * 256),
        "subject with a line end": good(issuer, sub="ann\nbob"),
        "subject with a lone surrogate": said(text.replace('"ann"', '"\\ud800"')),
        "groups not texts": good(issuer, groups=[1]),
        "not what is required": good(issuer, verified=False),
        "without what is required": good(issuer, verified=None),
        "a key of ours in disguise": "ey" + KEY,
    }


def test_every_wrong_token_is_the_same_401(gateway: Gateway, issuer: Issuer) -> None:
    """Somebody would get in; or learn from an answer which part of a forgery to mend."""
    ready(gateway)
    bodies, statuses = set(), {}
    fetched = issuer.fetches
    for what, token in made_wrong(issuer).items():
        answer = gateway.chat(key=token)
        if answer.status == 503:  # the first with an unknown key: the issuer is asked for it, and has none
            answer = eventually(lambda token=token: gateway.chat(key=token), 401)
        statuses[what] = answer.status
        bodies.add(answer.body)
    assert {what: status for what, status in statuses.items() if status != 401} == {}
    assert len(bodies) == 1
    assert BAD in bodies.pop()
    assert issuer.fetches <= fetched + 1
    assert gateway.chat(key=good(issuer)).status == 200


def eventually(ask: Callable[[], Reply], status: int, seconds: float = 15.0) -> Reply:
    """Ask until the answer is this; what comes by itself."""
    end = time.monotonic() + seconds
    while True:
        answer = ask()
        if answer.status == status:
            return answer
        assert time.monotonic() < end, answer
        time.sleep(0.02)


def test_headers_that_say_where_to_find_a_key_are_not_followed(gateway: Gateway, issuer: Issuer) -> None:
    """Whoever makes a token would bring the key that it is checked with, and the gateway would call whom he likes."""
    evil = private_key()
    with Upstream() as elsewhere:
        url = f"http://127.0.0.1:{elsewhere.port}/keys"
        told = {"jku": url, "x5u": url, "jwk": public_jwk(evil, "first"), "x5c": ["AAAA"]}
        claims = issuer.claims(groups=["lab"], verified=True)
        assert gateway.chat(key=signed_by_hand(head_of(issuer, **told), claims, evil)).status == 401
        assert gateway.chat(key=signed_by_hand(head_of(issuer, **told), claims, issuer.keys["first"])).status == 200
        assert elsewhere.requests == []


def test_good_tokens_of_every_form_let_in(gateway: Gateway, issuer: Issuer) -> None:
    """Tokens of real issuers would be refused for what the standards allow."""
    now = int(time.time())
    for number, claims in enumerate(
        [
            {"aud": ["others", AUDIENCE]},
            {"exp": now - 10},
            {"nbf": now + 10, "iat": now + 10},
            {"exp": now + 600.5},
            {"groups": "lab"},
            {"verified": ["no", "true"]},
        ]
    ):
        assert gateway.chat(key=good(issuer, sub=f"form-{number}", **claims)).status == 200, claims
    for kind in (None, "at+jwt", "application/at+jwt", "jwt"):
        header = head_of(issuer, typ=kind)
        token = signed_by_hand(header, issuer.claims(sub=f"type-{kind}", groups=["lab"], verified=True), issuer.keys["first"])
        assert gateway.chat(key=token).status == 200, kind
    kidless = signed_by_hand(
        head_of(issuer, kid=None), issuer.claims(sub="x", groups=["lab"], verified=True), issuer.keys["first"]
    )
    assert gateway.chat(key=kidless).status == 200


def test_a_token_of_nobody_known_is_told_so(gateway: Gateway, issuer: Issuer) -> None:
    """A person whose group is not mapped would be told that his sign-in is broken."""
    for groups in (["guests"], [], "guests", None):
        answer = gateway.chat(key=good(issuer, groups=groups))
        assert (answer.status, b"unknown_team" in answer.body) == (403, True), groups
        assert b"guests" not in answer.body


def test_each_user_has_limits_of_his_own(gateway: Gateway, issuer: Issuer) -> None:
    """One person could take what is everybody's; or each new token would begin a new count."""
    statuses = [gateway.chat(key=good(issuer, sub="busy", jti=str(number))).status for number in range(7)]
    assert statuses == [200] * 5 + [429] * 2
    assert gateway.chat(key=good(issuer, sub="calm")).status == 200


def test_keys_rotate_and_a_removed_one_opens_nothing_more(upstream: Upstream, make_gateway: Make) -> None:
    """After a rotation people could not sign in until a restart; or a stolen key would go on signing."""
    with Issuer("P-256") as issuer:
        gateway = make_gateway(config(upstream, issuer, refresh="1s"))
        ready(gateway)
        old = issuer.token()
        assert gateway.chat(key=old).status == 200
        issuer.add("second", "Ed25519")
        fresh = issuer.token("second")
        first = gateway.chat(key=fresh)
        assert first.status in {200, 503}
        if first.status == 503:
            assert first.header("retry-after") == "1"
            assert b"token_keys_unavailable" in first.body
        eventually(lambda: gateway.chat(key=fresh), 200)
        assert gateway.chat(key=old).status == 200
        issuer.remove("first")
        eventually(lambda: gateway.chat(key=old), 401, 30)
        assert gateway.chat(key=fresh).status == 200


def test_a_flood_of_unknown_keys_asks_the_issuer_once(upstream: Upstream, make_gateway: Make) -> None:
    """Anybody could make the gateway overrun the company's sign-in."""
    with Issuer() as issuer:
        gateway = make_gateway(config(upstream, issuer))
        ready(gateway)
        began = time.monotonic()
        statuses = [gateway.chat(key=issuer.token(header={"kid": f"k{n}"})).status for n in range(60)]
        allowed = 2 + (time.monotonic() - began) // 10
        assert set(statuses) <= {401, 503}
        assert 401 in statuses
        assert issuer.fetches <= allowed


def test_an_issuer_that_is_down_locks_nobody_out(upstream: Upstream, make_gateway: Make) -> None:
    """The gateway would be as unreliable as the sign-in; and before it ever answered, a good token would be called wrong."""
    with Issuer() as issuer:
        issuer.server.script("status=503")
        gateway = make_gateway(config(upstream, issuer, refresh="1s"))
        gateway.wait_log(lambda line: line.get("event") == "the keys of an issuer of tokens could not be fetched")
        early = gateway.chat(key=issuer.token())
        assert (early.status, early.header("retry-after")) == (503, "1")
        assert b"token_keys_unavailable" in early.body
        assert gateway.chat(key=KEY).status == 200
        issuer.recover()
        eventually(lambda: gateway.chat(key=issuer.token()), 200)
        issuer.server.close_listener()
        issuer.server.reset_all()
        samples = 'trunkline_issuer_fetches_total{issuer="corporate",result="failed"}'
        failed = gateway.metrics()[samples]
        until = time.monotonic() + 30
        while gateway.metrics()[samples] == failed and time.monotonic() < until:
            time.sleep(0.1)
        assert gateway.metrics()[samples] > failed
        assert gateway.chat(key=issuer.token(sub="new")).status == 200
        assert gateway.metrics()['trunkline_issuer_keys{issuer="corporate"}'] == 1


@pytest.mark.parametrize("how", ["huge", "redirect", "html", "empty", "secrets"])
def test_what_an_issuer_sends_is_bounded_and_read_strictly(upstream: Upstream, make_gateway: Make, how: str) -> None:
    """A broken or taken-over page of keys would fill the memory, lead elsewhere, or let shared secrets in as keys."""
    with Issuer() as issuer, Upstream() as elsewhere:
        secret = {"keys": [{"kty": "oct", "kid": "first", "k": "c2VjcmV0", "alg": "HS256"}]}
        scripts = {
            "huge": "big=4",
            "redirect": f"redirect=http://127.0.0.1:{elsewhere.port}/keys",
            "html": "html",
            "empty": "empty",
        }
        issuer.server.script(scripts.get(how) or (lambda _: [whole(200, json.dumps(secret).encode())]))
        gateway = make_gateway(config(upstream, issuer))
        gateway.wait_log(lambda line: line.get("event") == "the keys of an issuer of tokens could not be fetched")
        assert gateway.chat(key=issuer.token()).status == 503
        assert elsewhere.requests == []
        assert gateway.chat(key=KEY).status == 200


def test_a_reload_changes_whose_tokens_count(upstream: Upstream, make_gateway: Make) -> None:
    """A token that was let in once would go on after its audience, its issuer or its team is gone."""
    with Issuer() as issuer:
        made = config(upstream, issuer, claims={"team": "groups"})
        made["teams"] = {"lab": {}, "shop": {}}
        made["server"]["watch"] = False
        gateway = make_gateway(made)
        ready(gateway)
        token = issuer.token(groups=["lab"])
        assert gateway.chat(key=token).status == 200

        def reload(text: str) -> bytes:
            done = gateway.run("reload", "--data", str(gateway.data))
            assert done.returncode == 0, done.stderr
            assert text.encode() in done.stdout
            return done.stdout

        del made["teams"]["lab"]
        gateway.config_file.write_text(yaml.safe_dump(made))
        reload("teams removed: lab")
        assert gateway.chat(key=token).status == 403
        made["teams"]["lab"] = {}
        gateway.config_file.write_text(yaml.safe_dump(made))
        reload("teams added: lab")
        assert gateway.chat(key=token).status == 200
        made["tokens"]["corporate"]["audience"] = ["others"]
        gateway.config_file.write_text(yaml.safe_dump(made))
        reload("settings: tokens.corporate")
        eventually(lambda: gateway.chat(key=token), 401)
        assert gateway.chat(key=issuer.token(groups=["shop"], aud="others")).status == 200


def test_a_token_ends_when_it_says(upstream: Upstream, make_gateway: Make) -> None:
    """A token that is known already would be taken for ever."""
    with Issuer() as issuer:
        gateway = make_gateway(config(upstream, issuer, leeway=0, claims={"team": "team"}) | {"teams": {"lab": {}}})
        ready(gateway)
        token = issuer.token(exp=int(time.time()) + 3, team="lab")
        assert gateway.chat(key=token).status == 200
        eventually(lambda: gateway.chat(key=token), 401)


def test_a_token_whose_time_ends_while_a_body_arrives_is_refused(upstream: Upstream, make_gateway: Make) -> None:
    """A slow upload would be a way to go on after the end."""
    with Issuer() as issuer:
        gateway = make_gateway(config(upstream, issuer, leeway=0))
        ready(gateway)
        token = issuer.token(exp=int(time.time()) + 3)
        data = gateway.chat_bytes(key=token)
        for wait, status in ((0.0, 200), (4.0, 401)):
            with gateway.connect() as wire:
                wire.send(data[:-5])
                time.sleep(wait)
                wire.send(data[-5:])
                reply = wire.read_reply()
            assert reply is not None
            assert reply.status == status


def test_keys_are_found_by_discovery_or_in_a_file(upstream: Upstream, make_gateway: Make, tmp_path: Path) -> None:
    """Who configures only the issuer's address, or has no way to it, could take no tokens."""
    with Issuer("P-384") as issuer:
        file = tmp_path / "keys.json"
        file.write_text(json.dumps({"keys": issuer.jwks}))
        for jwks in (None, f"file:{file}"):
            made = config(upstream, issuer)
            made["tokens"]["corporate"].pop("jwks")
            if jwks:
                made["tokens"]["corporate"]["jwks"] = jwks
            gateway = make_gateway(made)
            ready(gateway)
            assert gateway.chat(key=issuer.token()).status == 200


def test_bad_tokens_cost_little(gateway: Gateway, issuer: Issuer) -> None:
    """Whoever sends garbage could keep the gateway busy: measured here in its own process, as a bound with room to spare."""
    good_one = good(issuer, sub="cost")
    forged = [good_one[:-20] + f"{number:05}" + "A" * 15 for number in range(400)]
    before = gateway.cpu()
    with gateway.connect() as wire:
        for token in forged:
            wire.send(gateway.chat_bytes(key=token))
            reply = wire.read_reply()
            assert reply is not None
            assert reply.status in {401, 429}
    assert (gateway.cpu() - before) / len(forged) < 0.003


def test_two_workers_take_tokens(upstream: Upstream, redis: Redis, make_gateway: Make) -> None:
    """With several processes only one would know the issuer's keys."""
    with Issuer() as issuer:
        made = settings(upstream.url, server={"workers": 2})
        made |= {"redis": {"url": redis.url}, "tokens": {"corporate": issuer.settings()}}
        gateway = make_gateway(made)
        for number in (0, 1):
            gateway.wait_log(lambda line, number=number: (line.get("event"), line.get("worker")) == (THERE, number))
        token = issuer.token()
        with ThreadPoolExecutor(8) as several:
            for _ in range(20):
                assert set(several.map(lambda _: gateway.chat(key=token).status, range(24))) == {200}
                serving = {line.get("worker") for line in gateway.logs() if line.get("key") == "corporate:ann"}
                if len(serving) == 2:
                    break
        assert serving == {0, 1}

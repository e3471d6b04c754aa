"""Which credential belongs to whom."""

from __future__ import annotations

import asyncio
import subprocess
import sys

from trunkline.credentials.aws import AwsSpec, Keys
from trunkline.credentials.table import follow_credentials, open_credentials

ONE, TWO = (AwsSpec("eu-central-1", Keys(name, 0.0, secret=f"{name}-secret")) for name in ("one", "two"))


def test_who_has_none_gets_none():
    """A provider with an ordinary key would be signed for."""
    assert open_credentials({"lab": None}) == {}


def test_who_is_the_same_keeps_the_credential_it_has():
    """A token is fetched once: a reload that fetches all of them anew is a storm at the token server."""

    async def main():
        old = {"a": ONE, "b": ONE, "c": None, "d": TWO}
        alive = open_credentials(old)
        new = {"a": ONE, "b": TWO, "c": ONE, "d": None, "e": None}
        followed = follow_credentials(old, new, alive)
        assert set(followed) == {"a", "b", "c"}
        assert followed["a"] is alive["a"]
        assert followed["b"] is not alive["b"]
        assert set(alive) == {"a", "b", "d"}, "requests that run go on to use what they began with"

    asyncio.run(main())


def test_code_is_loaded_where_it_is_told_to_be():
    """Botocore takes a tenth of a second, which no running stream should feel; and others should not pay for it."""
    code = """
        import sys
        from trunkline.credentials.aws import AwsSpec
        from trunkline.credentials.table import prepare_credentials
        prepare_credentials({"a": None})
        print("botocore" in sys.modules)
        prepare_credentials({"a": None, "b": AwsSpec("eu-central-1")})
        print("botocore" in sys.modules)
    """
    lines = "\n".join(line.strip() for line in code.splitlines())
    env = {"PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True, check=True, env=env)
    assert done.stdout.split() == ["False", "True"]

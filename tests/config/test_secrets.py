"""Where secrets stand, and who can read them."""

from __future__ import annotations

from trunkline.config.secrets import permission_warning, secret_values


def test_where_secrets_stand():
    """A secret would be printed in a message, or a file with one be called harmless."""
    written = {
        "providers": {
            "a": {"api_key": "k1", "proxy": "http://u:p@h", "headers": {"X-A": "h"}, "kind": "openai"},
            "b": {"api_key": "none"},
            "d": {"api_keys": ["d1", "d2", "none"]},
            "c": {"aws": {"access_key_id": "id", "secret_access_key": "a1", "session_token": "a2"}},
        },
        "models": {"m": {"rules": [{"when": {"headers": {"x-team": "research-*"}}, "use": "n"}]}},
        "keys": [{"name": "n", "secret": "s1"}, {"hash": "x", "secret": None}],
    }
    assert dict(secret_values(written)) == {
        ("providers", "a", "api_key"): "k1",
        ("providers", "a", "proxy"): "http://u:p@h",
        ("providers", "a", "headers", "X-A"): "h",
        ("providers", "d", "api_keys", 0): "d1",
        ("providers", "d", "api_keys", 1): "d2",
        ("providers", "c", "aws", "secret_access_key"): "a1",
        ("providers", "c", "aws", "session_token"): "a2",
        ("keys", 0, "secret"): "s1",
    }
    assert list(secret_values("api_key")) == []


def test_a_file_that_others_can_read(tmp_path):
    """Every user of the machine could use the keys, and nobody would be told."""
    file = tmp_path / "f"
    file.touch()
    for mode in (0o600, 0o700, 0o400):
        file.chmod(mode)
        assert permission_warning(file) is None
    for mode in (0o644, 0o640, 0o604):
        file.chmod(mode)
        warning = permission_warning(file)
        assert warning is not None
        assert f"mode {mode:04o}" in warning

"""The Anthropic Messages dialect, on both sides, sans-io."""

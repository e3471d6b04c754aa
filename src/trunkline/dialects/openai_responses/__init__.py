"""The OpenAI Responses dialect, on both sides, sans-io."""

"""OpenAI's older completions API (`POST /v1/completions`), which goes on with a text: as clients and providers speak it."""

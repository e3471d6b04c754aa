"""The Ollama dialect: `/api/chat` and `/api/generate`, whole and as lines of JSON, sans-io."""

"""The OpenAI chat-completions dialect: request, whole reply, stream and errors, sans-io."""

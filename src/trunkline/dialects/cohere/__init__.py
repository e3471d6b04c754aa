"""Cohere's chat API, version 2 (docs.cohere.com/reference/chat), as a provider speaks it. It has no clients here."""

"""Embeddings as each dialect speaks them: one file a dialect, by its name. None knows the dialect's own folder, or another."""

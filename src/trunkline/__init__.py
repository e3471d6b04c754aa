"""Trunkline: one trunk line to every LLM. This package holds no code of its own; see `assemble` for how the rooms meet."""

__version__ = "0.1.0"

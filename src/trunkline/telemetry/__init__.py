"""Eyes: log lines and metrics, made off the hot path. Nothing here decides anything."""

"""Pictures made from words, as each dialect speaks them: one file a dialect, by its name. None knows a dialect's own folder."""

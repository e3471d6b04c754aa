"""How the tables became what they are: Alembic revisions, oldest first. Imported only when a store is not at the newest.

A new revision is a file in `versions` and an entry here; `tables` shows the result of all.
"""

from __future__ import annotations

REVISIONS = ("0001", "0002", "0003")
"""Every revision, oldest first. Kept here too because importing Alembic takes a third of a second."""

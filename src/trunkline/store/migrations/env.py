"""Runs revisions on the connection it is given. Alembic calls this file."""

from __future__ import annotations

from alembic import context

from trunkline.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
context.run_migrations()

"""What happened on a request's way to its answer; nothing is known of those from before."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the column."""
    op.add_column("usage", sa.Column("trail", sa.Text, nullable=False, server_default=""))

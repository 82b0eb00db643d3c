"""Run by Alembic: apply the migrations on the connection that is handed in."""

from __future__ import annotations

from alembic import context

from euthymia.web.care.tables import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA)
with context.begin_transaction():
    context.run_migrations()

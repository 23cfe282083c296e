"""Alembic's entry: runs on the connection that `migrations.alembic_config` carries."""

from alembic import context
from sqlmodel import SQLModel

from notifier.storage import tables  # noqa: F401  (fills the metadata)

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=SQLModel.metadata,
    render_as_batch=True,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()

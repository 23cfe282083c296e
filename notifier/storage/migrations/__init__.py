"""Alembic migrations: the schema's history. `alembic_config` is all that notifier needs of Alembic's set-up."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from alembic.config import Config
    from sqlalchemy import Connection

HEAD = "0001"


def alembic_config(connection: Connection) -> Config:
    """A configuration that runs on an open connection (never on a URL, which could hold a password)."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["connection"] = connection
    return config


def upgrade(connection: Connection) -> None:
    """Bring the schema to the head, in the caller's transaction."""
    from alembic import command

    command.upgrade(alembic_config(connection), "head")

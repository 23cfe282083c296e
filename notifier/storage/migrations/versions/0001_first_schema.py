"""The first schema."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "campaign",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("campaign_id", sa.String(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("probe", sa.LargeBinary(), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("paused_reason", sa.String(), nullable=True),
        sa.Column("paused_ms", sa.BigInteger(), nullable=True),
        sa.Column("returns_read_ms", sa.BigInteger(), nullable=True),
        sa.Column("sender_epoch", sa.Integer(), nullable=False),
        sa.Column("sender_cycle", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("canary", sa.String(), server_default="", nullable=False),
        sa.Column("sender_host", sa.String(), server_default="", nullable=False),
        sa.Column("first_attempt_ms", sa.BigInteger(), nullable=True),
        sa.Column("clock", sa.String(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "approval_requests",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("wave", sa.String(), nullable=False),
        sa.Column("manifest", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("requested_by", sa.String(), nullable=False),
        sa.Column("requested_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("approval_requests", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_approval_requests_wave"), ["wave"], unique=False)

    op.create_table(
        "checkpoints",
        sa.Column(
            "tree_size", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("frontier", sa.LargeBinary(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tree_size"),
    )
    op.create_table(
        "clear_files",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("path", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("written_by", sa.String(), nullable=False),
        sa.Column("written_ms", sa.BigInteger(), nullable=False),
        sa.Column("removed_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "entries",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("delivery_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("entries", schema=None) as batch_op:
        batch_op.create_index(
            "entries_delivery",
            ["delivery_id"],
            unique=False,
            sqlite_where=sa.text("delivery_id IS NOT NULL"),
            postgresql_where=sa.text("delivery_id IS NOT NULL"),
        )
        batch_op.create_index(
            "entries_subject",
            ["subject"],
            unique=False,
            sqlite_where=sa.text("delivery_id IS NULL"),
            postgresql_where=sa.text("delivery_id IS NULL"),
        )

    op.create_table(
        "exposure_sets",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("canonical", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("canonical"),
    )
    op.create_table(
        "imports",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("profile", sa.String(), nullable=False),
        sa.Column("settings_digest", sa.String(), nullable=False),
        sa.Column("senders", sa.String(), server_default="", nullable=False),
        sa.Column("incident", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("encoding", sa.String(), nullable=False),
        sa.Column("as_of", sa.String(), nullable=False),
        sa.Column("path", sa.String(), server_default="", nullable=False),
        sa.Column("received_at", sa.String(), server_default="", nullable=False),
        sa.Column("received_from", sa.String(), server_default="", nullable=False),
        sa.Column("expected_rows", sa.Integer(), nullable=True),
        sa.Column("sha256_checked", sa.Boolean(), server_default=sa.text("(FALSE)"), nullable=False),
        sa.Column("held_reason", sa.String(), server_default="", nullable=False),
        sa.Column("accepted_by", sa.String(), server_default="", nullable=False),
        sa.Column("replaces", sa.String(), server_default="", nullable=False),
        sa.Column("rows_read", sa.Integer(), nullable=False),
        sa.Column("records", sa.Integer(), nullable=False),
        sa.Column("rejections", sa.Integer(), nullable=False),
        sa.Column("verdicts", sa.String(), server_default="", nullable=False),
        sa.Column("persons_new", sa.Integer(), nullable=False),
        sa.Column("persons_known", sa.Integer(), nullable=False),
        sa.Column("begun_ms", sa.BigInteger(), nullable=True),
        sa.Column("completed_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("imports", schema=None) as batch_op:
        batch_op.create_index(
            "imports_once",
            ["kind", "sha256", "profile", "settings_digest"],
            unique=True,
            sqlite_where=sa.text("state = 'complete'"),
            postgresql_where=sa.text("state = 'complete'"),
        )

    op.create_table(
        "begun",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "lanes",
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("factor", sa.Float(), nullable=False),
        sa.Column("throttles", sa.Integer(), nullable=False),
        sa.Column("until_ms", sa.BigInteger(), nullable=False),
        sa.Column("since_ms", sa.BigInteger(), nullable=False),
        sa.Column("why", sa.String(), nullable=False),
        sa.Column("base", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("provider"),
    )
    op.create_table(
        "pace",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("next_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "waves",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("planned_ms", sa.BigInteger(), nullable=True),
        sa.Column("who", sa.String(), server_default="", nullable=False),
        sa.Column("owed", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
    )
    op.create_table(
        "batches",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("wave_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("bound", sa.String(), nullable=False),
        sa.Column("notifications", sa.Integer(), nullable=False),
        sa.Column("approved_by", sa.String(), nullable=False),
        sa.Column("approved_ms", sa.BigInteger(), nullable=False),
        sa.Column("manifest", sa.String(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(
            ["wave_id"],
            ["waves.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("wave_id", "number"),
    )
    op.create_table(
        "batch_signatures",
        sa.Column("batch_id", sa.Integer(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("public_key", sa.String(), nullable=False),
        sa.Column("signature", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["batch_id"],
            ["batches.id"],
        ),
        sa.PrimaryKeyConstraint("batch_id", "place"),
    )
    op.create_table(
        "contacts",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("import_id", sa.Integer(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("sender", sa.String(), nullable=False),
        sa.Column("identity", sa.LargeBinary(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("link", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("language", sa.String(), nullable=False),
        sa.Column("as_of", sa.String(), nullable=False),
        sa.Column("contract_year", sa.Integer(), nullable=True),
        sa.Column("current", sa.Boolean(), nullable=False),
        sa.Column("household", sa.LargeBinary(), nullable=True),
        sa.Column("mailbox", sa.LargeBinary(), nullable=True),
        sa.Column("has_postal", sa.Boolean(), nullable=False),
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("second_mailbox", sa.LargeBinary(), nullable=True),
        sa.Column("second_provider", sa.String(), server_default="other", nullable=False),
        sa.Column("shared_mailbox", sa.LargeBinary(), nullable=True),
        sa.Column("letter", sa.String(), server_default="", nullable=False),
        sa.Column("format", sa.String(), server_default="", nullable=False),
        sa.Column("ended_import_id", sa.Integer(), nullable=True),
        sa.Column("forename_key", sa.LargeBinary(), nullable=True),
        sa.Column("key_member", sa.LargeBinary(), nullable=True),
        sa.Column("key_nir_rank", sa.LargeBinary(), nullable=True),
        sa.Column("key_nir_forename", sa.LargeBinary(), nullable=True),
        sa.Column("key_contract", sa.LargeBinary(), nullable=True),
        sa.Column("key_contract_birth", sa.LargeBinary(), nullable=True),
        sa.Column("key_near_nir", sa.LargeBinary(), nullable=True),
        sa.Column("key_near_contract", sa.LargeBinary(), nullable=True),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["import_id"],
            ["imports.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("import_id", "line"),
    )
    with op.batch_alter_table("contacts", schema=None) as batch_op:
        batch_op.create_index("contacts_contract", ["key_contract"], unique=False)
        batch_op.create_index(
            "contacts_contract_birth",
            ["key_contract_birth"],
            unique=False,
            sqlite_where=sa.text("key_contract_birth IS NOT NULL"),
            postgresql_where=sa.text("key_contract_birth IS NOT NULL"),
        )
        batch_op.create_index("contacts_household", ["household"], unique=False)
        batch_op.create_index("contacts_identity", ["sender", "identity"], unique=False)
        batch_op.create_index(
            "contacts_mailbox",
            ["mailbox"],
            unique=False,
            sqlite_where=sa.text("mailbox IS NOT NULL"),
            postgresql_where=sa.text("mailbox IS NOT NULL"),
        )
        batch_op.create_index("contacts_member", ["key_member"], unique=False)
        batch_op.create_index(
            "contacts_near_contract",
            ["key_near_contract"],
            unique=False,
            sqlite_where=sa.text("key_near_contract IS NOT NULL"),
            postgresql_where=sa.text("key_near_contract IS NOT NULL"),
        )
        batch_op.create_index(
            "contacts_near_nir",
            ["key_near_nir"],
            unique=False,
            sqlite_where=sa.text("key_near_nir IS NOT NULL"),
            postgresql_where=sa.text("key_near_nir IS NOT NULL"),
        )
        batch_op.create_index("contacts_nir_forename", ["key_nir_forename"], unique=False)
        batch_op.create_index("contacts_nir_rank", ["key_nir_rank"], unique=False)
        batch_op.create_index(
            "contacts_shared",
            ["shared_mailbox"],
            unique=False,
            sqlite_where=sa.text("shared_mailbox IS NOT NULL"),
            postgresql_where=sa.text("shared_mailbox IS NOT NULL"),
        )

    op.create_table(
        "held_names",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("import_id", sa.Integer(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["import_id"],
            ["imports.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("held_names", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_held_names_import_id"), ["import_id"], unique=False)

    op.create_table(
        "leaves",
        sa.Column(
            "leaf_index", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("entry_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("leaf_hash", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["entry_id"],
            ["entries.id"],
        ),
        sa.PrimaryKeyConstraint("leaf_index"),
        sa.UniqueConstraint("entry_id"),
    )
    op.create_table(
        "rejections",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("import_id", sa.Integer(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("column", sa.String(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("decided_by", sa.String(), nullable=False),
        sa.Column("decided_ms", sa.BigInteger(), nullable=True),
        sa.Column("trace", sa.LargeBinary(), nullable=True),
        sa.Column("cells", sa.LargeBinary(), nullable=True),
        sa.Column("ended_import_id", sa.Integer(), nullable=True),
        sa.Column("ended_line", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["ended_import_id"],
            ["imports.id"],
        ),
        sa.ForeignKeyConstraint(
            ["import_id"],
            ["imports.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("rejections", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_rejections_import_id"), ["import_id"], unique=False)
        batch_op.create_index(
            "rejections_open",
            ["import_id"],
            unique=False,
            sqlite_where=sa.text("state = 'open'"),
            postgresql_where=sa.text("state = 'open'"),
        )

    op.create_table(
        "segments",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("wave_id", sa.Integer(), nullable=False),
        sa.Column("sender", sa.String(), nullable=False),
        sa.Column("audience", sa.String(), nullable=False),
        sa.Column("profession", sa.String(), nullable=False),
        sa.Column("form", sa.String(), nullable=False),
        sa.Column("exposure_set_id", sa.Integer(), nullable=False),
        sa.Column("language", sa.String(), nullable=False),
        sa.Column("priority", sa.Integer(), server_default="2", nullable=False),
        sa.ForeignKeyConstraint(
            ["exposure_set_id"],
            ["exposure_sets.id"],
        ),
        sa.ForeignKeyConstraint(
            ["wave_id"],
            ["waves.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("wave_id", "sender", "audience", "profession", "form", "exposure_set_id", "language"),
    )
    op.create_table(
        "batch_files",
        sa.Column("batch_id", sa.Integer(), nullable=False),
        sa.Column("path", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["batch_id"],
            ["batches.id"],
        ),
        sa.PrimaryKeyConstraint("batch_id", "path"),
    )
    op.create_table(
        "deliveries",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("token", sa.LargeBinary(), nullable=False),
        sa.Column("reference", sa.BigInteger(), nullable=True),
        sa.Column("wave_id", sa.Integer(), nullable=False),
        sa.Column("segment_id", sa.Integer(), nullable=False),
        sa.Column("contact_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("batch_id", sa.Integer(), nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("retries", sa.Integer(), nullable=False),
        sa.Column("doubts", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("is_second", sa.Boolean(), server_default=sa.text("FALSE"), nullable=False),
        sa.Column("priority", sa.Integer(), server_default="2", nullable=False),
        sa.Column("first_ms", sa.BigInteger(), nullable=True),
        sa.Column("started_ms", sa.BigInteger(), nullable=True),
        sa.Column("due_ms", sa.BigInteger(), nullable=False),
        sa.Column("since_ms", sa.BigInteger(), nullable=False),
        sa.Column("observe_until_ms", sa.BigInteger(), nullable=True),
        sa.Column("is_recalled", sa.Boolean(), server_default=sa.text("FALSE"), nullable=False),
        sa.Column("replaces_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("replaces_attempt", sa.Integer(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(
            ["batch_id"],
            ["batches.id"],
        ),
        sa.ForeignKeyConstraint(
            ["contact_id"],
            ["contacts.id"],
        ),
        sa.ForeignKeyConstraint(
            ["replaces_id"],
            ["deliveries.id"],
        ),
        sa.ForeignKeyConstraint(
            ["segment_id"],
            ["segments.id"],
        ),
        sa.ForeignKeyConstraint(
            ["wave_id"],
            ["waves.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("token"),
    )
    with op.batch_alter_table("deliveries", schema=None) as batch_op:
        batch_op.create_index(
            "deliveries_due",
            ["priority", "due_ms", "id"],
            unique=False,
            sqlite_where=sa.text("channel = 'mail' AND state IN ('queued', 'deferred') AND batch_id IS NOT NULL"),
            postgresql_where=sa.text("channel = 'mail' AND state IN ('queued', 'deferred') AND batch_id IS NOT NULL"),
        )
        batch_op.create_index(
            "deliveries_lane",
            ["provider", "priority", "due_ms", "id"],
            unique=False,
            sqlite_where=sa.text("channel = 'mail' AND state IN ('queued', 'deferred') AND batch_id IS NOT NULL"),
            postgresql_where=sa.text("channel = 'mail' AND state IN ('queued', 'deferred') AND batch_id IS NOT NULL"),
        )
        batch_op.create_index(
            "deliveries_reference",
            ["reference"],
            unique=False,
            sqlite_where=sa.text("reference IS NOT NULL"),
            postgresql_where=sa.text("reference IS NOT NULL"),
        )
        batch_op.create_index(
            "deliveries_unreferenced",
            ["id"],
            unique=False,
            sqlite_where=sa.text("batch_id IS NOT NULL AND reference IS NULL"),
            postgresql_where=sa.text("batch_id IS NOT NULL AND reference IS NULL"),
        )
        batch_op.create_index(
            "deliveries_replaces",
            ["replaces_id", "replaces_attempt"],
            unique=True,
            sqlite_where=sa.text("replaces_id IS NOT NULL"),
            postgresql_where=sa.text("replaces_id IS NOT NULL"),
        )
        batch_op.create_index(
            "deliveries_sending",
            ["id"],
            unique=False,
            sqlite_where=sa.text("state = 'sending'"),
            postgresql_where=sa.text("state = 'sending'"),
        )
        batch_op.create_index("deliveries_wave", ["wave_id", "state"], unique=False)

    op.create_table(
        "pseudonyms",
        sa.Column("pseudonym", sa.LargeBinary(), nullable=False),
        sa.Column("person_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.PrimaryKeyConstraint("pseudonym"),
    )

    op.create_table(
        "persons",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("sender", sa.String(), nullable=False),
        sa.Column("identity", sa.LargeBinary(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("profession", sa.String(), nullable=False),
        sa.Column("exposure_set_id", sa.Integer(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("contact_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("rung", sa.String(), nullable=False),
        sa.Column("identity_review", sa.String(), nullable=False),
        sa.Column("excluded", sa.String(), nullable=False),
        sa.Column("excluded_reason", sa.String(), nullable=False),
        sa.Column("excluded_by", sa.String(), nullable=False),
        sa.Column("excluded_ms", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["contact_id"],
            ["contacts.id"],
        ),
        sa.ForeignKeyConstraint(
            ["exposure_set_id"],
            ["exposure_sets.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("persons", schema=None) as batch_op:
        batch_op.create_index(
            "persons_contact",
            ["contact_id"],
            unique=False,
            sqlite_where=sa.text("contact_id IS NOT NULL"),
            postgresql_where=sa.text("contact_id IS NOT NULL"),
        )
        batch_op.create_index(
            "persons_excluded",
            ["excluded"],
            unique=False,
            sqlite_where=sa.text("excluded <> ''"),
            postgresql_where=sa.text("excluded <> ''"),
        )
        batch_op.create_index("persons_identity", ["identity", "sender"], unique=True)

    op.create_table(
        "attempts",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("delivery_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("late", sa.Boolean(), nullable=False),
        sa.Column("phase", sa.String(), nullable=False),
        sa.Column("code", sa.Integer(), nullable=True),
        sa.Column("enhanced", sa.String(), nullable=False),
        sa.Column("reply", sa.String(), nullable=False),
        sa.Column("reply_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("notice_sha256", sa.String(), nullable=False),
        sa.Column("started_ms", sa.BigInteger(), nullable=False),
        sa.Column("ended_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["delivery_id"],
            ["deliveries.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("delivery_id", "number", "late"),
    )
    op.create_table(
        "notifications",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("wave_id", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("segment_id", sa.Integer(), nullable=False),
        sa.Column("route", sa.String(), nullable=False),
        sa.Column("route_reason", sa.String(), nullable=False),
        sa.Column("review", sa.String(), nullable=False),
        sa.Column("excluded", sa.String(), nullable=False),
        sa.Column("batch_id", sa.Integer(), nullable=True),
        sa.Column("delivery_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.ForeignKeyConstraint(
            ["batch_id"],
            ["batches.id"],
        ),
        sa.ForeignKeyConstraint(
            ["delivery_id"],
            ["deliveries.id"],
        ),
        sa.ForeignKeyConstraint(
            ["person_id"],
            ["persons.id"],
        ),
        sa.ForeignKeyConstraint(
            ["segment_id"],
            ["segments.id"],
        ),
        sa.ForeignKeyConstraint(
            ["wave_id"],
            ["waves.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("person_id", "wave_id"),
    )
    with op.batch_alter_table("notifications", schema=None) as batch_op:
        batch_op.create_index(
            "notifications_delivery",
            ["delivery_id"],
            unique=False,
            sqlite_where=sa.text("delivery_id IS NOT NULL"),
            postgresql_where=sa.text("delivery_id IS NOT NULL"),
        )

    op.create_table(
        "records",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("import_id", sa.Integer(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("group_key", sa.LargeBinary(), nullable=True),
        sa.Column("forename_key", sa.LargeBinary(), nullable=True),
        sa.Column("birth_rank", sa.Integer(), nullable=True),
        sa.Column("key_member", sa.LargeBinary(), nullable=True),
        sa.Column("key_nir_rank", sa.LargeBinary(), nullable=True),
        sa.Column("key_nir_forename", sa.LargeBinary(), nullable=True),
        sa.Column("key_contract", sa.LargeBinary(), nullable=True),
        sa.Column("key_near", sa.LargeBinary(), nullable=True),
        sa.Column("exposure_set_id", sa.Integer(), nullable=False),
        sa.Column("warnings", sa.String(), nullable=False),
        sa.Column("profession", sa.String(), nullable=True),
        sa.Column("nameless_identity", sa.LargeBinary(), nullable=True),
        sa.Column("nameless_sealed", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(
            ["exposure_set_id"],
            ["exposure_sets.id"],
        ),
        sa.ForeignKeyConstraint(
            ["import_id"],
            ["imports.id"],
        ),
        sa.ForeignKeyConstraint(
            ["person_id"],
            ["persons.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("records", schema=None) as batch_op:
        batch_op.create_index("records_line", ["import_id", "line"], unique=True)
        batch_op.create_index(
            "records_nameless",
            ["group_key"],
            unique=False,
            sqlite_where=sa.text("forename_key IS NULL AND group_key IS NOT NULL"),
            postgresql_where=sa.text("forename_key IS NULL AND group_key IS NOT NULL"),
        )
        batch_op.create_index("records_person", ["person_id"], unique=False)

    op.create_table(
        "reviews",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("person_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("candidates", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("decision", sa.String(), nullable=False),
        sa.Column("decided_by", sa.String(), nullable=False),
        sa.Column("decided_ms", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["person_id"],
            ["persons.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("person_id", "reason"),
    )


def downgrade() -> None:
    op.drop_table("reviews")
    with op.batch_alter_table("records", schema=None) as batch_op:
        batch_op.drop_index("records_person")
        batch_op.drop_index(
            "records_nameless",
            sqlite_where=sa.text("forename_key IS NULL AND group_key IS NOT NULL"),
            postgresql_where=sa.text("forename_key IS NULL AND group_key IS NOT NULL"),
        )
        batch_op.drop_index("records_line")

    op.drop_table("records")
    with op.batch_alter_table("notifications", schema=None) as batch_op:
        batch_op.drop_index(
            "notifications_delivery",
            sqlite_where=sa.text("delivery_id IS NOT NULL"),
            postgresql_where=sa.text("delivery_id IS NOT NULL"),
        )

    op.drop_table("notifications")
    op.drop_table("attempts")
    with op.batch_alter_table("persons", schema=None) as batch_op:
        batch_op.drop_index("persons_identity")
        batch_op.drop_index("persons_excluded")
        batch_op.drop_index(
            "persons_contact",
            sqlite_where=sa.text("contact_id IS NOT NULL"),
            postgresql_where=sa.text("contact_id IS NOT NULL"),
        )

    op.drop_table("persons")
    op.drop_table("pseudonyms")
    with op.batch_alter_table("deliveries", schema=None) as batch_op:
        batch_op.drop_index("deliveries_wave")
        batch_op.drop_index(
            "deliveries_sending",
            sqlite_where=sa.text("state = 'sending'"),
            postgresql_where=sa.text("state = 'sending'"),
        )
        batch_op.drop_index(
            "deliveries_replaces",
            sqlite_where=sa.text("replaces_id IS NOT NULL"),
            postgresql_where=sa.text("replaces_id IS NOT NULL"),
        )
        batch_op.drop_index(
            "deliveries_lane",
            sqlite_where=sa.text("channel = 'mail' AND state IN ('queued', 'deferred') AND batch_id IS NOT NULL"),
            postgresql_where=sa.text("channel = 'mail' AND state IN ('queued', 'deferred') AND batch_id IS NOT NULL"),
        )
        batch_op.drop_index(
            "deliveries_due",
            sqlite_where=sa.text("channel = 'mail' AND state IN ('queued', 'deferred') AND batch_id IS NOT NULL"),
            postgresql_where=sa.text("channel = 'mail' AND state IN ('queued', 'deferred') AND batch_id IS NOT NULL"),
        )

    op.drop_table("deliveries")
    op.drop_table("batch_files")
    op.drop_table("segments")
    with op.batch_alter_table("rejections", schema=None) as batch_op:
        batch_op.drop_index(
            "rejections_open", sqlite_where=sa.text("state = 'open'"), postgresql_where=sa.text("state = 'open'")
        )
        batch_op.drop_index(batch_op.f("ix_rejections_import_id"))

    op.drop_table("rejections")
    op.drop_table("leaves")
    with op.batch_alter_table("held_names", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_held_names_import_id"))

    op.drop_table("held_names")
    with op.batch_alter_table("contacts", schema=None) as batch_op:
        batch_op.drop_index("contacts_nir_rank")
        batch_op.drop_index("contacts_nir_forename")
        batch_op.drop_index(
            "contacts_near_nir",
            sqlite_where=sa.text("key_near_nir IS NOT NULL"),
            postgresql_where=sa.text("key_near_nir IS NOT NULL"),
        )
        batch_op.drop_index(
            "contacts_near_contract",
            sqlite_where=sa.text("key_near_contract IS NOT NULL"),
            postgresql_where=sa.text("key_near_contract IS NOT NULL"),
        )
        batch_op.drop_index("contacts_member")
        batch_op.drop_index("contacts_identity")
        batch_op.drop_index("contacts_household")
        batch_op.drop_index(
            "contacts_contract_birth",
            sqlite_where=sa.text("key_contract_birth IS NOT NULL"),
            postgresql_where=sa.text("key_contract_birth IS NOT NULL"),
        )
        batch_op.drop_index("contacts_contract")

    op.drop_table("contacts")
    op.drop_table("batch_signatures")
    op.drop_table("batches")
    op.drop_table("waves")
    op.drop_table("pace")
    op.drop_table("lanes")
    op.drop_table("begun")
    with op.batch_alter_table("imports", schema=None) as batch_op:
        batch_op.drop_index(
            "imports_once", sqlite_where=sa.text("state = 'complete'"), postgresql_where=sa.text("state = 'complete'")
        )

    op.drop_table("imports")
    op.drop_table("exposure_sets")
    with op.batch_alter_table("entries", schema=None) as batch_op:
        batch_op.drop_index(
            "entries_subject",
            sqlite_where=sa.text("delivery_id IS NULL"),
            postgresql_where=sa.text("delivery_id IS NULL"),
        )
        batch_op.drop_index(
            "entries_delivery",
            sqlite_where=sa.text("delivery_id IS NOT NULL"),
            postgresql_where=sa.text("delivery_id IS NOT NULL"),
        )

    op.drop_table("entries")
    op.drop_table("clear_files")
    op.drop_table("checkpoints")
    with op.batch_alter_table("approval_requests", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_approval_requests_wave"))

    op.drop_table("approval_requests")
    op.drop_table("campaign")

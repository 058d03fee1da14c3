"""Create all tables of version 0.1.0."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

IDENTITY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
COUNTERS = [
    *(f"{direction}_{result}" for direction in ("in", "out", "internal") for result in ("answered", "no_answer", "busy", "other")),
    "in_talk_ms",
    "out_talk_ms",
    *(f"band_{place}" for place in range(5)),
    "called_back",
    "recorded",
]
LISTED = [
    "domain_id",
    "started_at",
    "id",
    "direction",
    "result",
    "recording_state",
    "employee",
    "number",
    "duration_s",
    "talk_ms",
    "called_back_at",
    "src",
    "dst",
    "answered_by",
    "merged_into",
]


def upgrade() -> None:
    """Create the tables. Times are milliseconds since 1970 UTC."""
    _create_directory()
    _create_audit()
    _create_calls()
    _index_calls()
    _create_commands()
    _create_users()
    _create_call_details()
    _create_segments()
    _create_sessions()
    _create_counters()
    op.execute("INSERT INTO settings (id, version) VALUES (1, 1)")


def _create_directory() -> None:
    op.create_table(
        "domains",
        sa.Column("id", IDENTITY, nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("timezone", sa.String(length=64), nullable=False),
        sa.Column("country", sa.String(length=2), nullable=False),
        sa.Column("area_codes", sa.JSON(), nullable=False),
        sa.Column("retention_days", sa.Integer(), nullable=False),
        sa.Column("notify_email", sa.Text(), nullable=True),
        sa.Column("notice_in", sa.String(length=200), nullable=True),
        sa.Column("notice_out", sa.String(length=200), nullable=True),
        sa.Column("beep_every_s", sa.Integer(), server_default="0", nullable=False),
        sa.Column("removed_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_domains"),
        sa.UniqueConstraint("name", name="uq_domains_name"),
    )
    op.create_table(
        "pbxs",
        sa.Column("id", IDENTITY, nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_pbxs"),
        sa.UniqueConstraint("name", name="uq_pbxs_name"),
        sa.UniqueConstraint("token_hash", name="uq_pbxs_token_hash"),
    )
    op.create_table(
        "settings",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_settings"),
    )


def _create_audit() -> None:
    op.create_table(
        "audit",
        sa.Column("id", IDENTITY, nullable=False),
        sa.Column("domain_id", IDENTITY, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("login", sa.String(length=64), nullable=False),
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.Column("action", sa.String(length=32), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["domain_id"], ["domains.id"], name="fk_audit_domain_id"),
        sa.PrimaryKeyConstraint("id", name="pk_audit"),
    )
    op.create_index("ix_audit_domain_id_at_id", "audit", ["domain_id", "at", "id"])


def _create_calls() -> None:
    op.create_table(
        "calls",
        sa.Column("id", IDENTITY, nullable=False),
        sa.Column("public_id", sa.String(length=26), nullable=False),
        sa.Column("domain_id", IDENTITY, nullable=False),
        sa.Column("pbx_id", IDENTITY, nullable=False),
        sa.Column("linkedid", sa.String(length=150), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("direction", sa.String(length=16), nullable=False),
        sa.Column("result", sa.String(length=16), nullable=False),
        sa.Column("employee", sa.String(length=64), nullable=True),
        sa.Column("src", sa.Text(), nullable=False),
        sa.Column("src_name", sa.Text(), nullable=False),
        sa.Column("dst", sa.Text(), nullable=False),
        sa.Column("number", sa.String(length=64), nullable=True),
        sa.Column("answered_by", sa.Text(), nullable=True),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("answered_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("duration_s", sa.Integer(), nullable=True),
        sa.Column("talk_ms", sa.Integer(), nullable=False),
        sa.Column("called_back_at", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.String(length=32), nullable=True),
        sa.Column("recording_state", sa.String(length=16), nullable=False),
        sa.Column("recording_reason", sa.String(length=32), nullable=True),
        sa.Column("recording_ms", sa.BigInteger(), nullable=True),
        sa.Column("legal_hold", sa.Boolean(), nullable=False),
        sa.Column("live", sa.JSON(), nullable=True),
        sa.Column("merged_into", sa.String(length=150), nullable=True),
        sa.Column("outside_number", sa.String(length=40), nullable=True),
        sa.ForeignKeyConstraint(["domain_id"], ["domains.id"], name="fk_calls_domain_id"),
        sa.ForeignKeyConstraint(["pbx_id"], ["pbxs.id"], name="fk_calls_pbx_id"),
        sa.PrimaryKeyConstraint("id", name="pk_calls"),
        sa.UniqueConstraint("public_id", name="uq_calls_public_id"),
    )


def _index_calls() -> None:
    op.create_index("ix_calls_domain_id_outside_number_started_at", "calls", ["domain_id", "outside_number", "started_at"])
    _create_partial_index("ix_calls_list", LISTED, "merged_into IS NULL")
    _create_partial_index(
        "ix_calls_missed",
        ["domain_id", "started_at", "called_back_at", "direction", "result", "merged_into", "duration_s"],
        "direction = 'in' AND result <> 'answered' AND merged_into IS NULL",
    )
    _create_partial_index(
        "ix_calls_reached",
        ["domain_id", "outside_number", "answered_at"],
        "direction = 'out' AND result = 'answered' AND merged_into IS NULL",
    )


def _create_commands() -> None:
    op.create_table(
        "commands",
        sa.Column("id", IDENTITY, nullable=False),
        sa.Column("pbx_id", IDENTITY, nullable=False),
        sa.Column("linkedid", sa.String(length=150), nullable=False),
        sa.Column("action", sa.String(length=16), nullable=False),
        sa.Column("login", sa.String(length=64), nullable=True),
        sa.Column("asked_at", sa.BigInteger(), nullable=False),
        sa.Column("answer", sa.String(length=32), nullable=True),
        sa.ForeignKeyConstraint(["pbx_id"], ["pbxs.id"], name="fk_commands_pbx_id"),
        sa.PrimaryKeyConstraint("id", name="pk_commands"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_commands_asked_at", "commands", ["asked_at"])


def _create_users() -> None:
    op.create_table(
        "numbers",
        sa.Column("id", IDENTITY, nullable=False),
        sa.Column("domain_id", IDENTITY, nullable=False),
        sa.Column("number", sa.String(length=64), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["domain_id"], ["domains.id"], name="fk_numbers_domain_id"),
        sa.PrimaryKeyConstraint("id", name="pk_numbers"),
        sa.UniqueConstraint("domain_id", "number", name="uq_numbers_domain_id_number"),
    )
    op.create_table(
        "users",
        sa.Column("id", IDENTITY, nullable=False),
        sa.Column("domain_id", IDENTITY, nullable=False),
        sa.Column("login", sa.String(length=64), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("extension", sa.String(length=64), nullable=False),
        sa.Column("endpoints", sa.JSON(), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("record", sa.String(length=16), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=True),
        sa.Column("removed_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["domain_id"], ["domains.id"], name="fk_users_domain_id"),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
        sa.UniqueConstraint("domain_id", "login", name="uq_users_domain_id_login"),
    )


def _create_call_details() -> None:
    op.create_table(
        "call_paths",
        sa.Column("call_id", IDENTITY, autoincrement=False, nullable=False),
        sa.Column("steps", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["call_id"], ["calls.id"], name="fk_call_paths_call_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("call_id", name="pk_call_paths"),
    )
    op.create_table(
        "participants",
        sa.Column("call_id", IDENTITY, autoincrement=False, nullable=False),
        sa.Column("login", sa.String(length=64), nullable=False),
        sa.Column("domain_id", IDENTITY, nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("recording_state", sa.String(length=16), nullable=False),
        sa.Column("recording_reason", sa.String(length=32), nullable=True),
        sa.Column("recording_ms", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["call_id"], ["calls.id"], name="fk_participants_call_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["domain_id"], ["domains.id"], name="fk_participants_domain_id"),
        sa.PrimaryKeyConstraint("call_id", "login", name="pk_participants"),
    )
    op.create_index(
        "ix_participants_domain_id_login_started_at_call_id", "participants", ["domain_id", "login", "started_at", "call_id"]
    )


def _create_segments() -> None:
    op.create_table(
        "segments",
        sa.Column("id", IDENTITY, nullable=False),
        sa.Column("pbx_id", IDENTITY, nullable=False),
        sa.Column("call_id", IDENTITY, nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("user", sa.String(length=64), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(length=32), nullable=True),
        sa.Column("object_key", sa.Text(), nullable=True),
        sa.Column("sha256", sa.String(length=64), nullable=True),
        sa.Column("size_bytes", sa.BigInteger(), nullable=True),
        sa.Column("format", sa.String(length=8), nullable=True),
        sa.Column("layout", sa.String(length=8), nullable=True),
        sa.Column("rate_hz", sa.Integer(), nullable=True),
        sa.Column("duration_ms", sa.Integer(), nullable=True),
        sa.Column("talk_ms", sa.Integer(), nullable=True),
        sa.Column("muted", sa.JSON(), nullable=True),
        sa.Column("salvaged", sa.Boolean(), nullable=True),
        sa.Column("arrived_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["call_id"], ["calls.id"], name="fk_segments_call_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["pbx_id"], ["pbxs.id"], name="fk_segments_pbx_id"),
        sa.PrimaryKeyConstraint("id", name="pk_segments"),
        sa.UniqueConstraint("pbx_id", "name", name="uq_segments_pbx_id_name"),
    )
    op.create_index("ix_segments_call_id", "segments", ["call_id"])


def _create_sessions() -> None:
    op.create_table(
        "sessions",
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("user_id", IDENTITY, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_sessions_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("token_hash", name="pk_sessions"),
    )
    op.create_index("ix_sessions_expires_at", "sessions", ["expires_at"])
    op.create_index("ix_sessions_user_id", "sessions", ["user_id"])


def _create_counters() -> None:
    op.create_table(
        "hour_counters",
        sa.Column("domain_id", IDENTITY, autoincrement=False, nullable=False),
        sa.Column("hour", sa.BigInteger(), autoincrement=False, nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in COUNTERS),
        sa.ForeignKeyConstraint(["domain_id"], ["domains.id"], name="fk_hour_counters_domain_id"),
        sa.PrimaryKeyConstraint("domain_id", "hour", name="pk_hour_counters"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "group_counters",
        sa.Column("domain_id", IDENTITY, autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("unit", sa.String(length=8), nullable=False),
        sa.Column("start", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in COUNTERS),
        sa.ForeignKeyConstraint(["domain_id"], ["domains.id"], name="fk_group_counters_domain_id"),
        sa.PrimaryKeyConstraint("domain_id", "kind", "unit", "start", "name", name="pk_group_counters"),
        sqlite_with_rowid=False,
    )


def _create_partial_index(name: str, columns: list[str], condition: str) -> None:
    op.create_index(name, "calls", columns, sqlite_where=sa.text(condition), postgresql_where=sa.text(condition))

"""Who called and who was called back (`calls.peer`), filled for the calls there are; and tables for figures, which 0004 fills."""

import sqlalchemy as sa
from alembic import op

from store.intake.call_backs import match_again

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

IDENTITY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
COUNTS = [
    f"{direction}_{result}" for direction in ("in", "out", "internal") for result in ("answered", "no_answer", "busy", "other")
]
COLUMNS = [*COUNTS, "in_talk_ms", "out_talk_ms", *(f"band_{place}" for place in range(5)), "called_back", "recorded"]
PARTIES = ["src", "dst", "answered_by"]
LISTED = [
    "direction",
    "result",
    "recording_state",
    "employee",
    "number",
    "duration_s",
    "talk_ms",
    "called_back_at",
    *PARTIES,
    "merged_into",
]
VISIBLE = sa.text("merged_into IS NULL")
MISSED = sa.text("direction = 'in' AND result <> 'answered' AND merged_into IS NULL")
REACHED = sa.text("direction = 'out' AND result = 'answered' AND merged_into IS NULL")


def upgrade() -> None:
    """A domain at a time, in batches: however many calls there are, few are in memory."""
    op.add_column("calls", sa.Column("peer", sa.String(length=40), nullable=True))
    for party in PARTIES:
        op.execute(f"UPDATE calls SET {party} = substr({party}, 1, 128) WHERE length({party}) > 128")  # noqa: S608 (ours)
    op.drop_index("ix_calls_domain_id_started_at_id", "calls")
    op.create_index(
        "ix_calls_list",
        "calls",
        ["domain_id", "started_at", "id", *LISTED],
        sqlite_where=VISIBLE,
        postgresql_where=VISIBLE,
    )
    op.create_index("ix_calls_domain_id_peer_started_at", "calls", ["domain_id", "peer", "started_at"])
    op.create_index(
        "ix_calls_reached", "calls", ["domain_id", "peer", "answered_at"], sqlite_where=REACHED, postgresql_where=REACHED
    )
    op.create_index(
        "ix_calls_missed",
        "calls",
        ["domain_id", "started_at", "called_back_at", "direction", "result", "merged_into"],
        sqlite_where=MISSED,
        postgresql_where=MISSED,
    )
    op.create_table(
        "hour_tallies",
        sa.Column("domain_id", IDENTITY, autoincrement=False, nullable=False),
        sa.Column("hour", sa.BigInteger(), autoincrement=False, nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in COLUMNS),
        sa.ForeignKeyConstraint(["domain_id"], ["domains.id"], name="fk_hour_tallies_domain_id"),
        sa.PrimaryKeyConstraint("domain_id", "hour", name="pk_hour_tallies"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "group_tallies",
        sa.Column("domain_id", IDENTITY, autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("unit", sa.String(length=8), nullable=False),
        sa.Column("start", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in COLUMNS),
        sa.ForeignKeyConstraint(["domain_id"], ["domains.id"], name="fk_group_tallies_domain_id"),
        sa.PrimaryKeyConstraint("domain_id", "kind", "unit", "start", "name", name="pk_group_tallies"),
        sqlite_with_rowid=False,
    )
    connection = op.get_bind()
    for domain_id in connection.execute(sa.text("SELECT id FROM domains ORDER BY id")).scalars().all():
        match_again(connection, domain_id)

"""The lengths of calls are kept by hour; those that go on have an index. All figures are counted anew, the lengths with them."""

import sqlalchemy as sa
from alembic import op

from store.intake.write_counters import tally_again

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

IDENTITY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
GOING_ON = sa.text("duration_s IS NULL AND merged_into IS NULL")


def upgrade() -> None:
    """A domain at a time, in batches: however many calls there are, few are in memory."""
    op.create_table(
        "hour_lengths",
        sa.Column("domain_id", IDENTITY, autoincrement=False, nullable=False),
        sa.Column("hour", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("lengths", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["domain_id"], ["domains.id"], name="fk_hour_lengths_domain_id"),
        sa.PrimaryKeyConstraint("domain_id", "hour", name="pk_hour_lengths"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_calls_going_on",
        "calls",
        ["domain_id", "duration_s", "started_at", "direction", "result", "talk_ms", "merged_into"],
        sqlite_where=GOING_ON,
        postgresql_where=GOING_ON,
    )
    connection = op.get_bind()
    for domain_id in connection.execute(sa.text("SELECT id FROM domains ORDER BY id")).scalars().all():
        tally_again(connection, domain_id)

"""The tables of the index, as the code sees them; `store/migrations` makes them.

Shaped for tens of millions of calls: `calls` is narrow (the path lies in `call_paths`), its list is read in the order of the
index (domain_id, started_at, id), and `participants` repeats domain and start so that one user's list is read in the
order of an index too. What is derived from segments (the recording's state, for the whole domain in `calls`, for one
user in `participants`) is written together with what it is derived from, by `store.intake.recording_state` alone.
"""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)

from fonoteka.core.phone_numbers import LONGEST_OUTSIDE

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


class Instant(TypeDecorator[datetime]):
    """An aware datetime, kept as whole milliseconds since 1970 UTC: the same on every database, narrow, and exact to sort by."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """Refuses naive datetimes: their meaning would depend on the machine."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a time without a zone cannot be stored: {value!r}")
        return milliseconds(value)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        """Comes back in UTC."""
        return None if value is None else instant(value)


def instant(milliseconds: int) -> datetime:
    """Milliseconds since 1970 as a time in UTC."""
    return _EPOCH + timedelta(milliseconds=milliseconds)


def milliseconds(moment: datetime) -> int:
    """The whole milliseconds since 1970 of a time."""
    return (moment - _EPOCH) // _MILLISECOND


Identity = BigInteger().with_variant(Integer(), "sqlite")  # SQLite counts up by itself only for INTEGER PRIMARY KEY

LONGEST_LINKEDID: Final = 150
LONGEST_LOGIN: Final = 64
LONGEST_PARTY: Final = 128  # who called, whom, who took it: longer is no number, nor an extension (Asterisk: 80)
LONGEST_PBX_NAME: Final = 64
LONGEST_SEGMENT_NAME: Final = 80

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

domains = Table(
    "domains",
    metadata,
    Column("id", Identity, primary_key=True),
    Column("name", String(64), nullable=False, unique=True),
    Column("title", Text, nullable=False),
    Column("timezone", String(64), nullable=False),
    Column("country", String(2), nullable=False),
    Column("area_codes", JSON, nullable=False),
    Column("retention_days", Integer, nullable=False),
    Column("notify_email", Text),
    Column("notice_in", String(200)),
    Column("notice_out", String(200)),
    Column("beep_every_s", Integer, nullable=False, server_default="0"),
    Column("removed_at", Instant),
)

users = Table(
    "users",
    metadata,
    Column("id", Identity, primary_key=True),
    Column("domain_id", Identity, ForeignKey("domains.id"), nullable=False),
    Column("login", String(LONGEST_LOGIN), nullable=False),
    Column("name", Text, nullable=False),
    Column("extension", String(64), nullable=False),
    Column("endpoints", JSON, nullable=False),
    Column("role", String(16), nullable=False),
    Column("record", String(16), nullable=False),
    Column("password_hash", Text),
    Column("removed_at", Instant),  # kept, so that old calls keep the name of who made them
    UniqueConstraint("domain_id", "login"),
)

numbers = Table(
    "numbers",
    metadata,
    Column("id", Identity, primary_key=True),
    Column("domain_id", Identity, ForeignKey("domains.id"), nullable=False),
    Column("number", String(64), nullable=False),
    Column("label", Text, nullable=False),
    UniqueConstraint("domain_id", "number"),
)

pbxs = Table(
    "pbxs",
    metadata,
    Column("id", Identity, primary_key=True),
    Column("name", String(LONGEST_PBX_NAME), nullable=False, unique=True),
    Column("token_hash", String(64), nullable=False, unique=True),
)

calls = Table(
    "calls",
    metadata,
    Column("id", Identity, primary_key=True),
    Column("public_id", String(26), nullable=False, unique=True),  # of pbx and linkedid, so this is their unique key too
    Column("domain_id", Identity, ForeignKey("domains.id"), nullable=False),
    Column("pbx_id", Identity, ForeignKey("pbxs.id"), nullable=False),
    Column("linkedid", String(LONGEST_LINKEDID), nullable=False),
    Column("revision", BigInteger, nullable=False),  # as agents count: milliseconds since 1970
    Column("direction", String(16), nullable=False),
    Column("result", String(16), nullable=False),
    Column("employee", String(LONGEST_LOGIN)),
    Column("src", Text, nullable=False),
    Column("src_name", Text, nullable=False),
    Column("dst", Text, nullable=False),
    Column("number", String(64)),
    Column("answered_by", Text),
    Column("started_at", Instant, nullable=False),
    Column("answered_at", Instant),
    Column("ended_at", Instant),
    Column("duration_s", Integer),  # null while the call goes on
    Column("talk_ms", Integer, nullable=False),
    Column("called_back_at", Instant),
    Column("reason", String(32)),  # as reported: why no segment was asked for
    Column("recording_state", String(16), nullable=False),
    Column("recording_reason", String(32)),
    Column("recording_ms", BigInteger),
    Column("legal_hold", Boolean, nullable=False),
    Column("live", JSON(none_as_null=True)),  # a LiveReport while the call goes on
    Column("merged_into", String(LONGEST_LINKEDID)),  # the linkedid of the call that this one became a part of: no row to be seen
    Column(
        "outside_number", String(LONGEST_OUTSIDE)
    ),  # the outside party, in one form however it was dialled; null: none, or withheld
    Index("ix_calls_domain_id_outside_number_started_at", "domain_id", "outside_number", "started_at"),
)
VISIBLE: Final = text("merged_into IS NULL")
# The list is read in its order; all that filters and figures ask for is in it, so that they need not see the rows. PostgreSQL
# takes entries of 2,700 bytes at most: LONGEST_PARTY is four bytes a character three times.
Index(
    "ix_calls_list",
    calls.c.domain_id,
    calls.c.started_at,
    calls.c.id,
    calls.c.direction,
    calls.c.result,
    calls.c.recording_state,
    calls.c.employee,
    calls.c.number,
    calls.c.duration_s,
    calls.c.talk_ms,
    calls.c.called_back_at,
    calls.c.src,
    calls.c.dst,
    calls.c.answered_by,
    calls.c.merged_into,  # null, all of them; but SQLite looks
    sqlite_where=VISIBLE,
    postgresql_where=VISIBLE,
)
_MISSED: Final = text("direction = 'in' AND result <> 'answered' AND merged_into IS NULL")
Index(
    "ix_calls_missed",  # one call in eight, and how long those who called waited
    calls.c.domain_id,
    calls.c.started_at,
    calls.c.called_back_at,
    calls.c.direction,
    calls.c.result,
    calls.c.merged_into,
    calls.c.duration_s,
    sqlite_where=_MISSED,
    postgresql_where=_MISSED,
)
_REACHED: Final = text("direction = 'out' AND result = 'answered' AND merged_into IS NULL")
Index(
    "ix_calls_reached",  # when a party was reached by the company
    calls.c.domain_id,
    calls.c.outside_number,
    calls.c.answered_at,
    sqlite_where=_REACHED,
    postgresql_where=_REACHED,
)

call_paths = Table(
    "call_paths",
    metadata,
    Column("call_id", Identity, ForeignKey("calls.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("steps", JSON, nullable=False),  # [[milliseconds since 1970, what, who, by, reason or null], …]
)

participants = Table(
    "participants",
    metadata,
    Column("call_id", Identity, ForeignKey("calls.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("login", String(LONGEST_LOGIN), primary_key=True),
    Column("domain_id", Identity, ForeignKey("domains.id"), nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("recording_state", String(16), nullable=False),  # of the segments this user took part in
    Column("recording_reason", String(32)),
    Column("recording_ms", BigInteger),
    Index(None, "domain_id", "login", "started_at", "call_id"),
)

segments = Table(
    "segments",
    metadata,
    Column("id", Identity, primary_key=True),
    Column("pbx_id", Identity, ForeignKey("pbxs.id"), nullable=False),
    Column("call_id", Identity, ForeignKey("calls.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("name", String(LONGEST_SEGMENT_NAME), nullable=False),
    Column("user", String(LONGEST_LOGIN), nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("reason", String(32)),
    Column("object_key", Text),  # null until the audio has arrived, as is everything below
    Column("sha256", String(64)),
    Column("size_bytes", BigInteger),
    Column("format", String(8)),
    Column("layout", String(8)),
    Column("rate_hz", Integer),
    Column("duration_ms", Integer),
    Column("talk_ms", Integer),
    Column("muted", JSON),  # [[from_ms, to_ms], …]
    Column("salvaged", Boolean),
    Column("arrived_at", Instant),
    UniqueConstraint("pbx_id", "name"),
)

# What people ask of recordings that go on: a row lives for a minute. Ids never come again, an agent asks for those after the last.
commands = Table(
    "commands",
    metadata,
    Column("id", Identity, primary_key=True),
    Column("pbx_id", Identity, ForeignKey("pbxs.id"), nullable=False),
    Column("linkedid", String(LONGEST_LINKEDID), nullable=False),
    Column("action", String(16), nullable=False),
    Column("login", String(LONGEST_LOGIN)),  # whose side is meant; null: the whole call's
    Column("asked_at", Instant, nullable=False, index=True),
    Column("answer", String(32)),  # "done", a Refusal, or "withdrawn"; null while nobody has answered
    sqlite_autoincrement=True,
)

sessions = Table(
    "sessions",
    metadata,
    Column("token_hash", String(64), primary_key=True),
    Column("user_id", Identity, ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False, index=True),
)

audit = Table(
    "audit",
    metadata,
    Column("id", Identity, primary_key=True),
    Column("domain_id", Identity, ForeignKey("domains.id"), nullable=False),
    Column("at", Instant, nullable=False),
    Column("login", String(LONGEST_LOGIN), nullable=False),
    Column("address", String(64), nullable=False),
    Column("action", String(32), nullable=False),
    Column("subject", Text, nullable=False),
    Column("detail", JSON, nullable=False),
    Index(None, "domain_id", "at", "id"),
)

settings = Table(
    "settings",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),  # one row, 1
    Column("version", BigInteger, nullable=False),
)

"""The tables of the index. `store/database/migrations` creates them.

The schema is meant for tens of millions of calls: `calls` is narrow (paths are in `call_paths`)
and its list is read in the order of the index (domain_id, started_at, id). `participants` repeats
domain and start, so that the list of one user is read in the order of an index too. The state of a
recording is derived from the segments by `store.intake.recording_state` and written together with
them: in `calls` for the domain, in `participants` for one user.
"""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    and_,
    text,
)

from fonoteka.core.phone_numbers import LONGEST_OUTSIDE

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


class Instant(TypeDecorator[datetime]):
    """An aware datetime, stored as whole milliseconds since 1970 UTC on every database."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """Convert to milliseconds. Raises ValueError for a naive datetime."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a time without a zone cannot be stored: {value!r}")
        return milliseconds(value)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        """Convert to a datetime in UTC."""
        return None if value is None else instant(value)


def instant(milliseconds: int) -> datetime:
    """Convert milliseconds since 1970 to a datetime in UTC."""
    return EPOCH + timedelta(milliseconds=milliseconds)


def milliseconds(moment: datetime) -> int:
    """Convert a datetime to whole milliseconds since 1970."""
    return (moment - EPOCH) // _MILLISECOND


Identity = BigInteger().with_variant(Integer(), "sqlite")  # SQLite autoincrements INTEGER only

LONGEST_ADDRESS: Final = 64
LONGEST_DEVICE: Final = 300
LONGEST_LINKEDID: Final = 150
LONGEST_LOGIN: Final = 64
LONGEST_PARTY: Final = 128  # src, dst, answered_by; Asterisk's extensions have at most 80
LONGEST_PBX_NAME: Final = 64
LONGEST_SEGMENT_NAME: Final = 80
SPEECH_COLUMNS: Final = ("spoken_outside_ms", "spoken_employee_ms", "spoken_both_ms", "silence_ms", "longest_silence_ms")
"""Who spoke how long, in `calls` and `participants`; null: not known of all audio."""
LONGEST_TRUNK: Final = 128  # an endpoint; a queue
LONGEST_SESSION_ID: Final = 32

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
    Column("name", String(64), nullable=False),
    Column("title", Text, nullable=False),
    Column("timezone", String(64), nullable=False),
    Column("country", String(2), nullable=False),
    Column("area_codes", JSON, nullable=False),
    Column("retention_days", Integer, nullable=False),  # of audio
    Column("calls_retention_days", Integer),  # of calls; null: kept for ever
    Column("notify_email", Text),
    Column("notice_in", String(200)),
    Column("notice_out", String(200)),
    Column("beep_every_s", Integer, nullable=False, server_default="0"),
    Column("quota_gb", Float),  # of audio; null: no limit
    Column("quota_recordings", BigInteger),
    Column("quota_warned_at", Instant),  # null once enough was deleted
    Column("objects", Text),  # the bucket of its new recordings; null: `store.objects`
    Column("removed_at", Instant),  # a removed row is never revived: store/selection/identity.py
    Column("valid_from", Instant, nullable=False, server_default="0"),  # of calls, by their start
    Column("valid_until", Instant),
)
_PRESENT: Final = text("removed_at IS NULL")
Index("uq_domains_present", domains.c.name, unique=True, sqlite_where=_PRESENT, postgresql_where=_PRESENT)

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
    Column("retention_days", Integer),  # of this user's audio; null: the domain's
    Column("removed_at", Instant),  # the row stays, for the name in old calls, and is never revived
    Column("valid_from", Instant, nullable=False, server_default="0"),  # of calls, by their start
    Column("valid_until", Instant),
    Index(None, "domain_id", "login", "valid_from"),
)
Index("uq_users_present", users.c.domain_id, users.c.login, unique=True, sqlite_where=_PRESENT, postgresql_where=_PRESENT)

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
    Column("serves", String(8), nullable=False, server_default="unset"),  # a store.people.served_domains.Serves
)

# The domains of a PBX that serves named domains only.
pbx_domains = Table(
    "pbx_domains",
    metadata,
    Column("pbx_id", Identity, ForeignKey("pbxs.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("domain_id", Identity, ForeignKey("domains.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
)

calls = Table(
    "calls",
    metadata,
    Column("id", Identity, primary_key=True),
    Column(
        "public_id", String(26), nullable=False, unique=True
    ),  # of pbx and linkedid, of further domains also of the domain: their unique key too
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
    Column("reason", String(32)),  # reported: why no segment was requested
    Column("recording_state", String(16), nullable=False),
    Column("recording_reason", String(32)),
    Column("recording_ms", BigInteger),
    Column("legal_hold", Boolean, nullable=False),
    Column("live", JSON(none_as_null=True)),  # a LiveReport while the call goes on
    Column("merged_into", String(LONGEST_LINKEDID)),  # linkedid of the call that absorbed this one, which is hidden
    Column("outside_number", String(LONGEST_OUTSIDE)),  # E.164; null: an internal call, or withheld
    Column("trunk", String(LONGEST_TRUNK)),  # null, like all columns below: unknown, or a call of an older version
    Column("queue", String(LONGEST_TRUNK)),
    Column("wait_ms", BigInteger),
    Column("quality_mos", Float),  # of the worst leg
    Column("quality_loss_pct", Float),
    Column("quality_jitter_ms", Integer),
    Column("quality_rtt_ms", Integer),
    *(Column(name, BigInteger) for name in SPEECH_COLUMNS),  # of all recorded audio
    Index("ix_calls_domain_id_outside_number_started_at", "domain_id", "outside_number", "started_at"),
)
VISIBLE: Final = text("merged_into IS NULL")
# The order of the list. Covering: it holds all columns of the filters and statistics. PostgreSQL
# limits an entry to 2,700 bytes: three columns of LONGEST_PARTY take four bytes a character.
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
    calls.c.merged_into,  # always null, but SQLite reads it
    sqlite_where=VISIBLE,
    postgresql_where=VISIBLE,
)
# The filters and the statistics of waiting; the index of the list has no room for these names.
Index(
    "ix_calls_waiting",
    calls.c.domain_id,
    calls.c.started_at,
    calls.c.id,
    calls.c.direction,
    calls.c.result,
    calls.c.wait_ms,
    calls.c.queue,
    calls.c.number,
    calls.c.trunk,
    calls.c.merged_into,
    sqlite_where=VISIBLE,
    postgresql_where=VISIBLE,
)
_OF_KNOWN_QUALITY: Final = text("quality_mos IS NOT NULL AND merged_into IS NULL")
Index(
    "ix_calls_quality",
    calls.c.domain_id,
    calls.c.started_at,
    calls.c.id,
    calls.c.quality_mos,
    calls.c.quality_loss_pct,
    calls.c.trunk,
    calls.c.employee,
    calls.c.direction,
    calls.c.result,
    calls.c.merged_into,
    sqlite_where=_OF_KNOWN_QUALITY,
    postgresql_where=_OF_KNOWN_QUALITY,
)
_IN_PROGRESS: Final = text("ended_at IS NULL AND merged_into IS NULL")
Index(
    "ix_calls_in_progress",
    calls.c.domain_id,
    calls.c.ended_at,  # always null; without it SQLite may prefer the index of the list
    calls.c.started_at,
    calls.c.id,
    sqlite_where=_IN_PROGRESS,
    postgresql_where=_IN_PROGRESS,
)
_MISSED: Final = text("direction = 'in' AND result <> 'answered' AND merged_into IS NULL")
Index(
    "ix_calls_missed",  # one call in eight, with the wait for the call back
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
    "ix_calls_reached",  # answered calls to an outside number
    calls.c.domain_id,
    calls.c.outside_number,
    calls.c.answered_at,
    sqlite_where=_REACHED,
    postgresql_where=_REACHED,
)

_SPEECH: Final = text("longest_silence_ms IS NOT NULL")
Index(
    "ix_calls_speech",  # calls whose recording tells who spoke: it holds all that the report adds up
    calls.c.domain_id,
    calls.c.started_at,
    calls.c.id,
    calls.c.employee,
    calls.c.merged_into,
    *(calls.c[name] for name in SPEECH_COLUMNS),
    sqlite_where=_SPEECH,
    postgresql_where=_SPEECH,
)
_AUDIO: Final = text("recording_ms IS NOT NULL")
Index(  # the calls with audio, which retention reads by age
    "ix_calls_audio", calls.c.domain_id, calls.c.started_at, calls.c.id, sqlite_where=_AUDIO, postgresql_where=_AUDIO
)
_MERGED: Final = text("merged_into IS NOT NULL")
Index("ix_calls_merged", calls.c.domain_id, calls.c.merged_into, sqlite_where=_MERGED, postgresql_where=_MERGED)
Index("ix_calls_held", calls.c.id, sqlite_where=text("legal_hold = 1"), postgresql_where=text("legal_hold"))

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
    Column("recording_state", String(16), nullable=False),  # of this user's segments
    Column("recording_reason", String(32)),
    Column("recording_ms", BigInteger),
    *(Column(name, BigInteger) for name in SPEECH_COLUMNS),
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
    Column("object_key", Text),  # null until the audio arrives, like all columns below; and when it is lost
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
    # The audio is gone for good, and is neither seen nor taken again. Its objects are deleted after
    # this mark, then object_key becomes null: store/retention/expiry.py.
    Column("expired_at", Instant),
    Column("peaks_sha256", String(64)),  # of peaks made again; null: the object's key has their digest
    Column("key_version", Integer),  # of the domain's key; null: the object is not encrypted
    Column("speech", JSON(none_as_null=True)),  # a Speech; null: not known
    UniqueConstraint("pbx_id", "name"),
)
HAS_AUDIO: Final = and_(segments.c.object_key.is_not(None), segments.c.expired_at.is_(None))
_UNDELETED: Final = text("expired_at IS NOT NULL AND object_key IS NOT NULL")
Index("ix_segments_undeleted", segments.c.id, sqlite_where=_UNDELETED, postgresql_where=_UNDELETED)

# The objects that are locked in the bucket (`store.retention.object_locks`). A recording whose
# object has got another key may have two rows.
object_locks = Table(
    "object_locks",
    metadata,
    Column("segment_id", Identity, ForeignKey("segments.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("object_key", Text, primary_key=True),  # of the audio; its peaks are locked too
)

# Calls that were deleted: no report or recording brings them back. A row names no party, and stays.
erased_calls = Table(
    "erased_calls",
    metadata,
    Column("public_id", String(26), primary_key=True),
    Column("erased_at", Instant, nullable=False),
)

# Commands to recorders. A row is kept for a minute. Ids are never reused: an agent requests those
# after its last.
commands = Table(
    "commands",
    metadata,
    Column("id", Identity, primary_key=True),
    Column("pbx_id", Identity, ForeignKey("pbxs.id"), nullable=False),
    Column("linkedid", String(LONGEST_LINKEDID), nullable=False),
    Column("domain_id", Identity),  # whose users' sides; null: asked before version 0012, of no domain
    Column("action", String(16), nullable=False),
    Column("login", String(LONGEST_LOGIN)),  # whose recording; null: all of the call
    Column("asked_at", Instant, nullable=False, index=True),
    Column("answer", String(32)),  # "done", a Refusal or "withdrawn"; null: no answer yet
    sqlite_autoincrement=True,
)

sessions = Table(
    "sessions",
    metadata,
    Column("token_hash", String(64), primary_key=True),
    Column("user_id", Identity, ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False, index=True),
    Column("public_id", String(LONGEST_SESSION_ID), nullable=False, unique=True),
    Column("seen_at", Instant, nullable=False),
    Column("address", String(LONGEST_ADDRESS), nullable=False),
    Column("device", String(LONGEST_DEVICE), nullable=False),  # User-Agent of the login
)

# Where a user logged in: devices by the hash of their cookie, and networks.
login_origins = Table(
    "login_origins",
    metadata,
    Column("user_id", Identity, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("origin", String(80), primary_key=True),
    Column("seen_at", Instant, nullable=False),
    Index(None, "origin"),
)

# Append-only, by triggers (migration 0003): a migration that copies the table creates them again.
# Entries are chained: `store.audit.chain`.
audit = Table(
    "audit",
    metadata,
    Column("id", Identity, primary_key=True),
    Column("domain_id", Identity, ForeignKey("domains.id"), nullable=False),
    Column("seq", BigInteger, nullable=False),  # 1, 2, 3, … in the domain
    Column("at", Instant, nullable=False),
    Column("login", String(LONGEST_LOGIN), nullable=False),
    Column("address", String(64), nullable=False),
    Column("action", String(32), nullable=False),
    Column("subject", Text, nullable=False),
    Column("detail", JSON, nullable=False),
    Column("continues", BigInteger),  # seq of the entry that this row continues
    Column("listening", String(64)),  # identifies an entry that later requests continue
    Column("hash", String(64), nullable=False),  # of this entry and the hash before it
    UniqueConstraint("domain_id", "seq"),
    Index(None, "domain_id", "at", "id"),
    Index(None, "domain_id", "subject"),
)
for _growing in ("continues", "listening"):
    _given = text(f"{_growing} IS NOT NULL")
    Index(None, audit.c.domain_id, audit.c[_growing], sqlite_where=_given, postgresql_where=_given)

# One row, 1, from the moment at which new recordings are encrypted.
encryption = Table(
    "encryption",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("master_key_id", String(64), nullable=False),
    Column("began_at", Instant, nullable=False),
    Column("confirmed_at", Instant),  # when an operator confirmed the backup of the master key
    Column("rotation_began_at", Instant),  # null: no rotation is going on
)

# The keys of domains, wrapped by the master key. An object names its domain and version.
domain_keys = Table(
    "domain_keys",
    metadata,
    Column("domain_id", Identity, ForeignKey("domains.id"), primary_key=True, autoincrement=False),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("wrapped", Text, nullable=False),  # base64
    Column("made_at", Instant, nullable=False),
)

# What the limits of all APIs remember, by a digest of its key (store/limiter_states.py). PostgreSQL
# writes no log of it; SQLite has one API, which remembers by itself.
limiter_states = Table(
    "limiter_states",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("state", JSON, nullable=False),
    Column("expires_at", Instant, nullable=False, index=True),
)

# The buckets of domains, also former ones: a key names its place for ever (`naming.placed_key`).
object_places = Table(
    "object_places",
    metadata,
    Column("id", Identity, primary_key=True),
    Column("domain_id", Identity, ForeignKey("domains.id"), nullable=False),
    Column("objects", Text, nullable=False),  # the address, as `domains.objects` has it
    Column("mark", String(32), nullable=False, unique=True),  # what an object in the bucket says
    UniqueConstraint("domain_id", "objects"),
    sqlite_autoincrement=True,
)

settings = Table(
    "settings",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),  # one row, 1
    Column("version", BigInteger, nullable=False),
)

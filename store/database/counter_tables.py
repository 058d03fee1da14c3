"""The counter tables. `store.intake.counters` computes what a call adds to them."""

from typing import Final

from sqlalchemy import BigInteger, Column, ForeignKey, Integer, String, Table

from fonoteka.core.call_report import Direction, Result
from store.database.schema import LONGEST_LOGIN, Identity, Instant, metadata

Outcome = tuple[Direction, Result]
"""What the counters of calls are kept by."""

BANDS_S: Final = (0, 30, 60, 180, 600)  # start of each band of talk time; the last has no end
CALLED_BACK: Final = "called_back"  # missed calls that were called back
RECORDED: Final = "recorded"  # calls with audio


def count_column(direction: Direction, result: Result) -> str:
    """Return the column that counts the calls of a direction and result."""
    return f"{direction.value}_{result.value}"


def talk_column(direction: Direction) -> str:
    """Return the column that sums the talk of a direction's answered calls, in milliseconds."""
    return f"{direction.value}_talk_ms"


def band_column(place: int) -> str:
    """Return the column that counts the outgoing calls of a band of talk."""
    return f"band_{place}"


COLUMNS: Final = (
    *(count_column(direction, result) for direction in Direction for result in Result),
    *(talk_column(direction) for direction in (Direction.IN, Direction.OUT)),
    *(band_column(place) for place in range(len(BANDS_S))),
    CALLED_BACK,
    RECORDED,
)


def _columns() -> list[Column[int]]:
    return [Column(name, BigInteger, nullable=False) for name in COLUMNS]


hour_counters = Table(
    "hour_counters",
    metadata,
    Column("domain_id", Identity, ForeignKey("domains.id"), primary_key=True, autoincrement=False),
    Column("hour", Instant, primary_key=True, autoincrement=False),  # start of an hour of the domain's clock
    *_columns(),
    sqlite_with_rowid=False,
)

group_counters = Table(
    "group_counters",
    metadata,
    Column("domain_id", Identity, ForeignKey("domains.id"), primary_key=True, autoincrement=False),
    Column("kind", String(8), primary_key=True),  # user, number
    Column("unit", String(8), primary_key=True),  # day, month
    Column("start", Integer, primary_key=True, autoincrement=False),  # days or months since 1970 of the domain's clock
    Column("name", String(LONGEST_LOGIN), primary_key=True),
    *_columns(),
    sqlite_with_rowid=False,
)

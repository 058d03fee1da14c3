"""Find the calls of an outside party by its number."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import Row, Select, select
from sqlalchemy.ext.asyncio import AsyncConnection

from fonoteka.core.call_report import Direction
from fonoteka.core.phone_numbers import outside_party
from store.database.schema import calls, domains, pbxs
from store.database.store import Store
from store.queries.calls import LIVE_AT_MOST
from store.retention.merged_calls import MERGE_COLUMNS, is_visible, merge_chains

_CALLS_AT_A_TIME: Final = 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class SubjectCall:
    """A call of an outside party; `key` is that of its row."""

    key: int
    public_id: str
    started_at: datetime
    direction: Direction
    src: str
    dst: str
    recorded: bool
    held: bool
    in_progress: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class SubjectCalls:
    """The calls of an outside party, oldest first; `number` is E.164, or of no known plan."""

    number: str
    zone: ZoneInfo  # of the domain
    calls: tuple[SubjectCall, ...]

    @property
    def recordings(self) -> int:
        """The number of calls with audio."""
        return sum(call.recorded for call in self.calls)

    @property
    def held(self) -> tuple[SubjectCall, ...]:
        """The calls under legal hold."""
        return tuple(call for call in self.calls if call.held)

    @property
    def in_progress(self) -> tuple[SubjectCall, ...]:
        """The calls that have not ended."""
        return tuple(call for call in self.calls if call.in_progress)

    @property
    def erasable(self) -> tuple[SubjectCall, ...]:
        """The calls that are neither under legal hold nor in progress."""
        return tuple(call for call in self.calls if not call.held and not call.in_progress)


def masked(number: str) -> str:
    """Return the last two digits of a number: all that the audit may keep of it. Pure."""
    return f"…{number[-2:]}"


async def find_calls(store: Store, domain_id: int, text: str, now: datetime) -> SubjectCalls:
    """Return the calls of a domain with an outside party, whose number is written as dialled there.

    A call into which a call of the party was merged is one too. Calls with a withheld number are of
    nobody. Raises ValueError if the text identifies no outside party.
    """
    async with store.reading() as connection:
        columns = (domains.c.country, domains.c.area_codes, domains.c.timezone)
        domain = (await connection.execute(select(*columns).where(domains.c.id == domain_id))).one()
        number = outside_party(text.strip(), domain.country, tuple(domain.area_codes))
        if number is None:
            raise ValueError("must be the number of an outside party, such as +79131234567")
        query = _rows(domain_id)
        rows = list((await connection.execute(query.where(calls.c.outside_number == number))).all())
        found = await _shown(connection, query, rows)
    in_order = sorted(found.values(), key=lambda row: (row.started_at, row.id))
    return SubjectCalls(number=number, zone=ZoneInfo(domain.timezone), calls=tuple(_call(row, now) for row in in_order))


def _rows(domain_id: int) -> Select[Any]:
    c = calls.c
    columns = (c.id, *MERGE_COLUMNS, c.started_at, c.ended_at, c.direction, c.src, c.dst, c.recording_ms, c.legal_hold)
    return select(*columns).join(pbxs, pbxs.c.id == c.pbx_id).where(c.domain_id == domain_id)


async def _shown(connection: AsyncConnection, query: Select[Any], rows: Sequence[Row[Any]]) -> dict[int, Row[Any]]:
    """Return the visible calls into which some calls are merged; by key.

    A call that is merged into no visible call is returned itself, with the calls of its chain.
    """
    keys: set[int] = set()
    for row, chain in zip(rows, await merge_chains(connection, rows), strict=True):
        keys |= {call.id for call in ([row, *chain][-1:] if is_visible(row, chain) else [row, *chain])}
    shown = {row.id: row for row in rows if row.id in keys}
    others = sorted(keys - shown.keys())
    for start in range(0, len(others), _CALLS_AT_A_TIME):
        chunk = calls.c.id.in_(others[start : start + _CALLS_AT_A_TIME])
        shown |= {row.id: row for row in await connection.execute(query.where(chunk))}
    return shown


def _call(row: Row[Any], now: datetime) -> SubjectCall:
    return SubjectCall(
        key=row.id,
        public_id=row.public_id,
        started_at=row.started_at,
        direction=Direction(row.direction),
        src=row.src,
        dst=row.dst,
        recorded=row.recording_ms is not None,
        held=row.legal_hold,
        in_progress=row.ended_at is None and row.started_at > now - LIVE_AT_MOST,
    )

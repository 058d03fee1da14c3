"""Reading calls: a page, or a call. Every query needs a scope."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Row, Select, and_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from fonoteka.core.call_report import Direction, LiveReport, PathStep, Quality, Reason, RecordingState, Result
from store.database.schema import call_paths, calls, domains, pbxs, segments, users
from store.database.store import Store
from store.intake.recording_state import Recording, Segment, assess, in_order
from store.intake.row_mapping import live_of, quality_of, segment_of, steps_of
from store.queries.page_keys import Key, Place, first_page, keyed_calls, keys_query, place_after, read_keys
from store.selection.bounded_count import bounded_count, shown_total
from store.selection.identity import user_at
from store.selection.retention_rule import audio_days, expires_at, with_recorded_users
from store.selection.scope import Scope, VisibleCalls, merged_calls, visible_calls, visible_calls_with, visible_segments
from store.selection.selection import Selection, Sort, conditions, duration_s
from store.statistics.counters_read import count_calls
from store.statistics.employee_filter import resolve_employee_filter

MOST_LIVE: Final = 500
LIVE_AT_MOST: Final = timedelta(days=1)  # the end of an older call is lost, with its PBX


@dataclass(frozen=True, kw_only=True, slots=True)
class SeenCall:
    """A call as a scope sees it: `recording` has the segments that the scope may hear.

    `names` has the names of the users in `live`, by login. `viewer` is the scope's login.
    `expires_at` is when the first audio of `recording` expires; None without audio or if held.
    """

    call_id: int
    public_id: str
    pbx: str
    linkedid: str
    domain: str
    direction: Direction
    result: Result
    employee: str | None
    employee_name: str | None
    src: str
    src_name: str
    dst: str
    number: str | None
    answered_by: str | None
    started_at: datetime
    answered_at: datetime | None
    ended_at: datetime | None
    duration_s: int
    talk_ms: int
    called_back_at: datetime | None
    trunk: str | None
    queue: str | None
    wait_ms: int | None
    quality: Quality | None
    recording: Recording
    expires_at: datetime | None
    legal_hold: bool
    live: LiveReport | None
    names: Mapping[str, str]
    viewer: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """A page; `next` is None on the last page.

    `total` is exact if the counters have it, or up to COUNTED_UP_TO.
    """

    items: tuple[SeenCall, ...]
    next: Place | None
    total: int
    total_is_exact: bool


async def page_of_calls(
    store: Store, scope: Scope, selection: Selection, *, sort: Sort, after: Place | None, limit: int, now: datetime
) -> Page:
    """Return a page. Pages have no gaps and no repeats, even if calls arrive between requests."""
    now = after.now if after else now
    async with store.reading() as connection:
        selection = await resolve_employee_filter(connection, scope, selection)
        total = await count_calls(connection, scope, selection)
        visible = visible_calls(scope)
        if scope.login is None and len(selection.users) == 1:
            visible, selection = visible_calls_with(scope, selection.users[0]), replace(selection, users=())
        keyed, wanted = keyed_calls(connection.dialect, visible, selection, sort, now)
        if total is None and after is None:
            keys, number = await first_page(connection, keyed, wanted, sort=sort, limit=limit + 1, now=now)
        else:
            keys = read_keys(await connection.execute(keys_query(connection.dialect, keyed, wanted, sort, after, now, limit + 1)))
            number = await bounded_count(connection, keyed.source, wanted) if total is None else 0
        items = await _calls(connection, scope, visible, keys[:limit], now)
    shown, is_exact = shown_total(number) if total is None else (total, True)
    return Page(items=items, next=place_after(keys, sort, limit, now), total=shown, total_is_exact=is_exact)


async def calls_after(
    store: Store, scope: Scope, selection: Selection, *, sort: Sort, after: Place | None, limit: int, now: datetime
) -> tuple[tuple[SeenCall, ...], Place | None]:
    """Return the calls of a page without their number, and where the next page begins."""
    visible = visible_calls(scope)
    now = after.now if after else now
    async with store.reading() as connection:
        wanted = conditions(await resolve_employee_filter(connection, scope, selection), visible, now)
        keys = read_keys(await connection.execute(keys_query(connection.dialect, visible, wanted, sort, after, now, limit + 1)))
        items = await _calls(connection, scope, visible, keys[:limit], now)
    return items, place_after(keys, sort, limit, now)


async def call_of(store: Store, scope: Scope, public_id: str, now: datetime) -> SeenCall | None:
    """Return a call; None if the scope has no such call."""
    visible = visible_calls(scope)
    query = _columns(visible, now).where(visible.condition, calls.c.public_id == public_id)
    async with store.reading() as connection:
        seen = await _seen(connection, scope, (await connection.execute(query)).all())
    return seen[0] if seen else None


async def live_calls(store: Store, scope: Scope, now: datetime) -> list[tuple[SeenCall, tuple[PathStep, ...]]]:
    """Return the calls in progress with their paths, newest first, at most MOST_LIVE."""
    visible = visible_calls(scope)
    in_progress = and_(visible.condition, calls.c.ended_at.is_(None), visible.started_at > now - LIVE_AT_MOST)
    query = _columns(visible, now).where(in_progress)
    query = query.order_by(visible.started_at.desc(), visible.call_id.desc()).limit(MOST_LIVE)
    async with store.reading() as connection:
        live = await _seen(connection, scope, (await connection.execute(query)).all())
        keys = [call.call_id for call in live]
        rows = await connection.execute(select(call_paths).where(call_paths.c.call_id.in_(keys)))
        paths = {row.call_id: steps_of(row.steps) for row in rows}
    return [(call, paths.get(call.call_id, ())) for call in live]


async def is_merged(store: Store, scope: Scope, public_id: str) -> bool:
    """Whether a call of the scope was merged into another call."""
    merged = merged_calls(scope)
    query = select(merged.call_id).select_from(merged.source).where(merged.condition, calls.c.public_id == public_id)
    async with store.reading() as connection:
        return (await connection.execute(query)).first() is not None


async def path_of(store: Store, scope: Scope, public_id: str) -> tuple[PathStep, ...]:
    """Return the path of a call; empty if the scope has no such call."""
    visible = visible_calls(scope)
    source = visible.source.join(call_paths, call_paths.c.call_id == calls.c.id)
    query = select(call_paths.c.steps).select_from(source).where(visible.condition, calls.c.public_id == public_id)
    async with store.reading() as connection:
        steps = (await connection.execute(query)).scalar() or []
    return steps_of(steps)


async def public_id_of(store: Store, scope: Scope, call_id: int) -> str | None:
    """Return the public id of a call by its key; None if the scope has no such call."""
    visible = visible_calls(scope)
    query = select(calls.c.public_id).select_from(visible.source).where(visible.condition, visible.call_id == call_id)
    async with store.reading() as connection:
        public_id: str | None = (await connection.execute(query)).scalar()
    return public_id


def _columns(visible: VisibleCalls, now: datetime) -> Select[Any]:
    source = visible.source.join(pbxs, pbxs.c.id == calls.c.pbx_id).join(domains, domains.c.id == calls.c.domain_id)
    source = source.outerjoin(users, user_at(calls.c.domain_id, calls.c.employee, calls.c.started_at))
    return select(
        *calls.c,
        visible.call_id.label("call_id"),
        visible.recording_state.label("seen_state"),
        visible.recording_reason.label("seen_reason"),
        duration_s(now).label("seconds"),
        pbxs.c.name.label("pbx"),
        domains.c.name.label("domain"),
        users.c.name.label("employee_name"),
    ).select_from(source)


async def _calls(
    connection: AsyncConnection, scope: Scope, visible: VisibleCalls, keys: Sequence[Key], now: datetime
) -> tuple[SeenCall, ...]:
    """Return calls by keys that are known to be in the scope, without merged calls."""
    query = _columns(visible, now).where(visible.viewed, visible.call_id.in_([key.call_id for key in keys]))
    rows = (await connection.execute(query.where(calls.c.merged_into.is_(None)))).all()
    places = {key.call_id: place for place, key in enumerate(keys)}
    return await _seen(connection, scope, sorted(rows, key=lambda row: places[row.call_id]))


async def _seen(connection: AsyncConnection, scope: Scope, rows: Sequence[Row[Any]]) -> tuple[SeenCall, ...]:
    audible: dict[int, list[Segment]] = {}
    days: dict[int, int] = {}
    if rows:
        query = _visible_segments(scope).where(segments.c.call_id.in_([row.call_id for row in rows]))
        for segment in await connection.execute(query):
            audible.setdefault(segment.call_id, []).append(segment_of(segment))
            if audible[segment.call_id][-1].arrival is not None:
                days[segment.call_id] = min(segment.days, days.get(segment.call_id, segment.days))
    lives = {row.call_id: live for row in rows if (live := live_of(row)) is not None}
    names = await _names(connection, scope, lives.values())
    expiries = {row.call_id: expires_at(row.started_at, days[row.call_id]) for row in rows if row.call_id in days}
    return tuple(
        _seen_call(
            row,
            audible.get(row.call_id, []),
            expires_at=None if row.legal_hold else expiries.get(row.call_id),
            live=lives.get(row.call_id),
            names=names,
            viewer=scope.login,
        )
        for row in rows
    )


def _visible_segments(scope: Scope) -> Select[Any]:
    """Select the segments that a scope may hear, with the days for which their audio is kept."""
    source = segments.join(calls, calls.c.id == segments.c.call_id).join(domains, domains.c.id == calls.c.domain_id)
    columns = (*segments.c, audio_days(domains.c.retention_days).label("days"))
    return select(*columns).select_from(with_recorded_users(source)).where(visible_segments(scope))


async def _names(connection: AsyncConnection, scope: Scope, lives: Iterable[LiveReport]) -> Mapping[str, str]:
    """Return the names of the users in live calls, by login."""
    logins = {party.login for live in lives for party in live.parties if party.login is not None}
    if not logins:
        return {}
    query = select(users.c.login, users.c.name).where(users.c.domain_id == scope.domain_id, users.c.login.in_(logins))
    query = query.where(users.c.valid_until.is_(None))
    return {row.login: row.name for row in await connection.execute(query)}


def _seen_call(
    row: Row[Any],
    audible: list[Segment],
    *,
    expires_at: datetime | None,
    live: LiveReport | None,
    names: Mapping[str, str],
    viewer: str | None,
) -> SeenCall:
    audio = assess(in_order(audible), reason=None, ended=row.ended_at is not None)
    return SeenCall(
        call_id=row.call_id,
        public_id=row.public_id,
        pbx=row.pbx,
        linkedid=row.linkedid,
        domain=row.domain,
        direction=Direction(row.direction),
        result=Result(row.result),
        employee=row.employee,
        employee_name=row.employee_name,
        src=row.src,
        src_name=row.src_name,
        dst=row.dst,
        number=row.number,
        answered_by=row.answered_by,
        started_at=row.started_at,
        answered_at=row.answered_at,
        ended_at=row.ended_at,
        duration_s=row.seconds,
        talk_ms=row.talk_ms,
        called_back_at=row.called_back_at,
        trunk=row.trunk,
        queue=row.queue,
        wait_ms=row.wait_ms,
        quality=quality_of(row),
        recording=Recording(
            state=RecordingState(row.seen_state),
            reason=Reason(row.seen_reason) if row.seen_reason else None,
            duration_ms=audio.duration_ms,
            parts=audio.parts,
            speech=audio.speech,
        ),
        expires_at=expires_at,
        legal_hold=row.legal_hold,
        live=live,
        names=names,
        viewer=viewer,
    )

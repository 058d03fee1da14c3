"""Calls that are merged into others. A merge into a call of another domain is none."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Row, Select, select
from sqlalchemy.ext.asyncio import AsyncConnection

from store.database.schema import calls, domains, pbxs
from store.intake.row_ids import possible_ids
from store.selection.scope import without_index

_DOMAIN: Final = select(domains.c.name).where(domains.c.id == calls.c.domain_id).correlate(calls).scalar_subquery()
MERGE_COLUMNS: Final = (
    calls.c.public_id,
    calls.c.domain_id,
    calls.c.merged_into,
    pbxs.c.name.label("pbx"),
    _DOMAIN.label("domain_name"),
)
"""The columns that `merge_chains` reads."""

_AT_A_TIME: Final = 1000


async def merge_chains(connection: AsyncConnection, rows: Sequence[Row[Any]]) -> list[tuple[Row[Any], ...]]:
    """Return for each row the calls into which its call is merged, in turn, the nearest first.

    The last one is the visible call, if there is any: a PBX may name a call that is not stored, or
    calls that are merged into each other. A call has `id`, `legal_hold` and MERGE_COLUMNS.
    """
    targets: dict[str, Row[Any]] = {}
    query: Select[Any] = select(calls.c.id, calls.c.legal_hold, *MERGE_COLUMNS).join(pbxs, pbxs.c.id == calls.c.pbx_id)
    begun: Sequence[Row[Any]] = rows
    asked = set[str]()
    while wanted := sorted({target for row in begun for target in _targets(row)} - asked):
        begun, asked = [], asked | set(wanted)
        for start in range(0, len(wanted), _AT_A_TIME):
            chunk = calls.c.public_id.in_(wanted[start : start + _AT_A_TIME])
            begun += (await connection.execute(query.where(chunk))).all()
        targets |= {row.public_id: row for row in begun}
    return [_chain(row, targets) for row in rows]


async def with_merged(connection: AsyncConnection, domain_id: int, keys: Sequence[int]) -> list[int]:
    """Return calls of a domain, by key, and the calls of it that are merged into them."""
    columns = (calls.c.id, calls.c.pbx_id, calls.c.linkedid, calls.c.merged_into)
    by_key = select(*columns).where(calls.c.id.in_(keys), without_index(calls.c.domain_id) == domain_id)
    rows = list((await connection.execute(by_key)).all())
    found = {row.id for row in rows}
    while rows:
        targets = {(row.pbx_id, row.linkedid) for row in rows}
        into = calls.c.merged_into.in_({linkedid for _, linkedid in targets})
        merged = await connection.execute(select(*columns).where(calls.c.domain_id == domain_id, into))
        rows = [row for row in merged if (row.pbx_id, row.merged_into) in targets and row.id not in found]
        found |= {row.id for row in rows}
    return sorted(found)


def is_visible(call: Row[Any], chain: Sequence[Row[Any]]) -> bool:
    """Whether a call, or the call into which it is merged in the end, is in the list of calls."""
    return (chain[-1] if chain else call).merged_into is None


def _targets(row: Row[Any]) -> tuple[str, ...]:
    """Return the ids that the domain's row of the call may have into which a call is merged."""
    return possible_ids(row.pbx, row.merged_into, row.domain_name) if row.merged_into is not None else ()


def _chain(row: Row[Any], targets: dict[str, Row[Any]]) -> tuple[Row[Any], ...]:
    chain: dict[str, Row[Any]] = {}
    call = row
    while (target := _of_domain(row.domain_id, targets, call)) is not None:
        if target.public_id in chain:
            break
        chain[target.public_id] = call = target
    return tuple(chain.values())


def _of_domain(domain_id: int, targets: dict[str, Row[Any]], call: Row[Any]) -> Row[Any] | None:
    found = (targets[target] for target in _targets(call) if target in targets)
    return next((target for target in found if target.domain_id == domain_id), None)

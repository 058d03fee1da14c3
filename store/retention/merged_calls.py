"""Calls that are merged into others. A merge into a call of another domain is none."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Row, Select, select
from sqlalchemy.ext.asyncio import AsyncConnection

from fonoteka.core.naming import call_id
from store.database.schema import calls, pbxs
from store.selection.scope import without_index

MERGE_COLUMNS: Final = (calls.c.public_id, calls.c.domain_id, calls.c.merged_into, pbxs.c.name.label("pbx"))
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
    while wanted := sorted({target for row in begun if (target := _target(row)) is not None} - targets.keys()):
        begun = []
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


def _target(row: Row[Any]) -> str | None:
    return call_id(row.pbx, row.merged_into) if row.merged_into is not None else None


def _chain(row: Row[Any], targets: dict[str, Row[Any]]) -> tuple[Row[Any], ...]:
    chain: dict[str, Row[Any]] = {}
    call = row
    while (target := targets.get(_target(call) or "")) is not None and target.domain_id == row.domain_id:
        if target.public_id in chain:
            break
        chain[target.public_id] = call = target
    return tuple(chain.values())

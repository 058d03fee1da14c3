"""Legal hold: a call under legal hold is kept whatever its age, and no report changes it.

A held call that is still in progress is completed (`store.intake.bounds.FROZEN`).
"""

from datetime import datetime
from typing import Any

from sqlalchemy import Select, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from store.audit.write import Actor, write_entry
from store.database.schema import calls, domains, pbxs
from store.database.signals import Signal, SignalKind, publish
from store.database.store import Store
from store.retention.merged_calls import MERGE_COLUMNS, merge_chains
from store.selection.scope import Scope, visible_calls


async def set_legal_hold(
    store: Store, scope: Scope, public_id: str, *, legal_hold: bool, why: str, by: Actor, now: datetime
) -> str | None:
    """Put a call under legal hold or release it; return its public id.

    For a call that was merged into another one, it is that call which is held or released. Returns
    None if the scope has no such call. The audit gets an entry if this changes the call, or if a
    reason is given.
    """
    visible = visible_calls(scope)
    query = select(calls.c.id, calls.c.legal_hold).select_from(visible.source)
    async with store.writing() as connection:
        # Reports are written under this lock: none that began before changes the call afterwards.
        await connection.execute(select(domains.c.id).where(domains.c.id == scope.domain_id).with_for_update(key_share=True))
        public_id = await _shown(connection, scope.domain_id, public_id)
        query = query.where(visible.condition, calls.c.public_id == public_id)
        call = (await connection.execute(query.with_for_update(of=calls))).first()
        if call is None:
            return None
        if call.legal_hold != legal_hold:
            await connection.execute(update(calls).where(calls.c.id == call.id).values(legal_hold=legal_hold))
            publish(connection, Signal(kind=SignalKind.CALL, of=scope.domain_id, what=public_id))
        if call.legal_hold != legal_hold or why:
            action, detail = "held" if legal_hold else "released", {"note": why} if why else {}
            await write_entry(connection, scope, by, action=action, subject=public_id, detail=detail, now=now)
    return public_id


async def _shown(connection: AsyncConnection, domain_id: int, public_id: str) -> str:
    """Return the public id of the last call into which a call was merged, else of the call."""
    query: Select[Any] = select(*MERGE_COLUMNS).join(pbxs, pbxs.c.id == calls.c.pbx_id)
    query = query.where(calls.c.domain_id == domain_id, calls.c.public_id == public_id)
    rows = (await connection.execute(query)).all()
    for chain in await merge_chains(connection, rows):
        if chain:
            return str(chain[-1].public_id)
    return public_id

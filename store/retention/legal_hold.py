"""Legal hold: a call under legal hold is kept whatever its age."""

from datetime import datetime

from sqlalchemy import select, update

from store.audit.write import Actor, write_entry
from store.database.schema import calls
from store.database.store import Store
from store.selection.scope import Scope, visible_calls


async def set_legal_hold(
    store: Store, scope: Scope, public_id: str, *, legal_hold: bool, why: str, by: Actor, now: datetime
) -> bool:
    """Put a call under legal hold or release it; return False if the scope has no such call.

    The audit gets an entry if this changes the call, or if a reason is given.
    """
    visible = visible_calls(scope)
    query = select(calls.c.id, calls.c.legal_hold).select_from(visible.source)
    query = query.where(visible.condition, calls.c.public_id == public_id)
    async with store.writing() as connection:
        call = (await connection.execute(query.with_for_update(of=calls))).first()
        if call is None:
            return False
        if call.legal_hold != legal_hold:
            await connection.execute(update(calls).where(calls.c.id == call.id).values(legal_hold=legal_hold))
        if call.legal_hold != legal_hold or why:
            action, detail = "held" if legal_hold else "released", {"note": why} if why else {}
            await write_entry(connection, scope, by, action=action, subject=public_id, detail=detail, now=now)
    return True

"""Legal hold: a call under legal hold is kept whatever its age, and no report changes it.

A held call that is still in progress is completed (`store.intake.bounds.FROZEN`).
"""

from datetime import datetime

from sqlalchemy import select, update

from store.audit.write import Actor, write_entry
from store.database.schema import calls, domains
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
        # Reports are written under this lock: none that began before changes the call afterwards.
        await connection.execute(select(domains.c.id).where(domains.c.id == scope.domain_id).with_for_update(key_share=True))
        call = (await connection.execute(query.with_for_update(of=calls))).first()
        if call is None:
            return False
        if call.legal_hold != legal_hold:
            await connection.execute(update(calls).where(calls.c.id == call.id).values(legal_hold=legal_hold))
        if call.legal_hold != legal_hold or why:
            action, detail = "held" if legal_hold else "released", {"note": why} if why else {}
            await write_entry(connection, scope, by, action=action, subject=public_id, detail=detail, now=now)
    return True

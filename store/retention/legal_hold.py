"""Legal hold: a call that is held is kept whatever its age."""

from datetime import datetime

from sqlalchemy import select, update

from store.audit.write import Actor, note
from store.database.schema import calls
from store.database.store import Store
from store.selection.scope import Scope, visible_calls


async def set_hold(store: Store, scope: Scope, public_id: str, *, hold: bool, why: str, by: Actor, now: datetime) -> bool:
    """Hold a call or let it go, and say so in the audit; False if there is no such call inside the scope.

    What is already so is noted again only if a reason is given.
    """
    visible = visible_calls(scope)
    mine = (
        select(calls.c.id, calls.c.legal_hold).select_from(visible.source).where(visible.condition, calls.c.public_id == public_id)
    )
    async with store.writing() as connection:
        call = (await connection.execute(mine.with_for_update(of=calls))).first()
        if call is None:
            return False
        if call.legal_hold != hold:
            await connection.execute(update(calls).where(calls.c.id == call.id).values(legal_hold=hold))
        if call.legal_hold != hold or why:
            action = "held" if hold else "released"
            await note(connection, scope, by, action=action, subject=public_id, detail={"note": why} if why else {}, now=now)
    return True

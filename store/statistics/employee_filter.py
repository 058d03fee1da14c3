"""The filter `employee`: a part of a user's name or login, resolved to logins.

A company has few users and many calls: no text is searched in calls.
"""

from dataclasses import replace
from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from store.database.counter_tables import group_counters
from store.database.schema import users
from store.intake.counters import GroupKind, Unit
from store.selection.scope import Scope
from store.selection.selection import Selection

_NO_LOGIN: Final = ""  # no login is empty


async def resolve_employee_filter(connection: AsyncConnection, scope: Scope, selection: Selection) -> Selection:
    """Replace `employee` by the logins it matches, those of former users included.

    Counters name every login that ever had a call. Python folds the case of all alphabets.
    """
    if not selection.employee:
        return selection
    piece, t = selection.employee.casefold(), group_counters.c
    user_rows = await connection.execute(select(users.c.login, users.c.name).where(users.c.domain_id == scope.domain_id))
    of_users = (t.domain_id == scope.domain_id) & (t.kind == GroupKind.USER.value) & (t.unit == Unit.MONTH.value)
    counter_rows = await connection.execute(select(t.name).where(of_users).distinct())
    logins = {row.login for row in user_rows if piece in row.login.casefold() or piece in row.name.casefold()}
    logins |= {row.name for row in counter_rows if piece in row.name.casefold()}
    if selection.employee_logins:
        logins &= set(selection.employee_logins)
    return replace(selection, employee=None, employee_logins=tuple(sorted(logins)) or (_NO_LOGIN,))

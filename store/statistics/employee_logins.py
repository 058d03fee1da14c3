"""Which employees a piece of a name or login stands for: of a company they are few, where its calls are many."""

from dataclasses import replace
from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from store.database.counter_tables import group_counters
from store.database.schema import users
from store.intake.counters import Kind, Unit
from store.selection.scope import Scope
from store.selection.selection import Selection

_NOBODY: Final = ""  # no login is empty


async def named_by_login(connection: AsyncConnection, scope: Scope, selection: Selection) -> Selection:
    """The same selection with the logins that `employee` stands for, those of people who have left among them.

    Python folds every alphabet, and the figures that are kept name everybody who ever had a call.
    """
    if not selection.employee:
        return selection
    piece, t = selection.employee.casefold(), group_counters.c
    there = await connection.execute(select(users.c.login, users.c.name).where(users.c.domain_id == scope.domain_id))
    of_employees = (t.domain_id == scope.domain_id) & (t.kind == Kind.EMPLOYEE.value) & (t.unit == Unit.MONTH.value)
    called = await connection.execute(select(t.name).where(of_employees).distinct())
    logins = {row.login for row in there if piece in row.login.casefold() or piece in row.name.casefold()}
    logins |= {row.name for row in called if piece in row.name.casefold()}
    if selection.employee_logins:
        logins &= set(selection.employee_logins)
    return replace(selection, employee=None, employee_logins=tuple(sorted(logins)) or (_NOBODY,))

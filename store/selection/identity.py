"""The row that a name meant when a call began. Rows of domains and users are never revived.

If the name of a removed domain or user is given again, a new row is added. The rows of one name
divide the time between them without a gap: a call, which names a domain and logins only, is of the
row in whose time it began (`valid_from` to before `valid_until`). The first row has every call from
before, the last one every call to come.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, or_

from store.database.schema import users


def user_at(domain_id: ColumnElement[Any], login: ColumnElement[Any], moment: ColumnElement[datetime]) -> ColumnElement[bool]:
    """Return the condition for the row of `users` that a login meant at a moment."""
    ends_later = or_(users.c.valid_until.is_(None), moment < users.c.valid_until)
    return and_(users.c.domain_id == domain_id, users.c.login == login, users.c.valid_from <= moment, ends_later)

"""Where a page begins, as text for an address: opaque to clients, checked when it comes back."""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from store.audit.read import AuditPlace
from store.database.schema import instant, milliseconds
from store.queries.page_keys import Place
from store.selection.selection import Sort

_Int64 = Annotated[int, Field(ge=-(2**63), lt=2**63)]


_Milliseconds = Annotated[int, Field(ge=0, lt=2**43)]
_NOT_OURS: Final = "is not a cursor that an answer gave"
M = TypeVar("M", bound=BaseModel)


class _WrittenEntry(BaseModel):
    model_config = ConfigDict(extra="forbid")

    at: _Milliseconds
    entry: _Int64
    now: _Milliseconds


@dataclass(frozen=True, kw_only=True, slots=True)
class PlaceInAudit:
    """Where a page of the audit begins, and the time of the first page, whose "today" is the later pages' too."""

    place: AuditPlace
    now: datetime


class _Written(BaseModel):
    model_config = ConfigDict(extra="forbid")

    sort: Sort
    value: _Int64
    call: _Int64
    now: _Milliseconds


def written(place: Place) -> str:
    """A place as a cursor."""
    return _encoded({"sort": place.sort, "value": place.value, "call": place.call_id, "now": milliseconds(place.now)})


def written_entry(place: AuditPlace, now: datetime) -> str:
    """A place in the audit as a cursor."""
    return _encoded({"at": milliseconds(place.at), "entry": place.id, "now": milliseconds(now)})


def read_entry(cursor: str) -> PlaceInAudit:
    """A cursor as the place in the audit it stands for. Raises ValueError if it is none of ours."""
    found = _decoded(cursor, _WrittenEntry)
    return PlaceInAudit(place=AuditPlace(at=instant(found.at), id=found.entry), now=instant(found.now))


def read(cursor: str, sort: Sort) -> Place:
    """A cursor as the place it stands for. Raises ValueError if it is none of ours, or of another order."""
    found = _decoded(cursor, _Written)
    if found.sort is not sort:
        raise ValueError(f"belongs to sort={found.sort}")
    return Place(sort=found.sort, value=found.value, call_id=found.call, now=instant(found.now))


def _encoded(content: Mapping[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(content, separators=(",", ":")).encode()).decode().rstrip("=")


def _decoded(cursor: str, shape: type[M]) -> M:
    try:
        return shape.model_validate_json(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, ValidationError, ValueError):
        raise ValueError(_NOT_OURS) from None

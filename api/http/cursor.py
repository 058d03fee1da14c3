"""Encode the start of a page as an opaque cursor, and check cursors that clients send back."""

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
_INVALID: Final = "is not a cursor that an answer gave"
M = TypeVar("M", bound=BaseModel)


class _AuditCursor(BaseModel):
    model_config = ConfigDict(extra="forbid")

    at: _Milliseconds
    entry: _Int64
    now: _Milliseconds


@dataclass(frozen=True, kw_only=True, slots=True)
class PlaceInAudit:
    """The start of a page of the audit; `now` is the time of the first page, for "today"."""

    place: AuditPlace
    now: datetime


class _CallsCursor(BaseModel):
    model_config = ConfigDict(extra="forbid")

    sort: Sort
    value: _Int64
    call: _Int64
    now: _Milliseconds


def encode(place: Place) -> str:
    """Return a place as a cursor."""
    return _encoded({"sort": place.sort, "value": place.value, "call": place.call_id, "now": milliseconds(place.now)})


def encode_audit(place: AuditPlace, now: datetime) -> str:
    """Return a place in the audit as a cursor."""
    return _encoded({"at": milliseconds(place.at), "entry": place.id, "now": milliseconds(now)})


def decode_audit(cursor: str) -> PlaceInAudit:
    """Return the place in the audit of a cursor. Raises ValueError if the cursor is not valid."""
    content = _decoded(cursor, _AuditCursor)
    return PlaceInAudit(place=AuditPlace(at=instant(content.at), id=content.entry), now=instant(content.now))


def decode(cursor: str, sort: Sort) -> Place:
    """Return the place of a cursor. Raises ValueError if it is not valid, or of another order."""
    content = _decoded(cursor, _CallsCursor)
    if content.sort is not sort:
        raise ValueError(f"belongs to sort={content.sort}")
    return Place(sort=content.sort, value=content.value, call_id=content.call, now=instant(content.now))


def _encoded(content: Mapping[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(content, separators=(",", ":")).encode()).decode().rstrip("=")


def _decoded(cursor: str, model: type[M]) -> M:
    try:
        return model.model_validate_json(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, ValidationError, ValueError):
        raise ValueError(_INVALID) from None

"""The buckets of domains in the index.

A domain's setting `objects` says where its new recordings go; a row says what a place in a key
means, and stays when the setting is changed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, inspect, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from fonoteka.core.config import StoreSection
from fonoteka.core.errors import IntakeDeferred, StoreError
from store.database.dialect import engine_for, index_file
from store.database.domain_keys import Transaction
from store.database.schema import domains, object_places


@dataclass(frozen=True, kw_only=True, slots=True)
class UsedPlace:
    """The place of the new recordings of a domain."""

    place: int
    domain: str
    address: str


class KnownPlaces:
    """All places, as `store.objects.routed` asks for them."""

    def __init__(self, reading: Transaction) -> None:
        self._reading = reading

    async def address_of(self, place: int) -> str:
        """Return the address of a place. Raises StoreError if there is none."""
        async with self._reading() as connection:
            query = select(object_places.c.objects).where(object_places.c.id == place)
            address: str | None = (await connection.execute(query)).scalar()
        if address is None:
            raise StoreError(f"the index knows no place {place} of objects")
        return address

    async def known(self) -> list[int]:
        """Return all places, in order."""
        async with self._reading() as connection:
            return list((await connection.execute(select(object_places.c.id).order_by(object_places.c.id))).scalars())


async def place_for(connection: AsyncConnection, domain_id: int) -> int | None:
    """Return the place of the new recordings of a domain; None: that of `store.objects`."""
    query = select(object_places.c.id).join(domains, _IS_USED).where(domains.c.id == domain_id)
    place: int | None = (await connection.execute(query)).scalar()
    return place


async def check_place(connection: AsyncConnection, domain_id: int, place: int | None) -> None:
    """Check, in the transaction that writes a recording, that its place is still the domain's.

    The domain is locked: a place that is no longer used gets no recording any more. Raises
    IntakeDeferred.
    """
    if await place_for(connection, domain_id) != place:
        raise IntakeDeferred("the domain's recordings go to another place from now on")


async def places_of(connection: AsyncConnection, domain_id: int) -> list[int]:
    """Return all places where recordings of a domain may be, but for that of `store.objects`."""
    query = select(object_places.c.id).where(object_places.c.domain_id == domain_id)
    return list((await connection.execute(query)).scalars())


async def used_places(connection: AsyncConnection) -> list[UsedPlace]:
    """Return the places of the new recordings of all domains that have one."""
    return [_used(row) for row in (await connection.execute(_used_places())).all()]


async def recorded_places(section: StoreSection) -> list[UsedPlace]:
    """Return these places of an index that is not opened as a store.

    Raises ConfigurationError and StoreError.
    """
    engine = engine_for(section.database, create=False)
    if (file := index_file(engine)) is not None and not file.exists():
        return []
    try:
        async with engine.connect() as connection:
            has_table = await connection.run_sync(lambda on: inspect(on).has_table(object_places.name))
            return await used_places(connection) if has_table else []
    except (SQLAlchemyError, OSError) as error:
        raise StoreError(f"store.database cannot be read: {getattr(error, 'orig', None) or error}") from error
    finally:
        await engine.dispose()


_IS_USED: ColumnElement[bool] = and_(object_places.c.domain_id == domains.c.id, object_places.c.objects == domains.c.objects)


def _used_places() -> Select[Any]:
    columns: Sequence[ColumnElement[Any]] = (object_places.c.id, domains.c.name, object_places.c.objects)
    query = select(*columns).join(domains, _IS_USED).where(domains.c.removed_at.is_(None))
    return query.order_by(domains.c.name)


def _used(row: Row[Any]) -> UsedPlace:
    return UsedPlace(place=row.id, domain=row.name, address=row.objects)

"""The buckets of domains, as `fonoteka apply` gets them: each is of one domain alone."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import uuid4

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from fonoteka.core.config import StoreSection
from fonoteka.core.errors import ConfigurationError, StoreError
from store.database.schema import domains, object_places
from store.database.store import Store
from store.objects.bucket_place import bucket_place, is_bucket
from store.provisioning.directory_file import WantedDirectory, WantedDomain


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """A bucket that a domain gets; `is_moved`: it had the bucket already, at another address."""

    objects: str
    mark: str
    is_moved: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class _Known:
    """A place of the index."""

    domain: str
    is_removed: bool
    objects: str
    mark: str


async def claim_buckets(store: Store, wanted: WantedDirectory) -> Mapping[str, Claim]:
    """Return the buckets that are new to the index, by domain, and mark them.

    Raises ConfigurationError with the file, the key and the value.
    """
    known = await _known(store)
    claims = dict[str, Claim]()
    for domain in wanted.domains:
        if domain.objects is None or any(_is_of(each, domain) and each.objects == domain.objects for each in known):
            continue
        try:
            claim = claims[domain.name] = await _claim(store, domain, domain.objects, known)
        except (StoreError, ConfigurationError) as error:
            where = f'{wanted.source}: domain "{domain.name}", objects = {domain.objects!r}'
            raise ConfigurationError(f"{where}: {error}") from error
        # Another domain of the file may name the same bucket in other words.
        known.append(_Known(domain=domain.name, is_removed=False, objects=claim.objects, mark=claim.mark))
    return claims


async def note_place(connection: AsyncConnection, domain_id: int, claim: Claim) -> None:
    """Write a claim into the index, in the transaction that changes the domain."""
    if claim.is_moved:
        moved = update(object_places).where(object_places.c.domain_id == domain_id, object_places.c.mark == claim.mark)
        await connection.execute(moved.values(objects=claim.objects))
    else:
        values = {"domain_id": domain_id, "objects": claim.objects, "mark": claim.mark}
        await connection.execute(insert(object_places).values(values))


async def _claim(store: Store, domain: WantedDomain, objects: str, known: Sequence[_Known]) -> Claim:
    """Look into a bucket, and mark it if it is new. Raises ConfigurationError and StoreError."""
    from store.objects import place_mark  # the S3 client takes half a second to import

    section = store.section
    if is_bucket(section.objects) and _bucket_of(objects, section) == _bucket_of(section.objects, section):
        raise ConfigurationError("this is the bucket of store.objects; name one that is the domain's alone")
    mark = await asyncio.to_thread(place_mark.read_mark, objects, section)
    owner = next((each for each in known if each.mark == mark), None)
    if owner is not None and _is_of(owner, domain):
        return Claim(objects=objects, mark=owner.mark, is_moved=True)
    if owner is not None:
        removed = ", which was removed: its recordings stay until they expire" if owner.is_removed else ""
        raise ConfigurationError(f'the bucket is of domain "{owner.domain}"{removed}; name another one')
    if not await asyncio.to_thread(place_mark.is_empty, objects, section):
        raise ConfigurationError("the bucket is not empty; name one that is this domain's alone")
    mark = uuid4().hex
    await asyncio.to_thread(place_mark.set_mark, objects, section, mark)
    return Claim(objects=objects, mark=mark, is_moved=False)


def _bucket_of(objects: str, section: StoreSection) -> tuple[str, str]:
    place = bucket_place(objects, section)
    return place.bucket, place.endpoint.lower()


async def _known(store: Store) -> list[_Known]:
    columns = (domains.c.name, domains.c.removed_at, object_places.c.objects, object_places.c.mark)
    async with store.reading() as connection:
        rows = (await connection.execute(select(*columns).join(domains, domains.c.id == object_places.c.domain_id))).all()
    return [_Known(domain=row.name, is_removed=row.removed_at is not None, objects=row.objects, mark=row.mark) for row in rows]


def _is_of(known: _Known, domain: WantedDomain) -> bool:
    return not known.is_removed and known.domain == domain.name

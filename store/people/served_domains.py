"""The domains that a PBX serves: its agent gets their settings, and reports calls of them only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from fonoteka.core.errors import ConfigurationError
from store.database.schema import domains, pbx_domains, pbxs, settings
from store.database.store import Store


class Serves(StrEnum):
    """Which domains a PBX serves.

    UNSET: all, because the PBX was registered before PBXs named their domains.
    """

    ALL = "all"
    NAMED = "named"
    UNSET = "unset"


@dataclass(frozen=True, kw_only=True, slots=True)
class ServedDomains:
    """The domains of a PBX: key by name, without removed domains; `named` has removed ones too."""

    serves: Serves
    ids: Mapping[str, int]
    named: frozenset[int]

    def allows(self, domain_id: int) -> bool:
        """Whether the PBX may report calls of a domain, of a removed one calls from before."""
        return self.serves is not Serves.NAMED or domain_id in self.named


@dataclass(frozen=True, kw_only=True, slots=True)
class RegisteredPbx:
    """A PBX and the names of its domains; None: all domains."""

    name: str
    serves: Serves
    domains: tuple[str, ...] | None


async def served_domains(connection: AsyncConnection, pbx_id: int, *, lock: bool = False) -> ServedDomains:
    """Return the domains that a PBX serves.

    With `lock` the PBX is locked until the transaction ends: its calls and its domains do not
    change meanwhile.
    """
    pbx = select(pbxs.c.serves).where(pbxs.c.id == pbx_id)
    serves = Serves((await connection.execute(pbx.with_for_update() if lock else pbx)).scalar_one())
    named = frozenset((await connection.execute(select(pbx_domains.c.domain_id).where(pbx_domains.c.pbx_id == pbx_id))).scalars())
    query = select(domains.c.name, domains.c.id).where(domains.c.removed_at.is_(None))
    present = {row.name: row.id for row in await connection.execute(query)}
    ids = {name: key for name, key in present.items() if serves is not Serves.NAMED or key in named}
    return ServedDomains(serves=serves, ids=ids, named=named)


async def set_served_domains(store: Store, name: str, domain_names: Sequence[str] | None) -> None:
    """Replace the domains of a PBX; None: all domains. Its agent then gets the new settings.

    Raises ConfigurationError if there is no such PBX or domain.
    """
    async with store.writing() as connection:
        await write_served_domains(connection, name, domain_names)
        await connection.execute(update(settings).values(version=settings.c.version + 1))


async def write_served_domains(connection: AsyncConnection, name: str, domain_names: Sequence[str] | None) -> None:
    """Write the domains of a PBX in the caller's transaction. Raises ConfigurationError."""
    pbx_id = (await connection.execute(select(pbxs.c.id).where(pbxs.c.name == name).with_for_update())).scalar()
    if pbx_id is None:
        raise ConfigurationError(f"no PBX {name!r} is registered: register it with `fonoteka pbx add`")
    present = select(domains.c.name, domains.c.id).where(domains.c.removed_at.is_(None))
    ids = {row.name: row.id for row in await connection.execute(present)}
    if unknown := sorted(set(domain_names or ()) - set(ids)):
        raise ConfigurationError(f"no domain {unknown[0]!r}: name it in the file that `fonoteka apply` takes, and apply it first")
    serves = Serves.ALL if domain_names is None else Serves.NAMED
    await connection.execute(update(pbxs).where(pbxs.c.id == pbx_id).values(serves=serves))
    await connection.execute(delete(pbx_domains).where(pbx_domains.c.pbx_id == pbx_id))
    if domain_names:
        rows = [{"pbx_id": pbx_id, "domain_id": ids[domain]} for domain in dict.fromkeys(domain_names)]
        await connection.execute(pbx_domains.insert(), rows)


async def registered_pbxs(store: Store) -> list[RegisteredPbx]:
    """Return all PBXs by name."""
    async with store.reading() as connection:
        rows = (await connection.execute(select(pbxs.c.id, pbxs.c.name, pbxs.c.serves).order_by(pbxs.c.name))).all()
        found = []
        for row in rows:
            served = await served_domains(connection, row.id)
            names = tuple(sorted(served.ids)) if served.serves is Serves.NAMED else None
            found.append(RegisteredPbx(name=row.name, serves=served.serves, domains=names))
    return found

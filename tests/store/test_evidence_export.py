"""`fonoteka evidence export`: the operator takes a call of any domain out."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select

from fonoteka.cli.evidence import export
from fonoteka.core.config import Configuration, StoreSection
from fonoteka.core.errors import ConfigurationError, ObjectDamaged, ObjectMissing
from fonoteka.core.naming import call_id
from store.audit.signing import AuditKey
from store.database.schema import audit
from store.database.store import Store
from store.evidence.verification import Verdict, examined
from store.intake.intake import upsert_calls
from store.people.accounts import Pbx
from tests.data import seed
from tests.support.stored_objects import objects_folder

CALL = seed.a_call(1, datetime(2026, 11, 22, 16, 43, 42, tzinfo=UTC))
ID = call_id("pbx1", CALL.linkedid)

pytestmark = pytest.mark.parametrize("section", ["sqlite"], indirect=True)


@pytest.fixture
async def configuration(store: Store, pbx: Pbx, section: StoreSection) -> AsyncIterator[Configuration]:
    """The configuration of a store with a recorded call."""
    await upsert_calls(store, pbx, [CALL])
    await seed.ship(store, pbx, CALL, (400,))
    yield Configuration(store=section)


async def test_the_operator_exports_a_call(store: Store, configuration: Configuration, tmp_path: Path) -> None:
    file = tmp_path / "call.zip"
    said = await export(configuration, ID, file)
    key = AuditKey.load(objects_folder(store).root.with_name("objects-audit.key"))
    assert "key SHA256:" in said
    assert file.stat().st_mode & 0o777 == 0o600
    assert [line for line in examined(file, key.public) if line.verdict is Verdict.DIFFERS] == []
    async with store.reading() as connection:
        entry = (await connection.execute(select(audit).where(audit.c.action == "evidence_exported"))).one()
    assert (entry.subject, entry.login) == (ID, "")
    with pytest.raises(ConfigurationError, match="exists already"):
        await export(configuration, ID, file)
    with pytest.raises(ConfigurationError, match="there is no call"):
        await export(configuration, "x", tmp_path / "other.zip")


async def test_a_damaged_call_is_not_exported(store: Store, configuration: Configuration, tmp_path: Path) -> None:
    (path,) = objects_folder(store).root.rglob("*.opus")
    folder = tmp_path / "out"
    folder.mkdir()
    for damage, error in ((lambda: path.write_bytes(path.read_bytes()[:-1]), ObjectDamaged), (path.unlink, ObjectMissing)):
        damage()
        with pytest.raises(error):
            await export(configuration, ID, folder / "call.zip")
        assert list(folder.iterdir()) == []

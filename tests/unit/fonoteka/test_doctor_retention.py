"""The doctor's look at retention, as an operator meets it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fonoteka.cli.doctor import retention as doctor
from fonoteka.cli.doctor.finding import Finding
from fonoteka.core.config import Configuration, StoreSection
from store.database.store import Store
from store.provisioning.apply import apply
from store.provisioning.directory_file import parse_directory
from tests.data import seed

DAYS = 180  # for which the seed's domain keeps audio


async def checked(section: StoreSection) -> list[Finding]:
    return [finding async for finding in doctor.check(Configuration(store=section))]


@pytest.mark.parametrize(("late_days", "ok"), [(-1.0, True), (1.0, True), (3.5, False)])
async def test_the_doctor_says_for_how_long_deletion_is_overdue(tmp_path: Path, late_days: float, ok: bool) -> None:
    section = seed.section(tmp_path)
    store = await Store.open(section)
    call = seed.a_call(1, datetime.now(UTC) - timedelta(days=DAYS + late_days))
    await seed.ship(store, await seed.seed(store, count=0), call, (1000,))
    await store.close()
    (finding,) = await checked(section)
    assert (finding.part, finding.check, finding.ok) == ("store", "retention", ok)
    assert ("waits for deletion since 3.5 days" in finding.detail) is not ok


@pytest.mark.parametrize(("most", "used", "ok"), [(1, "200%", False), (10, "20%", True)])
async def test_the_doctor_says_how_much_of_a_quota_is_used(tmp_path: Path, most: int, used: str, ok: bool) -> None:
    section = seed.section(tmp_path)
    store = await Store.open(section)
    pbx = await seed.seed(store, count=0)
    for number in range(2):
        await seed.ship(store, pbx, seed.a_call(number, datetime.now(UTC)), (1000,))
    directory = seed.DIRECTORY.replace('name = "acme"', f'name = "acme"\nquota_recordings = {most}', 1)
    await apply(store, parse_directory(directory, source="test"))
    await store.close()
    (_, finding) = await checked(section)
    assert (finding.check, finding.ok, finding.detail) == ("quota of acme", ok, f"{used} is used")


async def test_a_machine_without_the_index_gets_no_finding_and_no_index(tmp_path: Path) -> None:
    assert await checked(seed.section(tmp_path)) == []
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "fonoteka.db").touch()
    assert await checked(seed.section(tmp_path)) == []

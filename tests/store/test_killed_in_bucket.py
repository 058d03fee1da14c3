"""Work on recordings in S3, killed at any step and run again."""

from pathlib import Path

import pytest

from fonoteka.core.config import StoreSection
from tests.store.test_rekeying_killed import encrypt_existing, rotate
from tests.store.test_rekeying_killed import test_killed_and_run_again_it_is_complete as killed_and_run_again
from tests.support.dying import Work


@pytest.mark.parametrize("section", ["s3"], indirect=True)
@pytest.mark.parametrize("work", [encrypt_existing, rotate])
@pytest.mark.parametrize("kills", [2, pytest.param(50, marks=[pytest.mark.long, pytest.mark.timeout(3600)])])
async def test_recordings_are_encrypted(section: StoreSection, tmp_path: Path, work: Work, kills: int) -> None:
    await killed_and_run_again(section, tmp_path, work, kills)

"""One real Asterisk for all tests of this folder, which therefore share one event loop."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from lab.asterisk.rootfs import AsteriskProgram, find_or_build
from lab.asterisk.server import LabAsterisk
from lab.base.company import ACME, neighbour
from lab.tools.installation import Fonoteka, beside
from tests.pbx.scenario import Scenario
from tests.pbx.stage import Stage, play_all

NEIGHBOURS = tuple(map(neighbour, range(1, 9)))
RING_S = 6.0  # how long the dialplan of the shared PBX rings: a busy machine may be seconds late to pick a call up


@pytest.fixture(scope="session")
def program() -> AsteriskProgram:
    """The Asterisk to start: found, or built once."""
    return find_or_build()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def pbx(program: AsteriskProgram, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LabAsterisk]:
    """The PBX that tests share; one that is to be killed or reconfigured starts its own.

    ACME is there for tests that call one after another, its neighbours for those that call side by side.
    """
    async with LabAsterisk(program, tmp_path_factory.mktemp("pbx"), ACME, *NEIGHBOURS, ring_s=RING_S) as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def fonoteka(pbx: LabAsterisk, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Fonoteka]:
    """A whole Fonoteka beside the shared PBX."""
    async with beside(pbx, tmp_path_factory.mktemp("beside")) as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def stage(request: pytest.FixtureRequest, pbx: LabAsterisk, fonoteka: Fonoteka) -> Stage:
    """All scenarios that were asked for, played side by side."""
    tests = (item for item in request.session.items if isinstance(item, pytest.Function) and hasattr(item, "callspec"))
    asked_for = (test.callspec.params.get("scenario") for test in tests)
    return await play_all([each for each in asked_for if isinstance(each, Scenario)], pbx, fonoteka, NEIGHBOURS)

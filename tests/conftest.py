"""One Asterisk and one Fonoteka beside it for all tests that call; they share one event loop."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers
from hypothesis.internal.constants_ast import Constants

from lab.asterisk.rootfs import AsteriskProgram, find_or_build
from lab.asterisk.server import LabAsterisk
from lab.base.company import ACME, neighbour
from lab.tools.installation import Fonoteka, beside
from tests.support.call_flows import PlayedFlows, flows_of, play_all

# A client of httpx loads 140 certificate authorities when it is made, in 15 ms; no test asks them.
os.environ["SSL_CERT_FILE"] = str(Path(__file__).parent / "data" / "certificate_authority.pem")

# A property is judged by what it says, not by the speed of the machine. Each run of a commit checks
# the same examples; `--hypothesis-profile=new` looks for new ones. Hypothesis would also try the
# constants of all modules that are loaded: they depend on which tests ran before in the process.
providers._get_local_constants = Constants
settings.register_profile("at any speed", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("new", settings.get_profile("at any speed"), derandomize=False)
settings.load_profile("at any speed")

pytest_plugins = ["tests.support.new_stores", "tests.support.standing_still"]
NEIGHBOURS = tuple(map(neighbour, range(1, 9)))
# How long the dialplan of the shared PBX rings: a busy machine may be seconds late to pick a call
# up.
RING_S = 20.0


@pytest.fixture(scope="session")
def program() -> AsteriskProgram:
    """Find the Asterisk to start, or build it once."""
    return find_or_build()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def pbx(program: AsteriskProgram, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LabAsterisk]:
    """Start the PBX that tests share; a test that kills or reconfigures it uses a PBX of its own.

    ACME is there for tests that call one after another, its neighbours for those that call side by
    side.
    """
    async with LabAsterisk(program, tmp_path_factory.mktemp("pbx"), ACME, *NEIGHBOURS, ring_s=RING_S) as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def spare_pbx(program: AsteriskProgram, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LabAsterisk]:
    """Start a PBX that tests may reconfigure, restart and kill.

    They leave it running, configured as before.
    """
    async with LabAsterisk(program, tmp_path_factory.mktemp("spare"), ring_s=RING_S) as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def fonoteka(pbx: LabAsterisk, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Fonoteka]:
    """Run a Fonoteka beside the shared PBX.

    Its mixer does not yield to other processes of the machine.
    """
    async with beside(pbx, tmp_path_factory.mktemp("beside"), FONOTEKA_MIXER_URGENT="1") as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def flows(request: pytest.FixtureRequest, pbx: LabAsterisk, fonoteka: Fonoteka) -> PlayedFlows:
    """Play side by side all call flows that the collected tests read.

    Parameter `flow` or `scenario`, marker `flows`.
    """
    return await play_all(flows_of(request.session.items), pbx, fonoteka, NEIGHBOURS)


def pytest_configure(config: pytest.Config) -> None:
    """Name the marker."""
    config.addinivalue_line("markers", "flows(*names): call flows whose results the test reads")

"""Repeat a measurement that the machine has spoiled (pytest plugin, docs/decisions/0019).

Telephones send a packet each 20 ms. When the machine stops for a tenth of a second, a talk has a
gap that no program could have avoided, and lengths that are compared to a tenth of a second say
nothing. The lateness of the machine is measured beside each test of these folders. A test that
failed while it was more than that is run again, and the end of the run lists it. A fixture's value
that has `late_s` (the result of call flows, which many tests read) is made again for it. Every
other failure is final.
"""

import itertools
import time
from typing import Final

import pytest
from _pytest.fixtures import FixtureDef
from _pytest.runner import runtestprotocol

from lab.base.lateness import Lateness

TOO_LATE_S: Final = 0.1  # what lengths are compared to
MOST_TRIES: Final = 3
REAL_TIME: Final = ("tests/faults/", "tests/lab/", "tests/pbx/")  # the tests with telephones
_REPEATED: Final = pytest.StashKey[list[str]]()
_EVIDENCE_LATE_S: Final = pytest.StashKey[float]()
_LATENESS: Final = pytest.StashKey[Lateness]()


def pytest_sessionstart(session: pytest.Session) -> None:
    """Begin to measure."""
    session.config.stash[_LATENESS] = Lateness().__enter__()
    session.config.stash[_REPEATED] = []


def pytest_sessionfinish(session: pytest.Session) -> None:
    """End to measure."""
    session.config.stash[_LATENESS].__exit__(None, None, None)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    """Note how late the machine was while the test's evidence was made, as long as it is there."""
    item.stash[_EVIDENCE_LATE_S] = max(map(_late_s, _made_fixtures(item)), default=0.0)


@pytest.fixture(scope="session")
def lateness(pytestconfig: pytest.Config) -> Lateness:
    """The machine's own lateness, by which the lengths of talks may be off."""
    return pytestconfig.stash[_LATENESS]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Run the test until it passes, fails on a running machine, or has failed three times."""
    if not item.nodeid.startswith(REAL_TIME):
        return None  # pytest runs it
    lateness = item.config.stash[_LATENESS]
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for attempt in range(1, MOST_TRIES + 1):
        began = time.monotonic()
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
        late_s = max(lateness.allowance_s(began), item.stash.get(_EVIDENCE_LATE_S, 0.0))
        if late_s < TOO_LATE_S or attempt == MOST_TRIES or not any(report.failed for report in reports):
            break
        item.config.stash[_REPEATED].append(f"{item.nodeid}: the machine was {late_s:.2f} s late")
        _forget_spoiled_fixtures(item)
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """List what was run again."""
    for line in config.stash.get(_REPEATED, []):
        terminalreporter.write_line(f"REPEATED {line}")


def _made_fixtures(item: pytest.Item) -> list[FixtureDef[object]]:
    definitions = itertools.chain.from_iterable(getattr(item, "_fixtureinfo").name2fixturedefs.values())  # noqa: B009 (not public)
    return [fixture for fixture in definitions if fixture.cached_result is not None]


def _late_s(fixture: FixtureDef[object]) -> float:
    """How late the machine was while the evidence was made that a fixture holds (seconds)."""
    return float(getattr(fixture.cached_result and fixture.cached_result[0], "late_s", 0.0))


def _forget_spoiled_fixtures(item: pytest.Item) -> None:
    """Have fixtures of a wider scope made again: those that failed, those of a late machine.

    Pytest would keep the exception or the evidence.
    """
    getattr(item, "_initrequest")()  # noqa: B009 (not public)
    for fixture in _made_fixtures(item):
        assert fixture.cached_result is not None
        if fixture.cached_result[2] is not None or _late_s(fixture) >= TOO_LATE_S:
            fixture.finish(getattr(item, "_request"))  # noqa: B009 (not public)

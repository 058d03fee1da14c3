"""Repeat a measurement that the machine has spoiled (pytest plugin, docs/decisions/0019).

Telephones send a packet each 20 ms. When the machine stops for a second, a talk has a gap that no
program could have avoided, and the lengths and tones that a test measures say nothing. The lateness
of the machine is measured beside each test of these folders; a test that failed while it was more
than a second is run again, and the end of the run lists it. Every other failure is final.
"""

import time
from typing import Final

import pytest
from _pytest.runner import runtestprotocol

from lab.base.lateness import Lateness

TOO_LATE_S: Final = 1.0
MOST_TRIES: Final = 3
REAL_TIME: Final = ("tests/faults/", "tests/lab/", "tests/pbx/")  # the tests with telephones
_REPEATED: Final = pytest.StashKey[list[str]]()
_LATENESS: Final = pytest.StashKey[Lateness]()


def pytest_sessionstart(session: pytest.Session) -> None:
    """Begin to measure."""
    session.config.stash[_LATENESS] = Lateness().__enter__()
    session.config.stash[_REPEATED] = []


def pytest_sessionfinish(session: pytest.Session) -> None:
    """End to measure."""
    session.config.stash[_LATENESS].__exit__(None, None, None)


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
        stood_still = lateness.total_s(began) > TOO_LATE_S
        if not stood_still or attempt == MOST_TRIES or not any(report.failed for report in reports):
            break
        item.config.stash[_REPEATED].append(f"{item.nodeid}: the machine was {lateness.total_s(began):.1f} s late")
        _forget_failed_fixtures(item)
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """List what was run again."""
    for line in config.stash.get(_REPEATED, []):
        terminalreporter.write_line(f"REPEATED {line}")


def _forget_failed_fixtures(item: pytest.Item) -> None:
    """Have fixtures of a wider scope made again whose set-up failed.

    Pytest would raise the same exception again.
    """
    for definitions in getattr(item, "_fixtureinfo").name2fixturedefs.values():  # noqa: B009 (not public)
        for definition in definitions:
            if definition.cached_result is not None and definition.cached_result[2] is not None:
                definition.cached_result = None

"""Run a test again that failed while the machine stood still (pytest plugin).

Telephones, browsers and Asterisk keep real time. When the machine stops for a second (a snapshot, a
host that runs something else), a talk has a gap that no program could have avoided, and the test
says nothing. A machine that is slow, but runs, delays a thread by milliseconds: then a failure is a
failure.
"""

import time
from typing import Final

import pytest
from _pytest.runner import runtestprotocol

from lab.base.lateness import Lateness

TOO_LATE_S: Final = 1.0
MOST_TRIES: Final = 4
_LATENESS: Final = pytest.StashKey[Lateness]()


def pytest_sessionstart(session: pytest.Session) -> None:
    """Begin to measure."""
    session.config.stash[_LATENESS] = Lateness().__enter__()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """End to measure."""
    session.config.stash[_LATENESS].__exit__(None, None, None)


@pytest.fixture(scope="session")
def lateness(pytestconfig: pytest.Config) -> Lateness:
    """The machine's own lateness, by which the lengths of talks may be off."""
    return pytestconfig.stash[_LATENESS]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool:
    """Run the test until it passes, fails on a running machine, or has failed four times."""
    lateness = item.config.stash[_LATENESS]
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for attempt in range(1, MOST_TRIES + 1):
        began = time.monotonic()
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
        stood_still = lateness.total_s(began) > TOO_LATE_S
        if not stood_still or attempt == MOST_TRIES or not any(report.failed for report in reports):
            break
        item.user_properties.append(("run again: the machine stood still, seconds", f"{lateness.total_s(began):.1f}"))
        _forget_failed_fixtures(item)
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def _forget_failed_fixtures(item: pytest.Item) -> None:
    """Have fixtures of a wider scope made again whose set-up failed.

    Pytest would raise the same exception again.
    """
    for definitions in getattr(item, "_fixtureinfo").name2fixturedefs.values():  # noqa: B009 (not public)
        for definition in definitions:
            if definition.cached_result is not None and definition.cached_result[2] is not None:
                definition.cached_result = None

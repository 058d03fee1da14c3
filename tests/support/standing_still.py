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
        spoiled = _spoiled_fixtures(item)
        late_s = max(lateness.total_s(began), *map(_late_s, spoiled), 0.0)
        if late_s < TOO_LATE_S or attempt == MOST_TRIES or not any(report.failed for report in reports):
            break
        item.config.stash[_REPEATED].append(f"{item.nodeid}: the machine was {late_s:.2f} s late")
        _forget(item, spoiled)
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """List what was run again."""
    for line in config.stash.get(_REPEATED, []):
        terminalreporter.write_line(f"REPEATED {line}")


def _late_s(fixture: FixtureDef[object]) -> float:
    """How late the machine was while the evidence was made that a fixture holds (seconds)."""
    assert fixture.cached_result is not None
    return float(getattr(fixture.cached_result[0], "late_s", 0.0))


def _spoiled_fixtures(item: pytest.Item) -> list[FixtureDef[object]]:
    """Return the fixtures of a wider scope that failed, or that hold evidence of a late machine."""
    definitions = itertools.chain.from_iterable(getattr(item, "_fixtureinfo").name2fixturedefs.values())  # noqa: B009 (not public)
    made = [one for one in definitions if one.cached_result is not None]
    return [one for one in made if (one.cached_result and one.cached_result[2] is not None) or _late_s(one) >= TOO_LATE_S]


def _forget(item: pytest.Item, spoiled: list[FixtureDef[object]]) -> None:
    """Have fixtures made again, which pytest would keep with their exception or their evidence."""
    getattr(item, "_initrequest")()  # noqa: B009 (not public)
    for fixture in spoiled:
        fixture.finish(getattr(item, "_request"))  # noqa: B009 (not public)

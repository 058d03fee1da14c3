"""A test with telephones that fails while the machine stands still is run again."""

import pytest

pytest_plugins = ["pytester"]

COUNTS = "def test_it():\n    with open('runs', 'a') as runs: runs.write('x')\n    assert {passes}\n"
FAILS_ONCE = """
import pytest
made = []

@pytest.fixture(scope="session")
def wide():
    made.append(1)
    assert len(made) == 2

def test_it(wide):
    assert len(made) == 2
"""

SPOILED_ONCE = """
import pytest
made = []

class Evidence:
    def __init__(self, number):
        self.number, self.late_s = number, 5.0 if number == 1 else 0.0

@pytest.fixture(scope="session")
def flows():
    made.append(1)
    yield Evidence(len(made))

def test_it(flows):
    assert flows.number == 2
"""


def run(pytester: pytest.Pytester, folder: str, text: str) -> pytest.RunResult:
    """Run one test file of a folder with the plugin."""
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function")
    pytester.makeconftest('pytest_plugins = ["tests.support.standing_still"]')
    file = pytester.path / folder / "test_it.py"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    return pytester.runpytest_inprocess()


@pytest.mark.parametrize(
    ("folder", "late_s", "passes", "runs"),
    [
        ("tests/pbx", 5.0, False, 3),
        ("tests/pbx", 0.0, False, 1),
        ("tests/pbx", 5.0, True, 1),
        ("tests/api", 5.0, False, 1),
    ],
)
def test_runs(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, folder: str, late_s: float, passes: bool, runs: int
) -> None:
    monkeypatch.setattr("lab.base.lateness.Lateness.allowance_s", lambda *_: late_s)
    result = run(pytester, folder, COUNTS.format(passes=passes))
    result.assert_outcomes(**{"passed" if passes else "failed": 1})
    assert len((pytester.path / "runs").read_text()) == runs
    assert result.stdout.str().count("REPEATED") == runs - 1


def test_a_fixture_that_failed_is_made_again(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.base.lateness.Lateness.allowance_s", lambda *_: 5.0)
    run(pytester, "tests/pbx", FAILS_ONCE).assert_outcomes(passed=1)


def test_evidence_of_a_late_machine_is_made_again(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test itself ran on time; the call flows that it judges had not."""
    monkeypatch.setattr("lab.base.lateness.Lateness.allowance_s", lambda *_: 0.0)
    run(pytester, "tests/pbx", SPOILED_ONCE).assert_outcomes(passed=1)

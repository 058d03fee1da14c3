"""A test that fails while the machine stands still is run again; otherwise it runs once."""

import pytest

pytest_plugins = ["pytester"]


@pytest.mark.parametrize(("late_s", "runs", "outcome"), [(5.0, 4, "failed"), (0.0, 1, "failed"), (5.0, 1, "passed")])
def test_runs(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, late_s: float, runs: int, outcome: str) -> None:
    monkeypatch.setattr("lab.base.lateness.Lateness.total_s", lambda *_: late_s)
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function")
    pytester.makeconftest('pytest_plugins = ["tests.support.standing_still"]')
    pytester.makepyfile(f"def test_it():\n    with open('runs', 'a') as runs: runs.write('x')\n    assert {outcome == 'passed'}\n")
    result = pytester.runpytest_inprocess()
    result.assert_outcomes(**{outcome: 1})
    assert len((pytester.path / "runs").read_text()) == runs


def test_a_fixture_that_failed_is_made_again(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.base.lateness.Lateness.total_s", lambda *_: 5.0)
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function")
    pytester.makeconftest('pytest_plugins = ["tests.support.standing_still"]')
    pytester.makepyfile(
        """
        import pytest
        made = []

        @pytest.fixture(scope="session")
        def wide():
            made.append(1)
            assert len(made) == 2

        def test_it(wide):
            assert len(made) == 2
        """
    )
    pytester.runpytest_inprocess().assert_outcomes(passed=1)

"""The mixer's workers run at normal priority in its tests."""

import pytest


@pytest.fixture(autouse=True)
def _urgent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the workers from waiting for an idle processor: another load must not fail a test."""
    monkeypatch.setenv("FONOTEKA_MIXER_URGENT", "1")

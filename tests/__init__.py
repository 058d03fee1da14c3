import pytest

pytest.register_assert_rewrite("tests.support.audio_checks", "tests.support.scenario")

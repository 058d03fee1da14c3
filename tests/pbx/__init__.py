import pytest

pytest.register_assert_rewrite("tests.pbx.listening", "tests.pbx.scenario")

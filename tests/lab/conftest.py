"""The shared PBX, as in tests/pbx."""

from tests.pbx.conftest import pbx, program

__all__ = ["pbx", "program"]

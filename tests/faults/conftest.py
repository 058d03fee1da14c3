"""The shared PBX and a Fonoteka beside it, as in tests/pbx."""

from tests.pbx.conftest import fonoteka, pbx, program

__all__ = ["fonoteka", "pbx", "program"]

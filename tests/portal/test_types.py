"""The portal's types are those of the API as it is now.

CI fails where somebody changed one and not the other.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

from api.app import create_app
from fonoteka.core.config import Configuration

_PORTAL = Path(__file__).parents[2] / "portal"
_NODE = Path(sys.executable).parent


def test_the_description_is_the_apis_own() -> None:
    """Red?

    `python -m api.openapi > portal/openapi.json && cd portal && npm run types && npm run check`.
    """
    written = json.loads((_PORTAL / "openapi.json").read_text(encoding="utf-8"))
    assert written == json.loads(json.dumps(create_app(Configuration()).openapi()))


def test_the_types_are_the_descriptions_own(tmp_path: Path) -> None:
    """Red? As above."""
    fresh = tmp_path / "schema.d.ts"
    command = [str(_NODE / "npx"), "--no-install", "openapi-typescript", "openapi.json", "-o", str(fresh)]
    path = os.pathsep.join((str(_NODE), os.environ["PATH"]))
    subprocess.run(command, cwd=_PORTAL, env=os.environ | {"PATH": path}, check=True, capture_output=True)
    kept = _PORTAL / "src" / "api" / "schema.d.ts"
    assert kept.read_text(encoding="utf-8") == fresh.read_text(encoding="utf-8")

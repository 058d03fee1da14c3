"""Which package may import which (contracts: pyproject.toml), and what a command may load."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_imports_keep_the_contracts() -> None:
    """Import Linter finds no arrow upwards and no circle (`[tool.importlinter]`)."""
    program = Path(sys.executable).with_name("lint-imports")
    checked = subprocess.run([program, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize(
    ("module", "never"),
    [
        ("agent.app", ("sqlalchemy", "fastapi", "av", "numpy")),
        ("mixer.app", ("sqlalchemy", "fastapi", "panoramisk")),
        ("fonoteka.cli.main", ("sqlalchemy", "fastapi", "av", "numpy", "panoramisk", "httpx")),
    ],
)
def test_a_part_loads_nothing_it_does_not_need(module: str, never: tuple[str, ...]) -> None:
    """The agent on a PBX never loads SQLAlchemy; printing the help loads next to nothing."""
    script = f"import sys, {module}; print(*(name for name in {never!r} if name in sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == ""

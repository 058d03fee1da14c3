"""DESIGN's rule, held by a test: which folder may import which."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PARTS = {"fonoteka", "agent", "mixer", "store", "api", "lab"}
MAY_KNOW = {
    "fonoteka": set[str](),
    "agent": {"fonoteka"},
    "mixer": {"fonoteka"},
    "store": {"fonoteka"},
    "api": {"fonoteka", "store"},
    "lab": {"fonoteka"},
}
# The command line wires the parts together, and imports each only inside the command that needs it.
WIRING = {ROOT / "fonoteka" / "cli.py", *(ROOT / "fonoteka" / "commands").rglob("*.py")}


def imported(path: Path) -> set[str]:
    """The parts a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found & PARTS


@pytest.mark.parametrize("part", sorted(PARTS))
def test_a_part_knows_only_what_it_may(part: str) -> None:
    files = [path for path in (ROOT / part).rglob("*.py") if path not in WIRING]
    assert files
    strangers = {
        str(path.relative_to(ROOT)): sorted(unknown) for path in files if (unknown := imported(path) - MAY_KNOW[part] - {part})
    }
    assert not strangers


@pytest.mark.parametrize(
    ("module", "never"),
    [
        ("agent.app", ("sqlalchemy", "fastapi", "av", "numpy")),
        ("mixer.app", ("sqlalchemy", "fastapi", "panoramisk")),
        ("fonoteka.cli", ("sqlalchemy", "fastapi", "av", "numpy", "panoramisk", "httpx")),
    ],
)
def test_a_part_loads_nothing_it_does_not_need(module: str, never: tuple[str, ...]) -> None:
    """The agent on a PBX never loads SQLAlchemy; a look at the help loads next to nothing."""
    script = f"import sys, {module}; print(*(name for name in {never!r} if name in sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == ""

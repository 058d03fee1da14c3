"""Check that docs/manual-coverage.md covers every section, and names files and tests that exist."""

import ast
import re
from functools import cache
from pathlib import Path
from typing import Final

_ROOT: Final = Path(__file__).parents[2]
_TEXT: Final = (_ROOT / "docs" / "manual-coverage.md").read_text(encoding="utf-8")


def _rows() -> list[list[str]]:
    lines = [line for line in _TEXT.splitlines() if line.startswith("| «")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


@cache
def _tests_of(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    )


def test_every_section_is_there() -> None:
    sections = re.findall(r"^## ([IVX]+)\. ", _TEXT, flags=re.M)
    assert sections == ["I", "II", "III", "IV", "V", "VI", "VII", "VIII"]
    assert len(_rows()) > 40


def test_every_row_has_a_promise_a_file_and_a_test() -> None:
    assert [row[0] for row in _rows() if len(row) != 3 or "`" not in row[1] or "::test_" not in row[2]] == []


def test_every_file_exists() -> None:
    named = {name for row in _rows() for name in re.findall(r"`([^`]+)`", row[1])}
    assert {name for name in named if not (_ROOT / name).is_file()} == set()


def test_every_test_exists() -> None:
    named = {name for row in _rows() for name in re.findall(r"`([^`]+)`", row[2])}
    missing = set()
    for name in named:
        file, _, test = name.partition("::")
        path = _ROOT / file
        if not path.is_file() or test not in _tests_of(path):
            missing.add(name)
    assert missing == set()

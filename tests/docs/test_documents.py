"""Check all Markdown pages: links, paths, line lengths, and the form of decisions."""

import re
from functools import cache
from pathlib import Path
from typing import Final

import pytest

_ROOT: Final = Path(__file__).parents[2]
_DECISIONS: Final = _ROOT / "docs" / "decisions"
_LONGEST_LINE: Final = 100
_MOST_LINES_OF_A_DECISION: Final = 60
_HEADINGS: Final = ("Context", "Decision", "Measurement", "Consequences")
_STATUS: Final = re.compile(r"^- Status: (accepted|superseded in part|superseded by \[\d{4}\]\(\d{4}-[\w-]+\.md\))$", re.M)
_FOLDERS: Final = (
    "agent",
    "api",
    "asterisk_conf",
    "bench",
    "deploy",
    "docs",
    "fonoteka",
    "lab",
    "mixer",
    "portal",
    "store",
    "tests",
)
_PAGES: Final = sorted(
    path
    for path in (*_ROOT.glob("*.md"), *(_ROOT / "docs").rglob("*.md"), *(_ROOT / "asterisk_conf").rglob("*.md"))
    if path.name != "LICENSE.md"
)
_DECISION_PAGES: Final = sorted(_DECISIONS.glob("[0-9]*.md"))


def _name(page: Path) -> str:
    return page.relative_to(_ROOT).as_posix()


_EACH_PAGE: Final = pytest.mark.parametrize("page", _PAGES, ids=_name)
_EACH_DECISION: Final = pytest.mark.parametrize("page", _DECISION_PAGES, ids=lambda page: page.stem)


@cache
def _text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def _without_code(text: str) -> str:
    """The text without fenced code blocks."""
    return re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)


def _anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives to the headings of a page."""
    heads = re.findall(r"^#+ (.+)$", _text(page), flags=re.M)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@_EACH_PAGE
def test_relative_links_resolve(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`\n]*`", "", _without_code(_text(page)))):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        there = (page.parent / file).resolve() if file else page
        assert there.exists(), target
        assert not anchor or anchor in _anchors(there), target


@_EACH_PAGE
def test_lines_are_at_most_100_columns(page: Path) -> None:
    """Tables, code, pictures, headings and the addresses of links are exempt."""
    long = [
        line
        for line in _without_code(_text(page)).splitlines()
        if len(line) > _LONGEST_LINE and not line.startswith(("|", "    ", "#", "![")) and not _fits_without_addresses(line)
    ]
    assert long == []


def _fits_without_addresses(line: str) -> bool:
    return len(re.sub(r"\]\([^)]*\)", "]", line)) <= _LONGEST_LINE


def _paths(text: str) -> set[str]:
    """Paths of this repository in backquotes: with a folder in front, or a file at the root."""
    folders = "|".join(_FOLDERS)
    found = re.findall(rf"`((?:{folders})/[\w./-]*)`", text)
    return {path for path in found if "NNNN" not in path}


@pytest.mark.parametrize("page", [_ROOT / "ARCHITECTURE.md", _ROOT / "CONTRIBUTING.md", _ROOT / "SECURITY.md"], ids=_name)
def test_paths_in_backquotes_exist(page: Path) -> None:
    paths = _paths(_text(page))
    assert paths
    assert {path for path in paths if not (_ROOT / path).exists()} == set()


@pytest.mark.parametrize("page", _PAGES, ids=_name)
def test_python_files_in_backquotes_exist(page: Path) -> None:
    named = {path for path in _paths(_text(page)) if path.endswith(".py")}
    assert {path for path in named if not (_ROOT / path).is_file()} == set()


@pytest.mark.parametrize("page", [_ROOT / "ARCHITECTURE.md", _ROOT / "CONTRIBUTING.md"], ids=_name)
def test_names_said_to_be_in_a_file_are_there(page: Path) -> None:
    """`name` in `path/file.py`, and `path/file.py`, `name`."""
    text = re.sub(r"\s+", " ", _text(page))
    pairs = [(name, file) for name, file in re.findall(r"`(\w+)` in `([\w./-]+\.\w+)`", text)]
    pairs += [(name, file) for file, name in re.findall(r"`([\w./-]+/[\w-]+\.\w+)`, `(\w+)`", text)]
    files = {(name, file): _ROOT / file for name, file in pairs}
    assert [pair for pair, file in files.items() if file.is_file() and pair[0] not in _text(file)] == []


def test_targets_of_make_exist() -> None:
    targets = set(re.findall(r"^([\w-]+):", _text(_ROOT / "Makefile"), flags=re.M))
    named = {name for page in _PAGES for name in re.findall(r"(?:`|^    )make ([\w-]+)", _text(page), flags=re.M)}
    assert named
    assert named <= targets


@_EACH_DECISION
def test_every_decision_follows_the_template(page: Path) -> None:
    text = _text(page)
    assert re.match(rf"# {int(page.name[:4])} · \S", text), "the heading"
    assert _STATUS.search(text), "the status"
    assert re.search(r"^- Date: \d{4}-\d{2}(-\d{2})?$", text, flags=re.M), "the date"
    assert tuple(re.findall(r"^## (.+)$", text, flags=re.M)) == _HEADINGS
    assert len(text.splitlines()) <= _MOST_LINES_OF_A_DECISION, "one screen; measurements in full belong in the appendix"


def test_every_decision_is_in_the_index_in_order() -> None:
    index = _text(_DECISIONS / "README.md")
    rows = re.findall(r"^\| (\d+) \| \[[^\]]+\]\((\d{4}-[\w-]+\.md)\) \|", index, flags=re.M)
    assert [name for _, name in rows] == [page.name for page in _DECISION_PAGES]
    assert [int(number) for number, _ in rows] == sorted({int(number) for number, _ in rows})
    assert [int(name[:4]) for _, name in rows] == [int(number) for number, _ in rows]


def test_the_code_names_decisions_that_exist() -> None:
    parts = ("agent", "api", "mixer", "store", "fonoteka", "lab", "bench", "tests", "asterisk_conf", "deploy")
    files = [path for part in parts for path in (_ROOT / part).rglob("*") if path.suffix in {".py", ".conf", ".yml", ".service"}]
    named = {
        name for path in files if "static" not in path.parts for name in re.findall(r"decisions/(\d{4}-[\w-]+\.md)", _text(path))
    }
    assert named
    assert {name for name in named if not (_DECISIONS / name).is_file()} == set()

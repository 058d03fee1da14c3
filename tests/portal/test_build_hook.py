"""When the portal is built, and when what is there is taken as it is.

The build itself is tried by `pip install .`.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from portal import build_hook
from portal.build_hook import STAMP, PortalNotBuilt, build_portal, hash_of


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A small project with the sources of a portal."""
    for name, text in {"package.json": "{}", "index.html": "<html>", "src/main.ts": "1", "src/calls/row.ts": "2"}.items():
        file = tmp_path / "portal" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return tmp_path


@pytest.fixture
def ran(root: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The npm commands that were run; the build leaves an index.html."""
    said: list[str] = []

    def npm(_portal: Path, *arguments: str) -> None:
        said.append(arguments[0])
        if arguments[0] == "run":
            (root / "api" / "static").mkdir(parents=True, exist_ok=True)
            (root / "api" / "static" / "index.html").write_text("<html>")

    monkeypatch.setattr(build_hook, "_npm", npm)
    return said


def test_it_is_built_once_for_the_same_sources(root: Path, ran: list[str]) -> None:
    assert [build_portal(root), build_portal(root)] == [True, False]
    assert ran == ["ci", "run"]


def _edit(root: Path) -> None:
    (root / "portal" / "src" / "main.ts").write_text("3")


def _rename(root: Path) -> None:
    (root / "portal" / "src" / "main.ts").rename(root / "portal" / "src" / "first.ts")


def _lose(root: Path) -> None:
    (root / "api" / "static" / "index.html").unlink()


def _unstamp(root: Path) -> None:
    (root / "api" / "static" / STAMP).unlink()


@pytest.mark.parametrize("change", [_edit, _rename, _lose, _unstamp])
def test_it_is_built_again_after_a_change(root: Path, ran: list[str], change: Callable[[Path], None]) -> None:
    build_portal(root)
    change(root)
    assert build_portal(root)
    assert ran == ["ci", "run"] * 2


def test_what_npm_leaves_behind_is_no_source(root: Path) -> None:
    before = hash_of(root / "portal")
    (root / "portal" / "node_modules").mkdir()
    (root / "portal" / "node_modules" / "left.js").write_text("4")
    assert hash_of(root / "portal") == before


def test_tests_are_no_source(root: Path) -> None:
    before = hash_of(root / "portal")
    (root / "portal" / "src" / "main.test.ts").write_text("5")
    (root / "portal" / "src" / "testing").mkdir()
    (root / "portal" / "src" / "testing" / "call.ts").write_text("6")
    assert hash_of(root / "portal") == before


def test_a_built_portal_without_sources_is_taken_as_it_is(root: Path, ran: list[str]) -> None:
    (root / "portal" / "package.json").unlink()
    with pytest.raises(PortalNotBuilt, match="neither the portal's sources"):
        build_portal(root)
    (root / "api" / "static").mkdir(parents=True)
    (root / "api" / "static" / "index.html").write_text("<html>")
    assert not build_portal(root)
    assert ran == []

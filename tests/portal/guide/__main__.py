"""`python -m tests.portal.guide [NAME …]`.

Take the guides' pictures, all or those named, into docs/pictures.
"""

import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, get_args

from playwright.sync_api import Browser, BrowserContext, Locator, Page, ViewportSize, expect, sync_playwright

from tests.portal.browser import CHROMIUM, FLAGS
from tests.portal.guide.office import MOMENT, open_office
from tests.portal.guide.scenes import AT_A_DESK, FOR_THE_README, ON_A_PHONE, Language, Shot, Stage, at_the_door, enter, help_wanted
from tests.portal.guide.shrink import kept_small
from tests.portal.served import Served

PICTURES: Final = Path(__file__).parents[3] / "docs" / "pictures"
_DESK: Final[ViewportSize] = {"width": 1440, "height": 860}
_DRAWN: Final = "() => document.fonts.ready.then(() => new Promise(done => setTimeout(() => requestAnimationFrame(done), 300)))"
_PHONE: Final[ViewportSize] = {"width": 390, "height": 760}


def _window(browser: Browser, served: Served, language: Language, size: ViewportSize) -> BrowserContext:
    context = browser.new_context(
        base_url=served.address,
        viewport=size,
        locale="ru-RU" if language == "ru" else "en-US",
        color_scheme="light",
        reduced_motion="reduce",
        timezone_id="Asia/Krasnoyarsk",
    )
    context.clock.set_fixed_time(MOMENT)
    return context


def _take(page: Page, shot: Shot, path: Path) -> None:
    page.mouse.move(2, 2)  # over nothing
    page.evaluate(_DRAWN)
    if isinstance(shot, Locator):
        screenshot = shot.screenshot(animations="disabled", caret="hide")
    else:
        screenshot = page.screenshot(clip=shot, animations="disabled", caret="hide")
    size = kept_small(screenshot, path)
    print(f"{path.relative_to(PICTURES)}: {size / 1000:.0f} kB")


def _scenes(
    context: BrowserContext,
    served: Served,
    language: Language,
    scenes: Mapping[str, Callable[[Stage], Shot]],
    names: list[str],
    folder: Path | None = None,
) -> None:
    page = context.new_page()
    enter(page)
    for name, scene in scenes.items():
        if not names or name in names:
            _take(page, scene(Stage(page=page, served=served, language=language)), (folder or PICTURES / language) / f"{name}.png")
            page.unroute_all()


def _doors(context: BrowserContext, language: Language, names: list[str]) -> None:
    page = context.new_page()
    for name, refused in (("login", False), ("login-refused", True)):
        if not names or name in names:
            _take(page, at_the_door(page, refused=refused), PICTURES / language / f"{name}.png")
    if not names or "help" in names:
        _take(page, help_wanted(page), PICTURES / language / "help.png")
    page.close()


def main(*names: str) -> None:
    """Take them all, or those named; says each with its size."""
    expect.set_options(timeout=60_000)  # on a busy machine too
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for language in get_args(Language):
            with open_office(Path(folder) / language) as served:
                phone = _window(browser, served, language, _PHONE)
                _scenes(phone, served, language, ON_A_PHONE, list(names))
                phone.close()
                desk = _window(browser, served, language, _DESK)
                _doors(desk, language, list(names))
                if language == "en":
                    _scenes(desk, served, language, FOR_THE_README, list(names), PICTURES)
                _scenes(desk, served, language, AT_A_DESK, list(names))
                desk.close()
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:])

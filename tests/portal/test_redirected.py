"""The player and downloads where browsers fetch recordings from S3 themselves."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from playwright.sync_api import Page, Response, expect

from fonoteka.core.config import Configuration
from store.database.store import Store
from store.provisioning.apply import apply
from store.provisioning.directory_file import parse_directory
from tests.data import seed
from tests.portal.browser import playing_at, whole_list
from tests.portal.own_server import admin_token, context
from tests.portal.served import Served, noon_zone, serving_what
from tests.support.radosgw import S3Server

# Fixtures, which take the place of conftest's.
__all__ = ["admin_token", "context", "served"]

_CALLS = 24
pytestmark = pytest.mark.expects_console_error("another host was asked: http://localhost:")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, s3: S3Server) -> Iterator[Served]:
    """The portal, with recordings at another address."""
    folder, now = tmp_path_factory.mktemp("redirected"), datetime.now(UTC)
    section = s3.section(seed.section(folder).database, s3.new_bucket(), folder / "objects")
    section = section.model_copy(update={"objects": f"{section.objects}&redirect=http://localhost:{s3.port}"})

    async def fill() -> None:
        store = await Store.open(section, sweep=True)
        try:
            await seed.seed(store, count=_CALLS, now=now)
            await apply(store, parse_directory(seed.DIRECTORY.replace("Asia/Krasnoyarsk", noon_zone(now)), source="test"))
        finally:
            await store.close()

    with serving_what(fill, Configuration(store=section), now) as one:
        yield one


def test_a_recording_is_played_from_there_and_seeks(admin: Page, s3: S3Server) -> None:
    answers: list[Response] = []
    admin.on("response", lambda answer: answers.append(answer))
    admin.goto("/")
    whole_list(admin)
    call = admin.evaluate(
        """() => fetch('/api/calls?recorded=true&sort=-duration_s').then(answer => answer.json())
           .then(page => page.items.find(call => call.recording.segments.length === 1).id)"""
    )
    admin.locator(f"tr.call[data-call='{call}'] td.rec button").click()
    admin.wait_for_function("() => document.querySelector('audio')?.currentTime > 0.3")
    assert any(one.url.startswith(f"http://localhost:{s3.port}/") and one.ok for one in answers)
    box = admin.get_by_role("slider", name="Место в записи").bounding_box()
    assert box is not None
    admin.mouse.click(box["x"] + box["width"] * 0.75, box["y"] + 10)
    half = admin.evaluate("() => document.querySelector('audio').duration / 2")
    admin.wait_for_function("half => document.querySelector('audio').currentTime > half", arg=half)
    assert playing_at(admin) > half


def test_a_recording_is_downloaded_from_there(admin: Page) -> None:
    admin.goto("/")
    whole_list(admin)
    with admin.expect_download() as download:
        admin.evaluate(
            """() => fetch('/api/calls?recorded=true').then(answer => answer.json()).then(page => {
                const call = page.items.find(call => call.recording.segments.length === 1);
                location.href = `/api/calls/${call.id}/audio?download=true`;
            })"""
        )
    assert download.value.suggested_filename.endswith(".ogg")
    expect(admin.get_by_role("navigation").first).to_be_visible()

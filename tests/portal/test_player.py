"""The player: sound that really advances in a real audio element, and everything that steers it."""

import re

import pytest
from playwright.sync_api import Page, Route, expect

from tests.portal.browser import playing_at, whole_list

# The player is loaded when it is first needed.
_TELLS_TIME = "() => document.querySelector('audio')?.currentTime > 0.3"


@pytest.fixture
def playing(admin: Page) -> Page:
    """A long enough call of two parts, playing by itself after one click.

    It need not be among the newest fifty.
    """
    admin.goto("/?limit=200")
    whole_list(admin)
    longest = admin.evaluate(
        """() => fetch('/api/calls?recorded=true&sort=-duration_s').then(answer => answer.json())
           .then(page => page.items.find(call => call.recording.segments.length > 1 && call.recording.duration_ms > 12000).id)"""
    )
    admin.locator(f"tr.call[data-call='{longest}'] td.rec button").click()
    admin.wait_for_function(_TELLS_TIME)
    return admin


def length(page: Page) -> float:
    return float(page.locator("audio").evaluate("audio => audio.duration"))


def wait_until(page: Page, condition: str) -> None:
    page.wait_for_function(f"() => {{ const audio = document.querySelector('audio'); return {condition}; }}")


def test_it_starts_by_itself_and_shows_time_and_length(playing: Page) -> None:
    at = playing_at(playing)
    wait_until(playing, f"audio.currentTime > {at}")
    seconds = int(length(playing))
    expect(playing.locator(".clock")).to_contain_text(f"/ 0:{seconds:02d}" if seconds < 60 else f"/ 1:{seconds - 60:02d}")


def test_pause_and_on_from_the_row_and_from_the_player(playing: Page) -> None:
    player = playing.get_by_role("region", name="Проигрыватель")
    player.get_by_role("button", name="Пауза").click()
    wait_until(playing, "audio.paused")
    playing.locator("tr.playing td.rec button").click()
    wait_until(playing, "!audio.paused")
    player.get_by_role("button", name="Остановить").click()
    wait_until(playing, "audio.paused && audio.currentTime === 0")


def test_a_click_on_the_waveform_seeks(playing: Page) -> None:
    waveform = playing.get_by_role("slider", name="Место в записи")
    box = waveform.bounding_box()
    assert box is not None
    playing.mouse.click(box["x"] + box["width"] * 0.75, box["y"] + 10)
    wait_until(playing, "audio.currentTime >= audio.duration * 0.74")
    assert playing_at(playing) < length(playing) * 0.95


def test_the_waveform_has_both_sides_in_two_colours(playing: Page) -> None:
    counts = playing.locator(".sound canvas").evaluate(
        """canvas => {
            const {data, width, height} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
            const half = (from, to) => {
                const sum = [0, 0];
                for (let y = from; y < to; y += 1) for (let x = 0; x < width; x += 1) {
                    const at = 4 * (y * width + x);
                    if (data[at + 3] > 40) sum[data[at] > data[at + 2] ? 0 : 1] += 1;
                }
                return sum;
            };
            return {above: half(0, height / 2 - 1), below: half(height / 2 + 1, height)};
        }"""
    )
    warm, cold = counts["above"]
    assert warm > 20 * max(1, cold), counts
    warm, cold = counts["below"]
    assert cold > 20 * max(1, warm), counts


def test_two_bars_and_the_totals_tell_who_spoke(playing: Page) -> None:
    """The parties take turns of a second, so each bar is filled by half."""
    player = playing.get_by_role("region", name="Проигрыватель")
    expect(player.locator(".sides")).to_contain_text(re.compile(r"Собеседник\s0:\d\d.*Сотрудник\s0:\d\d.*Тишина 0:00", re.S))
    filled = player.locator(".speakers canvas").evaluate(
        """canvas => {
            const {data, width, height} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
            const share = row => {
                let full = 0;
                for (let x = 0; x < width; x += 1) if (data[4 * (row * width + x) + 3] > 100) full += 1;
                return full / width;
            };
            return [share(1), share(height - 2)];
        }"""
    )
    assert all(0.4 < share < 0.6 for share in filled), filled


def test_silence_is_skipped_on_request(playing: Page) -> None:
    """Nobody speaks between the seconds 4 and 9."""

    def quiet(route: Route) -> None:
        peaks = route.fetch().json()
        rate = peaks["per_second"]
        track = "1" * (4 * rate) + "0" * (5 * rate)
        route.fulfill(json=peaks | {"speech": track + "2" * (len(peaks["speech"]) - len(track))})

    playing.route("**/peaks", quiet)
    playing.reload()
    whole_list(playing)
    player = playing.get_by_role("region", name="Проигрыватель")
    if not player.is_visible():
        playing.locator("tr.call td.rec button").first.click()
    skip = player.get_by_role("button", name="Пропускать тишину")
    skip.click()
    expect(skip).to_have_attribute("aria-pressed", "true")
    playing.locator("audio").evaluate("audio => { audio.currentTime = 3.5; void audio.play(); window.heard = []; }")
    playing.evaluate(
        """() => { const audio = document.querySelector('audio');
           audio.addEventListener('timeupdate', () => window.heard.push(audio.currentTime)); }"""
    )
    wait_until(playing, "audio.currentTime > 9")
    heard = playing.evaluate("() => window.heard")
    assert not [at for at in heard if 5.5 < at < 8.5], heard


def test_older_recordings_have_no_data_on_who_spoke(playing: Page) -> None:
    playing.route("**/peaks", lambda route: route.fulfill(json=route.fetch().json() | {"speech": ""}))
    playing.reload()
    whole_list(playing)
    player = playing.get_by_role("region", name="Проигрыватель")
    if not player.is_visible():
        playing.locator("tr.call td.rec button").first.click()
    expect(player.get_by_role("button", name="Пропускать тишину")).to_be_disabled()
    expect(player.locator(".speakers")).to_have_count(0)


def test_keys_steer_it_wherever_the_focus_is(playing: Page) -> None:
    playing.locator("main").focus()
    for key, after in (
        (" ", "audio.paused"),
        ("ArrowRight", "audio.currentTime >= 10"),
        ("ArrowLeft", "audio.currentTime < 10"),
        (">", "audio.playbackRate === 1.25"),
        ("<", "audio.playbackRate === 1"),
        (" ", "!audio.paused"),
    ):
        playing.keyboard.press(key)
        wait_until(playing, after)
    playing.keyboard.press("Escape")
    expect(playing.locator("audio")).to_have_count(0)


def test_back_ten_seconds_and_the_slider_by_keyboard(playing: Page) -> None:
    waveform = playing.get_by_role("slider", name="Место в записи")
    waveform.press("End")
    wait_until(playing, "audio.currentTime > audio.duration - 1 || audio.ended")
    waveform.press("ArrowLeft")
    wait_until(playing, "audio.currentTime < audio.duration - 8")
    waveform.press("Home")
    wait_until(playing, "audio.currentTime < 2")


def test_keys_typed_into_a_field_are_the_fields(playing: Page) -> None:
    field = playing.get_by_label("Фильтр: Сотрудник")
    field.press_sequentially("п п")
    expect(field).to_have_value("п п")
    assert not playing.locator("audio").evaluate("audio => audio.paused")


def test_speed_from_three_quarters_to_double(playing: Page) -> None:
    speed = playing.get_by_label("Скорость")
    assert [text.strip() for text in speed.locator("option").all_inner_texts()] == ["0.75×", "1×", "1.25×", "1.5×", "1.75×", "2×"]
    speed.select_option("2")
    wait_until(playing, "audio.playbackRate === 2")


def test_saving_gives_the_file(playing: Page) -> None:
    with playing.expect_download() as waiting:
        playing.get_by_role("link", name="Сохранить запись").click()
    path = waiting.value.path()
    assert path.read_bytes()[:4] == b"OggS"
    assert waiting.value.suggested_filename.endswith(".ogg")


def test_the_second_part_plays_on_from_where_it_begins(playing: Page) -> None:
    playing.locator("tr.playing td.src").click()
    part = playing.locator("tr.path").get_by_role("button", name="–").nth(1)
    part.click()
    wait_until(playing, "audio.currentTime > audio.duration * 0.4 && !audio.paused")


def test_paused_stretches_are_drawn_where_they_are_and_told(playing: Page) -> None:
    """The second of two equal parts was paused from its middle to its third quarter."""
    wave = playing.locator(".sound").bounding_box()
    paused = playing.locator(".sound .muted")
    expect(paused).to_have_count(1)
    stretch = paused.bounding_box()
    assert wave is not None and stretch is not None
    assert (stretch["x"] - wave["x"]) / wave["width"] == pytest.approx(0.75, abs=0.01)
    assert stretch["width"] / wave["width"] == pytest.approx(0.125, abs=0.01)
    expect(playing.locator(".sides")).to_contain_text("Запись на паузе")
    playing.mouse.move(wave["x"] + wave["width"] * 0.8, wave["y"] + 20)
    expect(playing.locator(".hover")).to_contain_text("Солдатов Н.С. (421) · Запись на паузе")
    playing.mouse.move(wave["x"] + wave["width"] * 0.6, wave["y"] + 20)
    expect(playing.locator(".hover")).to_have_text(re.compile(r"^\d:\d\d · Солдатов Н.С. \(421\)$"))


def test_the_people_of_a_transferred_call_are_told_apart(playing: Page) -> None:
    assert playing.locator(".users span").all_inner_texts() == ["Петров П.П. (152)", "Солдатов Н.С. (421)"]
    waveform = playing.get_by_role("slider", name="Место в записи")
    expect(waveform).to_have_attribute("aria-valuetext", re.compile(r"Петров П.П. \(152\)$"))
    box = waveform.bounding_box()
    assert box is not None
    playing.mouse.click(box["x"] + box["width"] * 0.78, box["y"] + 30)
    expect(waveform).to_have_attribute("aria-valuetext", re.compile(r"Солдатов Н.С. \(421\) · Запись на паузе$"))


def test_closing_ends_the_sound(playing: Page) -> None:
    playing.get_by_role("button", name="Закрыть проигрыватель").click()
    expect(playing.locator("audio")).to_have_count(0)


def test_a_browser_without_opus_gets_mp3(admin: Page) -> None:
    admin.add_init_script(
        "const can = HTMLMediaElement.prototype.canPlayType;"
        "HTMLMediaElement.prototype.canPlayType = function (type) { return type.includes('ogg') ? '' : can.call(this, type); };"
    )
    admin.reload()
    admin.locator("td.rec button").first.click()
    admin.wait_for_function(_TELLS_TIME)
    assert admin.locator("audio").evaluate("audio => audio.currentSrc").endswith("?format=mp3")


@pytest.mark.expects_console_error("404|500")
def test_a_recording_that_cannot_be_had_is_said(admin: Page) -> None:
    admin.route("**/audio*", lambda route: route.fulfill(status=404, body="{}"))
    admin.locator("td.rec button").first.click()
    expect(admin.get_by_role("alert").filter(has_text="Запись не удалось загрузить")).to_be_visible()

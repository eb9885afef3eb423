"""The page in a browser, from disk: citations, words, search and keys lead to the right frame. Needs Chromium."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from analyzer_agent.media import open_video
from analyzer_agent.page import PageVideo, build_document, page_text
from page_kit import HOSTILE, opened, shows_frame

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser

FRAME_MS = 40


@pytest.mark.parametrize("size", ["desk", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_click_on_a_citation_a_note_or_a_word_shows_its_frame(browser: "Browser", page: Path, size: str, scheme: str) -> None:
    with opened(browser, page, size, scheme) as shown:
        shown.locator("button.cite").nth(0).click()
        assert shows_frame(shown, 3000 // FRAME_MS)
        assert shown.locator("#lanes .marked .label span").inner_text() == "speech"
        shown.locator(".answer button.mark").nth(1).click()
        assert shows_frame(shown, 2000 // FRAME_MS)
        assert shown.locator("#lanes .marked .label span").inner_text() == "text"
        shown.get_by_role("tab", name="Notes").click()
        shown.locator(".row", has_text="good morning").click()
        assert shows_frame(shown, 1000 // FRAME_MS)
        shown.locator(".word", has_text="forty").click()
        assert shows_frame(shown, 3400 // FRAME_MS)
        assert shown.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_the_page_contains_the_video_where_it_is_embedded(browser: "Browser", page: Path, tmp_path: Path) -> None:
    with open_video(page.with_name("counter.mp4")) as video:
        document = build_document(None, {}, [PageVideo(video, "counter.mp4", "counter.mp4", embedded=True)])
        (alone := tmp_path / "alone.html").write_text("".join(page_text(document, "alone", {video.id: video.path})), encoding="utf-8")
    with opened(browser, alone, address="#t=6.4") as shown:
        assert shows_frame(shown, 6400 // FRAME_MS)


def test_a_citation_in_another_video_opens_it(browser: "Browser", page: Path) -> None:
    with opened(browser, page) as shown:
        shown.locator("button.cite", has_text="of the second").click()
        assert shown.locator("#videos option:checked").inner_text() == "second.mp4"
        assert shows_frame(shown, 1000 // 20)
        assert shown.locator("#tab-notes").inner_text() == "Notes (1)"
        shown.locator("button.cite").first.click()
        assert shows_frame(shown, 3000 // FRAME_MS)
        shown.keyboard.press("v")
        assert shown.locator("#videos option:checked").inner_text() == "second.mp4"
        shown.locator("#search").fill("BOARD")
        shown.get_by_role("tab", name="Notes").click()
        shown.get_by_role("button", name="counter.mp4 (3)").click()
        assert shown.locator(".row").count() == 3


def test_answers_tell_what_they_rest_on_and_what_they_cost(browser: "Browser", page: Path) -> None:
    with opened(browser, page) as shown:
        first, second, third = (shown.locator("article").nth(n).inner_text() for n in range(3))
        for told in ("Without evidence: It is cheap.", "Left open: what is said after 0:06", "Not complete", "text, 0:05–0:08, every 1 s"):
            assert told in first
        assert "2 steps, 2 model calls (1,000 tokens, 600 of all from a cache), 1 vision call (300 tokens), $0.012" in first
        assert "price not known" in second
        assert "not found" in second and "[#1000000]" in second and "Not proved: the rest" in second
        assert "interrupted" in third


def test_hostile_texts_are_shown_as_text(browser: "Browser", page: Path) -> None:
    with opened(browser, page) as shown:
        shown.get_by_role("tab", name="Notes").click()
        assert shown.locator(".row", has_text="bold").locator(".text").inner_text() == HOSTILE
        assert shown.locator(".row b").count() == 0


def test_everything_can_be_done_with_the_keyboard(browser: "Browser", page: Path) -> None:
    with opened(browser, page) as shown:
        shown.keyboard.press("]")
        assert shows_frame(shown, 75)
        shown.keyboard.press(".")
        assert shows_frame(shown, 76)
        shown.keyboard.press(",")
        shown.keyboard.press(",")
        assert shows_frame(shown, 74)
        shown.keyboard.press("/")
        shown.keyboard.type("BOARD")
        shown.keyboard.press("Enter")
        assert shown.locator("#matches").inner_text() == "3 notes, 2 answers"
        shown.keyboard.press("Home")
        shown.keyboard.press("ArrowDown")
        assert shows_frame(shown, 25) and shown.locator(".row[aria-selected=true] mark").inner_text() == "board"
        active = shown.evaluate("document.activeElement.getAttribute('aria-activedescendant')")
        assert active == shown.locator(".row[aria-selected=true]").get_attribute("id")
        shown.keyboard.press("?")
        assert shown.locator("dialog").is_visible()
        shown.keyboard.press("Escape")
        shown.keyboard.press("3")
        assert shown.get_by_role("tab", name="Looked at").get_attribute("aria-selected") == "true"
        shown.keyboard.press("t")
        assert shown.evaluate("document.documentElement.dataset.theme") == "dark"


def test_what_nobody_looked_at_is_told(browser: "Browser", page: Path) -> None:
    with opened(browser, page) as shown:
        shown.get_by_role("tab", name="Looked at").click()
        table = shown.locator("#coverage table", has_text="text").last.inner_text().split()
        assert "never" in table and "0:05–0:08" in table
        assert shown.locator("#lanes .unlooked canvas").first.get_attribute("aria-label") == "by any analyzer: 2 s of 8 s never looked at"


def test_an_address_names_a_note_or_a_time(browser: "Browser", page: Path) -> None:
    with opened(browser, page, address="#t=5.6") as shown:
        assert shows_frame(shown, 140)
        shown.get_by_role("tab", name="Notes").click()
        number = (shown.locator(".row", has_text="board 2").get_attribute("id") or "").removeprefix("note-")
        shown.evaluate(f"location.hash = 'note={number}'")
        assert shows_frame(shown, 2000 // FRAME_MS)
        assert shown.locator("#lanes .marked .label span").inner_text() == "text"


def test_lanes_are_clicked_zoomed_and_hidden(browser: "Browser", page: Path) -> None:
    with opened(browser, page) as shown:
        speech = shown.locator("#lanes .lane", has_text="speech")
        box = speech.locator("canvas").bounding_box()
        assert box
        shown.mouse.move(box["x"] + box["width"] * 3200 / 8000, box["y"] + box["height"] / 2)
        assert "it costs forty dollars" in shown.locator("#tip").inner_text()
        shown.mouse.click(box["x"] + box["width"] * 3200 / 8000, box["y"] + box["height"] / 2)
        assert shows_frame(shown, 3000 // FRAME_MS)
        shown.keyboard.press("+")
        shown.mouse.click(box["x"] + 1, box["y"] + box["height"] / 2)
        assert shows_frame(shown, 1500 // FRAME_MS)
        shown.locator("#lanes .lane", has_text="text").get_by_role("button").click()
        assert shows_frame(shown, 1000 // FRAME_MS)
        shown.locator("#lanes .lane", has_text="text").get_by_role("button").click()
        assert shows_frame(shown, 2000 // FRAME_MS)
        shown.get_by_role("tab", name="Notes").click()
        shown.locator(".chip", has_text="text").click()
        assert [row.inner_text().split("\n")[-1] for row in shown.locator(".row").all()] == ["good morning", "it costs forty dollars"]


def test_playing_follows_the_notes_and_has_captions(browser: "Browser", page: Path) -> None:
    with opened(browser, page, address="#t=0.9") as shown:
        shown.get_by_role("tab", name="Notes").click()
        shown.keyboard.press("k")
        shown.locator(".row.now", has_text="good morning").or_(shown.locator(".row.now", has_text="board 2")).first.wait_for()
        shown.keyboard.press("k")
        cues = "[...document.getElementById('player').textTracks[0].cues].map((cue) => cue.text)"
        assert shown.evaluate(cues) == ["good morning", "it costs forty dollars"]


def test_a_video_that_has_moved_leaves_its_notes_and_stills(browser: "Browser", page: Path, tmp_path: Path) -> None:
    (alone := tmp_path / "page.html").write_text(page.read_text(encoding="utf-8"), encoding="utf-8")
    context = browser.new_context()
    shown = context.new_page()
    shown.goto(alone.as_uri())
    shown.locator("#trouble .button").wait_for()
    shown.locator("button.cite").first.click()
    assert "data:image/jpeg" in (shown.locator("#picture").get_attribute("src") or "")
    shown.locator("#trouble input").set_input_files(page.with_name("counter.mp4"))
    shown.locator("#player").wait_for()
    assert shows_frame(shown, 75)
    context.close()

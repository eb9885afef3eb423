"""The page in a browser, from disk: citations, words, search and keys lead to the right frame. Needs Chromium."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from analyzer_agent.evidence.merging import NoteReader
from analyzer_agent.media import open_video
from analyzer_agent.page import PageVideo, build_document, page_text
from analyzer_agent.page.stills import thumbnails
from analyzer_agent.records import Observation
from analyzer_agent.storage import Store
from analyzer_agent.timeline import TimeRange
from analyzer_agent.tools import load_all
from media_maker import Clip, Tone, write
from page_kit import chromium, opened, put_notes, said, shows_frame

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser

FRAME_MS = 40
HOSTILE = "</script><img src=x onerror=alert(1)> & <b>bold</b>"


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    with chromium() as started:
        yield started


def answer(*notes: tuple[int, int, int, str], **more: Any) -> dict[str, Any]:
    cited = [{"note": n, "video": "counter.mp4", "kind": "speech", "analyzer": "speech", "engine": "fake"} for n, *_ in notes]
    spans = [{"start": start / 1000, "end": end / 1000, "text": text} for _, start, end, text in notes]
    marks = "".join(f"[#{n}]" for n, *_ in notes)
    given = {
        "answer": f"It costs forty {marks}.",
        "finished": "answered",
        "confidence": "high",
        "steps": [],
        "usage": {"wall_seconds": 1.5},
    }
    return given | {"citations": [one | span for one, span in zip(cited, spans, strict=True)]} | more


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page on a clip of 200 frames that show their number, with speech, text, and one answer."""
    folder = tmp_path_factory.mktemp("page")
    path = write(folder / "counter.mp4", Clip(times=range(0, 200 * FRAME_MS, FRAME_MS), size=(320, 240), gop=25, tones=(Tone(end=8.0),)))
    with open_video(path) as video, Store(folder / "store.db") as store:
        store.notes.add_video(video.id, path.name, str(path), video.duration)
        put_notes(store, video.id, "speech", [said(1000, "good", "morning"), said(3000, "it", "costs", "forty", "dollars")], end=6000)
        boards = [Observation(TimeRange(n * 1000, n * 1000 + 1000), "text", f"board {n}") for n in range(3)]
        put_notes(store, video.id, "text", [*boards, Observation(TimeRange(4000, 5000), "text", HOSTILE)], step=1000, end=5000)
        specs = {name: spec for name, (spec, _) in load_all().items()}
        reader = NoteReader(store, specs)
        ids = {run.text: run.id for run in reader.merged_notes(video.id, TimeRange(0, video.duration))}
        cited = answer((ids["it costs forty dollars"], 3000, 3800, "it costs forty dollars"), (ids["board 2"], 2000, 3000, "board 2"))
        turn = {"question": "What does it cost?", "asked": "2026-11-28T09:00:00+00:00", "answered": None, "answer": cited}
        shown = PageVideo(video, path.name, "counter.mp4", tuple(thumbnails(video)))
        document = build_document(reader, specs, [shown], [{"name": "s", "begun": "2026-11-28T09:00:00+00:00", "turns": [turn]}])
        (made := folder / "page.html").write_text("".join(page_text(document, path.name)), encoding="utf-8")
    return made


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
        assert shown.locator("#matches").inner_text() == "3 notes, 1 answer"
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
        assert shown.locator("#lanes .unlooked canvas").first.get_attribute("aria-label") == "by anything: 2 s of 8 s never looked at"


def test_an_address_names_a_note_or_a_time(browser: "Browser", page: Path) -> None:
    with opened(browser, page, address="#t=5.6") as shown:
        assert shows_frame(shown, 140)


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
    shown.wait_for_function("document.getElementById('player').currentTime > 0")
    assert shows_frame(shown, 75)
    context.close()

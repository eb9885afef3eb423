"""The page of a server in a browser: ask, stop, go on, reload in the middle, two people at once, choose, search. Needs Chromium."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from analyzer_agent.config import Settings
from analyzer_agent.media import content_id
from analyzer_agent.protocols import Reply
from analyzer_agent.service import library
from analyzer_agent.session import Session
from page_kit import SIZES, visited
from patience import PATIENCE_S
from session_kit import JUDGED, SUBTITLES, Held, pier, says
from web_kit import TOKEN, Served, served

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser
pytest.importorskip("uvicorn", reason="needs the extra page")

FORTY = says("Forty pounds [#2].", 2)
OPEN = says("Forty pounds [#2].", 2, not_examined="what a basket costs")
LOOKED = [(size, scheme) for size in SIZES for scheme in ("light", "dark")]


@contextmanager
def entered(browser: "Browser", server: Served, path: str = "/", size: str = "desk", scheme: Any = "light") -> "Iterator[Page]":
    """Open a page of the server with the token; see `visited`."""
    with visited(browser, f"{server.base}{path}{'&' if '?' in path else '?'}token={TOKEN}", size, scheme) as shown:
        assert TOKEN not in shown.url
        yield shown


def ask(shown: "Page", question: str = "What does a crate cost?") -> None:
    shown.locator("#question").fill(question)
    shown.locator("#question").press("Enter")
    shown.locator("#live").wait_for()


def answered(shown: "Page", text: str) -> None:
    shown.locator("#live").wait_for(state="hidden")
    shown.locator("article .answer", has_text=text).last.wait_for()


@pytest.mark.parametrize("size", list(SIZES))
def test_a_question_is_answered_while_one_watches_and_gone_on_with(browser: "Browser", tmp_path: Path, size: str) -> None:
    pier(tmp_path)
    held = Held(Reply(text="It may be ", calls=FORTY.calls))
    with (
        served(tmp_path, SUBTITLES, held, says("In pounds [#2].", 2)) as server,
        entered(browser, server, "/watch?video=pier.mp4", size) as shown,
    ):
        ask(shown)
        shown.locator(".steps .done", has_text="read_subtitles").wait_for()
        shown.locator("#live", has_text="So far: ").wait_for()
        shown.locator("#lanes", has_text="subtitles").wait_for()  # new notes come into the timeline meanwhile
        assert shown.locator("article").count() == 0 and shown.get_by_role("button", name="Ask", exact=True).is_disabled()
        held.go.set()
        answered(shown, "Forty pounds")
        assert shown.locator("#further").count() == 0 and "session=" in shown.url
        shown.locator("button.cite").first.click()
        assert "A crate costs forty pounds." in shown.locator("#current").inner_text()
        ask(shown, "In what?")
        answered(shown, "In pounds")
        assert shown.locator("#tab-answers").inner_text() == "Answers (2)"
        assert shown.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_the_list_of_videos_is_there_at_once_and_fills_in(browser: "Browser", tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Session(pier(tmp_path), settings=Settings(store=tmp_path / "s.db", tools=("subtitles",))) as session:
        session.index()
    go = threading.Event()
    monkeypatch.setattr(library, "content_id", lambda *given: content_id(*given) if go.wait(PATIENCE_S) else "")
    with served(tmp_path, SUBTITLES) as server:
        try:
            with entered(browser, server) as shown:
                shown.locator("#videos li", has_text="looking").wait_for()
                shown.locator("#videos input").focus()
                go.set()
                shown.locator("#videos li", has_text="0:02: subtitles").wait_for()
                assert shown.evaluate("document.activeElement.type") == "checkbox" and shown.locator("#sessions li").count() == 1
        finally:
            go.set()


def test_a_reload_in_the_middle_and_a_second_browser_show_the_same_question(browser: "Browser", tmp_path: Path) -> None:
    pier(tmp_path)
    held = Held(FORTY)
    with served(tmp_path, SUBTITLES, held) as server, entered(browser, server, "/watch?video=pier.mp4") as shown:
        ask(shown)
        assert held.asked.wait(PATIENCE_S)
        shown.reload()
        shown.locator(".steps .done", has_text="read_subtitles").wait_for()
        with entered(browser, server, shown.url.removeprefix(server.base)) as other:
            other.locator(".steps .done", has_text="read_subtitles").wait_for()
            held.go.set()
            answered(shown, "Forty pounds")
            answered(other, "Forty pounds")


def test_a_question_is_stopped_and_what_was_found_is_kept(browser: "Browser", tmp_path: Path) -> None:
    pier(tmp_path)
    held = Held(FORTY)
    with served(tmp_path, SUBTITLES, held) as server, entered(browser, server, "/watch?video=pier.mp4") as shown:
        ask(shown)
        assert held.asked.wait(PATIENCE_S)
        shown.get_by_role("button", name="Stop").click()
        shown.locator("#live button:disabled").wait_for()
        held.go.set()
        shown.locator("#ask", has_text="Stopped. What was found so far is kept.").wait_for()
        shown.get_by_role("tab", name="Notes (2)").wait_for()
        shown.get_by_role("button", name="Look further").wait_for()


def test_looking_further_asks_again_where_something_was_left_open(browser: "Browser", tmp_path: Path) -> None:
    pier(tmp_path)
    with (
        served(tmp_path, SUBTITLES, OPEN, says("Forty pounds, no more [#2].", 2), JUDGED) as server,
        entered(browser, server, "/watch?video=pier.mp4") as shown,
    ):
        ask(shown)
        answered(shown, "Forty pounds")
        shown.get_by_role("button", name="Look further").click()
        answered(shown, "no more")
        assert not shown.get_by_role("button", name="Look further").is_visible()


def test_faults_are_told_where_one_asks(browser: "Browser", tmp_path: Path) -> None:
    pier(tmp_path)
    with served(tmp_path) as server, entered(browser, server, "/watch?video=pier.mp4") as shown:
        ask(shown, "???")
        shown.locator("#ask", has_text="There is no word in the question").wait_for()
        shown.locator("#live").wait_for(state="hidden")


def test_videos_are_chosen_dropped_and_searched(browser: "Browser", tmp_path: Path) -> None:
    pier(tmp_path)
    (tmp_path / "more").mkdir()
    pier(tmp_path / "more").rename(tmp_path / "more" / "b.mp4")  # a copy, which has the same notes
    with served(tmp_path, SUBTITLES, FORTY) as server, entered(browser, server) as shown:
        shown.get_by_label("Choose pier.mp4").check()
        drop = """([name, size]) => {
          const carried = new DataTransfer();
          carried.items.add(new File([new Uint8Array(size)], name));
          document.dispatchEvent(new DragEvent("drop", { dataTransfer: carried, bubbles: true, cancelable: true }));
        }"""
        shown.evaluate(drop, ["b.mp4", (tmp_path / "more" / "b.mp4").stat().st_size])
        assert shown.get_by_label("Choose more/b.mp4").is_checked()
        shown.evaluate(drop, ["c.mp4", 3])
        shown.get_by_role("alert").filter(has_text="Not in the folders that were named at start: c.mp4").wait_for()
        shown.get_by_label("Choose more/b.mp4").uncheck()
        shown.get_by_role("button", name="Open 1 chosen video").click()
        shown.wait_for_selector("#question")
        ask(shown)
        answered(shown, "Forty pounds")
        shown.get_by_role("link", name="All videos").click()
        shown.locator("html[data-ready] #videos-title").wait_for()
        shown.locator("#search").fill("crate")
        shown.get_by_role("link", name="0:01 subtitle: A crate costs forty pounds.").first.click()
        shown.locator("#current", has_text="A crate costs forty pounds.").wait_for()
        shown.get_by_role("link", name="All videos").click()
        shown.get_by_role("link", name="What does a crate cost?").click()
        answered(shown, "Forty pounds")


@pytest.mark.parametrize(("size", "scheme"), LOOKED)
def test_axe_finds_no_fault(browser: "Browser", tmp_path: Path, size: str, scheme: str) -> None:
    pytest.importorskip("axe_playwright_python", reason="needs axe: pip install axe-playwright-python")
    pier(tmp_path)
    held = Held(OPEN)
    with served(tmp_path, SUBTITLES, held) as server, entered(browser, server, "/", size, scheme) as shown:
        assert faults(shown) == []
        shown.get_by_role("link", name="pier.mp4").click()
        shown.wait_for_selector("html[data-ready]")
        assert faults(shown) == []
        ask(shown)
        assert held.asked.wait(PATIENCE_S)
        shown.locator(".steps .done").first.wait_for()
        assert faults(shown) == []
        held.go.set()
        answered(shown, "Forty pounds")
        assert faults(shown) == []
        shown.get_by_role("link", name="All videos").click()
        shown.locator("html[data-ready] #videos-title").wait_for()
        shown.locator("#search").fill("crate")
        shown.locator("#found").wait_for()
        assert faults(shown) == []


RUN_AXE = """async () => (await axe.run(document, { resultTypes: ["violations"] })).violations
  .map(({ id, impact, nodes }) => `${impact} ${id}: ${nodes.map((node) => node.target.join(" ")).slice(0, 3).join(", ")}`)"""


def faults(shown: "Page") -> list[str]:
    shown.evaluate((files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8"))
    found: list[str] = shown.evaluate(RUN_AXE)
    assert shown.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    return found

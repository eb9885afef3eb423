"""The page for everybody: axe finds no fault at any size, in any colours, in any part. Needs Chromium and axe."""

from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from page_kit import opened

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

VIOLATIONS = """async () => (await axe.run(document, { resultTypes: ["violations"] })).violations
  .map(({ id, impact, nodes }) => `${impact} ${id}: ${nodes.map((node) => node.target.join(" ")).slice(0, 3).join(", ")}`)"""


def faults(shown: "Page") -> list[str]:
    shown.evaluate((files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8"))
    return list(shown.evaluate(VIOLATIONS))


@pytest.mark.parametrize("size", ["desk", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_fault(browser: "Browser", page: Path, size: str, scheme: str) -> None:
    pytest.importorskip("axe_playwright_python", reason="needs axe: pip install axe-playwright-python")
    with opened(browser, page, size, scheme) as shown:
        assert faults(shown) == []
        shown.locator("button.cite").first.click()
        for summary in shown.locator("summary").all():
            summary.click()
        assert faults(shown) == []
        for tab in ("Notes", "Looked at"):
            shown.get_by_role("tab", name=tab).click()
            assert faults(shown) == []
        shown.locator("#search").fill("board")
        shown.locator("#matches", has_text="3 notes").wait_for()
        assert faults(shown) == []
        shown.locator("#help").click()
        assert faults(shown) == []


def test_the_tab_key_goes_through_the_page_in_the_order_of_reading(browser: "Browser", page: Path) -> None:
    wanted = ["videos", "search", "theme", "help", "player", "scrub", "zoom-in", "tab-answers", "answers"]
    with opened(browser, page) as shown:
        order: list[str] = []
        while wanted[-1] not in order and len(order) < 60:
            shown.keyboard.press("Tab")
            order.append(shown.evaluate("document.activeElement.id"))
        assert list(dict.fromkeys(name for name in order if name in wanted)) == wanted


def test_at_four_times_the_size_nothing_is_cut_off(browser: "Browser", page: Path) -> None:
    context = browser.new_context(viewport={"width": 320, "height": 256})
    shown = context.new_page()
    shown.goto(page.as_uri())
    shown.wait_for_selector("html[data-ready]")
    assert shown.evaluate("document.documentElement.scrollWidth") <= 320
    shown.get_by_role("tab", name="Notes").click()
    shown.locator(".row").first.click()
    assert shown.locator(".list").evaluate("list => list.clientHeight") >= 150
    context.close()


def test_on_paper_the_notes_are_written_out(browser: "Browser", page: Path) -> None:
    with opened(browser, page) as shown:
        shown.emulate_media(media="print")
        shown.evaluate("window.dispatchEvent(new Event('beforeprint'))")
        assert shown.locator(".sheet tr").count() == 6
        assert shown.locator("#answers").is_visible() and not shown.locator("#search").is_visible()
        shown.evaluate("window.dispatchEvent(new Event('afterprint'))")
        assert shown.locator(".sheet").count() == 0

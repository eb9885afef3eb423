"""What the tests of the page share: a browser that opens it from disk, and a store with notes to show."""

import io
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import pytest

from analyzer_agent.records import JSON, Observation, Provenance
from analyzer_agent.storage import Store
from analyzer_agent.timeline import TimeRange
from media_maker import number_of

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
SIZES = {"phone": (360, 740), "desk": (1440, 900)}


@contextmanager
def chromium() -> "Iterator[Browser]":
    """Start Chromium without a window; a test skips where it or playwright is not installed."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip("needs Chromium, such as Debian's: apt install chromium")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=found, args=["--no-sandbox", "--autoplay-policy=no-user-gesture-required"])
        yield browser
        browser.close()


@contextmanager
def opened(browser: "Browser", page: Path, size: str = "desk", scheme: Any = "light", address: str = "") -> "Iterator[Page]":
    """Open a page from disk; any error in its console fails the test."""
    width, height = SIZES[size]
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme, has_touch=size == "phone")
    shown = context.new_page()
    told: list[str] = []
    shown.on("console", lambda message: told.append(message.text) if message.type in ("error", "warning") else None)
    shown.on("pageerror", lambda error: told.append(str(error)))
    shown.goto(f"{page.resolve().as_uri()}{address}")
    shown.wait_for_selector("html[data-ready]")
    yield shown
    context.close()
    assert told == [], told


SETTLED = """async () => {
  const video = document.getElementById("player");
  const waited = (name) => new Promise((done) => video.addEventListener(name, done, { once: true }));
  if (video.seeking) await waited("seeked");
  if (video.readyState < 2) await waited("canplay");
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  const box = video.getBoundingClientRect();
  const scale = Math.min(box.width / video.videoWidth, box.height / video.videoHeight);
  const [width, height] = [video.videoWidth * scale, video.videoHeight * scale];
  return { x: box.x + (box.width - width) / 2, y: box.y + (box.height - height) / 2, width, height };
}"""
"""Waits until the video shows the frame that was sought, and returns where on the screen its picture is."""


def shows_frame(page: "Page", number: int) -> bool:
    """Tell whether the page's video comes to show the frame with this number: see `media_maker.drawing`."""
    deadline = time.monotonic() + 5
    while _counter(page) != number:  # a browser may draw a sought frame a little later than it says
        if time.monotonic() > deadline:
            return False
    return True


def _counter(page: "Page") -> int:
    place = page.evaluate(SETTLED)
    page.mouse.move(0, 0)
    taken = page.screenshot(clip=place, caret="initial")  # else playwright adds a style, which the page's policy forbids
    with av.open(io.BytesIO(taken), mode="r") as picture:
        return number_of(next(picture.decode(video=0)).to_ndarray(format="rgb24"))


def put_notes(
    store: Store,
    video: str,
    analyzer: str,
    notes: Sequence[Observation],
    *,
    key: str = "",
    engine: str = "fake",
    step: int = 0,
    end: int = 0,
) -> None:
    """Store the notes of an analyzer, whose coverage ends at `end` ms."""
    key = f"{analyzer}/{engine}"
    store.notes.add_provenance(Provenance(key, analyzer, "1", engine, 0, "", "", {}))
    span = TimeRange(0, end or max((note.span.end for note in notes), default=1))
    store.ledger.claim(video, key, [span])
    store.ledger.commit(video, key, span, step, [note.span.start for note in notes], notes, 1)


def said(start: int, *words: str, each: int = 200, **detail: JSON) -> Observation:
    """Return a speech note whose words follow each other at `each` ms."""
    timed: list[JSON] = [[word, start + n * each, start + (n + 1) * each, 0.9] for n, word in enumerate(words)]
    return Observation(TimeRange(start, start + len(words) * each), "speech", " ".join(words), 0.9, {"words": timed, **detail})

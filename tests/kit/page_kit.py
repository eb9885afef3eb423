"""What the tests of the page share: a browser that opens it from disk, and a store with notes to show."""

import io
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import av
import pytest

from analyzer_agent.evidence.merging import NoteReader
from analyzer_agent.media import open_video
from analyzer_agent.page import PageVideo, build_document, page_text
from analyzer_agent.page.stills import thumbnails
from analyzer_agent.records import JSON, Observation, Provenance
from analyzer_agent.storage import Store
from analyzer_agent.timeline import TimeRange
from analyzer_agent.tools import load_all
from media_maker import Clip, Tone, number_of, write

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

HOSTILE = "</script><img src=x onerror=alert(1)> & <b>bold</b>"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
LONGEST_MS = 120_000
"""How long a browser may take for one thing, on a busy machine."""
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
def visited(browser: "Browser", address: str, size: str = "desk", scheme: Any = "light") -> "Iterator[Page]":
    """Open an address and wait until the page is ready; any error in its console fails the test."""
    width, height = SIZES[size]
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme, has_touch=size == "phone")
    try:
        context.set_default_timeout(LONGEST_MS)
        shown = context.new_page()
        told: list[str] = []
        shown.on("console", lambda message: told.append(message.text) if message.type in ("error", "warning") else None)
        shown.on("pageerror", lambda error: told.append(str(error)))
        shown.goto(address)
        shown.wait_for_selector("html[data-ready]")
        yield shown
        assert told == [], told
    finally:
        context.close()


def opened(browser: "Browser", page: Path, size: str = "desk", scheme: Any = "light", address: str = "") -> "AbstractContextManager[Page]":
    """Open a page from disk; see `visited`."""
    return visited(browser, f"{page.resolve().as_uri()}{address}", size, scheme)


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
    deadline = time.monotonic() + LONGEST_MS / 1000
    seen: list[int] = []
    while time.monotonic() < deadline:  # a browser may draw a sought frame a little later than it says
        seen.append(_counter(page))
        if seen[-1] == number:
            return True
    print(f"frames {seen}, not {number}:", page.evaluate("(({ currentTime, readyState }) => ({ currentTime, readyState }))(player)"))
    return False


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


class Place(NamedTuple):
    """What a citation of a sample answer says: the note's text, its video, and its span in ms."""

    text: str
    video: str
    start: int
    end: int


def answer(ids: Mapping[str, int], *places: Place, **more: Any) -> dict[str, Any]:
    """Return an answer as the store has it, which cites the notes with these texts."""
    cited = [
        {"note": ids[p.text], "video": p.video, "kind": "speech", "analyzer": "speech", "engine": "fake"}
        | {"start": p.start / 1000, "end": p.end / 1000, "text": p.text}
        for p in places
    ]
    marks = "".join(f"[#{ids[p.text]}]" for p in places)
    given = {"answer": f"It costs forty {marks}.", "finished": "answered", "confidence": "high", "usage": {"wall_seconds": 1.5}}
    return given | {"citations": cited} | more


def sample_page(folder: Path) -> Path:
    """Write a page on two clips whose frames show their number, with speech, text, gaps and answers.

    `counter.mp4` has 200 frames of 40 ms, `second.mp4` 100 of 20 ms.
    """
    first = write(folder / "counter.mp4", Clip(times=range(0, 8000, 40), size=(320, 240), gop=25, tones=(Tone(end=8.0),)))
    second = write(folder / "second.mp4", Clip(times=range(0, 2000, 20), rate=Fraction(50), size=(320, 240)))
    with open_video(first) as video, open_video(second) as other, Store(folder / "store.db") as store:
        for one in (video, other):
            store.notes.add_video(one.id, one.name, str(one.path), one.duration)
        put_notes(store, video.id, "speech", [said(1000, "good", "morning"), said(3000, "it", "costs", "forty", "dollars")], end=6000)
        boards = [Observation(TimeRange(n * 1000, n * 1000 + 1000), "text", f"board {n}") for n in range(3)]
        put_notes(store, video.id, "text", [*boards, Observation(TimeRange(4000, 5000), "text", HOSTILE)], step=1000, end=5000)
        put_notes(store, other.id, "text", [Observation(TimeRange(1000, 2000), "text", "board of the second")], step=1000, end=2000)
        specs = {name: spec for name, (spec, _) in load_all().items()}
        reader = NoteReader(store, specs)
        ids = {run.text: run.id for one in (video, other) for run in reader.merged_notes(one.id, TimeRange(0, one.duration))}
        price, board = Place("it costs forty dollars", "counter.mp4", 3000, 3800), Place("board 2", "counter.mp4", 2000, 3000)
        late = Place("board of the second", "second.mp4", 1000, 2000)
        turns: list[tuple[str, dict[str, Any] | None]] = [
            ("What does it cost?", answer(ids, price, board, **DETAILS)),
            (
                "And in the other one?",
                answer(ids, late, answer="Nothing: [#1000000].", finished="not_found", missing="the rest", usage=UNPRICED),
            ),
            ("And then?", None),
        ]
        at = "2026-11-28T09:00:00+00:00"
        talk = {"name": "s", "begun": at, "turns": [{"question": q, "answer": a, "asked": at, "answered": None} for q, a in turns]}
        shown = [PageVideo(one, one.name, one.name, tuple(thumbnails(one))) for one in (video, other)]
        (made := folder / "page.html").write_text("".join(page_text(build_document(reader, specs, shown, [talk]), "two")), encoding="utf-8")
    return made


UNPRICED = {"llm_calls": 1, "input_tokens": 1, "output_tokens": 1, "cost_usd": None}
DETAILS: Mapping[str, Any] = {
    "unsupported": ["It is cheap."],
    "left_open": "what is said after 0:06",
    "not_examined": [{"analyzer": "speech", "start": 6, "end": 8, "reason": "budget"}],
    "steps": [
        {
            "tool": "transcribe_speech",
            "args": {"ranges": [[0, 6]]},
            "analyzed_seconds": 6,
            "reused_seconds": 0,
            "wall_seconds": 1,
            "notes": [1],
        },
        {"tool": "detect_objects", "args": {}, "analyzed_seconds": 0, "reused_seconds": 0, "wall_seconds": 0, "notes": [], "refused": "no"},
    ],
    "usage": {"llm_calls": 2, "input_tokens": 900, "output_tokens": 100, "cached_input_tokens": 600, "wall_seconds": 1.5}
    | {"vision_calls": 1, "vision_tokens": 300, "cost_usd": 0.0123},
    "complete": {
        "claim": "count",
        "holds": False,
        "over": [{"analyzer": "text", "step": 1, "start": 0, "end": 5, "video": "counter.mp4"}],
        "lacking": [{"analyzer": "text", "step": 1, "start": 5, "end": 8, "video": "counter.mp4"}],
    },
}
"""All that an answer may tell about itself."""

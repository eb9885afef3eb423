"""Measure a library of at least 200 videos: `python -m benchmarks.library --footage FOLDER`.

Drawn clips with subtitles, one-minute needle videos and given footage are added, indexed and asked.
It tells how long the briefing is, how long `find_videos` takes, and what `find_all` tells of videos
that nobody has heard: of all videos, of those with subtitles, and with `--hear` of all once they are heard.
"""

import argparse
import json
import random
import shutil
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter, process_time
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from analyzer_agent import Library, Session, Settings
from analyzer_agent.briefing import Briefing
from analyzer_agent.llm.prompt_size import estimated_usage
from analyzer_agent.media.folders import media_in
from analyzer_agent.toolbox import Toolbox
from benchmarks.made import encode, made_once
from benchmarks.needles import build, plan
from benchmarks.speed.drawn import sentence

NEEDLE = "zeppelin"
_EACH = 20
"""One in so many drawn clips tells of the needle."""
_SECONDS, _RATE, _SIZE = 20, 5, (160, 90)
_QUERIES = 300


def make(folder: Path, drawn: int, spoken: int, footage: Path | None) -> None:
    """Write the videos: drawn clips with subtitles, needle videos, and copies of given footage."""
    for number in range(drawn):
        _draw(folder / "drawn" / f"series {number // 50 + 1}" / f"clip {number}.mp4", number)
    made_once(folder / "needles", lambda path: list(build(path, [plan(1, n, 7, 1) for n in range(1, spoken + 1)])))
    for file in media_in([footage]).files if footage else ():
        (folder / "footage").mkdir(exist_ok=True)
        made_once(folder / "footage" / file.name, partial(shutil.copyfile, file))


def _draw(path: Path, number: int) -> None:
    chance = random.Random(number)
    path.parent.mkdir(parents=True, exist_ok=True)
    told = [sentence(chance, 9) for _ in range(_SECONDS // 4)]
    if number % _EACH == 0:
        told[2] += f" over the {NEEDLE} of {number}"
    cues = [f"{n + 1}\n00:00:{4 * n:02},000 --> 00:00:{4 * n + 3:02},500\n{text}\n" for n, text in enumerate(told)]
    path.with_suffix(".srt").write_text("\n".join(cues))
    shades = (np.full((_SIZE[1], _SIZE[0], 3), (7 * number + shade) % 256, np.uint8) for shade in range(_SECONDS * _RATE))
    made_once(path, lambda path: encode(path, shades, _SIZE, _RATE))


def briefing_tokens(toolbox: Toolbox) -> int:
    """Return how long the first request of a question is, without the question."""
    briefing = Briefing(toolbox)
    texts = (briefing.system, briefing.covered(), briefing.costs())
    return estimated_usage([{"role": "user", "content": text} for text in texts], toolbox.schemas(), "", ()).input_tokens


def search_times(session: Session) -> list[tuple[float, float]]:
    """Return how long searches for videos take, with one to four words each: ms of the clock and of processor time."""
    chance, times = random.Random(1), list[tuple[float, float]]()
    for number in range(_QUERIES):
        query = " ".join(dict.fromkeys(sentence(chance, 1 + number % 4).split()))
        began, busy = perf_counter(), process_time()
        session.call("find_videos", {"query": query})
        times.append((1000 * (perf_counter() - began), 1000 * (process_time() - busy)))
    return times


def heard(session: Session) -> tuple[int, str]:
    """Return in how many videos the needle is, and what is told of videos that were not heard."""
    result = session.call("find_all", {"words": NEEDLE, "show": "count", "kinds": ["speech", "subtitle"]})
    return result.found, result.text.split(":\n<notes>")[0]


def measure(folder: Path, store: Path, hear: bool = False) -> dict[str, Any]:
    """Add, index and ask a library; return the figures. With `hear`, speech is transcribed where there are no subtitles."""
    settings = Settings(store=store, manager="rules")
    figures: dict[str, Any] = {}

    def timed(what: str, began: float) -> None:
        figures[what] = f"{perf_counter() - began:.2f} s"

    with Library("benchmark", settings) as library:
        began = perf_counter()
        added = library.add(folder)
        timed("add", began)
        began = perf_counter()
        library.add(folder)
        timed("add again", began)
        figures["videos"] = len(library.paths())
        assert not added.unreadable, added.unreadable
        paths = library.paths()[::-1]
        few = paths[:: max(1, len(paths) // 10)][:10]
    with Library("with subtitles", settings) as library:
        library.add(folder / "drawn")
    with Session(*few, settings=settings) as session:
        figures["briefing on 10 videos, tokens"] = briefing_tokens(session.toolbox)
    began = perf_counter()
    with Session(library="benchmark", settings=settings) as session:
        timed("open", began)
        figures["briefing on all, tokens"] = briefing_tokens(session.toolbox)
        began = perf_counter()
        session.index(["subtitles"])
        timed("index subtitles", began)
        for what, times in zip(("ms", "ms of processor time"), zip(*search_times(session), strict=True), strict=True):
            figures[f"find_videos, {what}"] = f"median {median(times):.1f}, p95 {quantiles(times, n=20)[-1]:.1f}"
        figures["find_all"] = "{}; {}".format(*heard(session))
        began = perf_counter()
        answer = session.ask(f"Which videos mention the {NEEDLE}?")
        timed("ask (rules)", began)
        figures["answer"] = f"{len(answer.citations)} citations, {answer.usage.media_ms_analyzed} ms analyzed"
    with Session(library="with subtitles", settings=settings) as session:
        figures["find_all, with subtitles"] = "{}; {}".format(*heard(session))
    if not hear:
        return figures
    with Session(library="benchmark", settings=settings) as session:
        began = perf_counter()
        deaf = [one.name for one in session.session_videos if one.video.audio_tracks and not one.video.subtitle_tracks]
        _listen(session, deaf)
        timed(f"hear {len(deaf)} videos", began)
        figures["find_all, all heard"] = "{}; {}".format(*heard(session))
    return figures


def _listen(session: Session, names: Sequence[str]) -> None:
    for name in names:
        one = session.toolbox.session_videos[name]
        result = session.call("transcribe_speech", {"video": name, "ranges": str(one.scope)})
        assert not result.refused, result.text


def main(arguments: Iterable[str] | None = None) -> None:
    """Make the library, measure, and print a table."""
    asked = argparse.ArgumentParser("python -m benchmarks.library", description=__doc__)
    asked.add_argument("--folder", type=Path, default=Path("build/library"))
    asked.add_argument("--footage", type=Path, metavar="FOLDER", help="footage to add")
    asked.add_argument("--drawn", type=int, default=190, help="drawn clips with subtitles (default: 190)")
    asked.add_argument("--spoken", type=int, default=11, help="one-minute videos with speech and without subtitles (default: 11)")
    asked.add_argument("--hear", action="store_true", help="transcribe the speech of videos without subtitles, which takes minutes")
    chosen = asked.parse_args(None if arguments is None else list(arguments))
    make(chosen.folder / "videos", chosen.drawn, chosen.spoken, chosen.footage)
    (chosen.folder / "store.db").unlink(missing_ok=True)
    figures = measure(chosen.folder / "videos", chosen.folder / "store.db", chosen.hear)
    (chosen.folder / "library.json").write_text(json.dumps(figures, indent=2))
    table = Table("", "")
    for name, value in figures.items():
        table.add_row(name, str(value))
    Console().print(table)


if __name__ == "__main__":
    main()

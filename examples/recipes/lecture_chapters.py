"""Chapters of a lecture with its slides: one for each text that stays on the screen, with what is said meanwhile and a still.

python examples/recipes/lecture_chapters.py STORE FOLDER [VIDEO]
"""

import sys
from pathlib import Path

from analyzer_agent import Session, Settings
from analyzer_agent.media import jpeg, open_video
from analyzer_agent.sample import sample_path
from analyzer_agent.timeline import TimeRange, clock


def main(store: Path, folder: Path, video: Path | None = None) -> None:
    path = video or sample_path()
    folder.mkdir(parents=True, exist_ok=True)
    with Session(path, settings=Settings(store=store, manager="rules", tools=["scenes", "subtitles", "text"])) as session:
        session.index()
        for number, shot in enumerate(session.notes(["scene"]), 1):
            start, end = shot.span.start / 1000, shot.span.end / 1000
            slide = " / ".join(dict.fromkeys(note.text for note in session.notes(["text"], start=start, end=end)))
            said = " ".join(note.text for note in session.notes(["speech", "subtitle"], start=start, end=end))
            still = folder / f"slide-{number:02}.jpg"
            still.write_bytes(frame(path, (shot.span.start + shot.span.end) // 2))
            print(f"{clock(shot.span.start)} {slide or '(no text)'} ({still.name})")
            if said:
                print(f"    {said}")


def frame(path: Path, at: int) -> bytes:
    """Return the frame shown at `at` ms, as JPEG."""
    with open_video(path) as video:
        return jpeg(next(iter(video.frames(TimeRange(0, video.duration), instants=[at]))).image, 1280)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))

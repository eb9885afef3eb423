"""Minutes of a meeting: who spoke for how long, what was agreed and who will do what, each with its time.

Speakers come from a transcript with names: WebVTT with voices, or the output of WhisperX. The video
may be absent.

    python examples/recipes/meeting_minutes.py STORE [TRANSCRIPT [VIDEO]]
"""

import sys
from collections import Counter
from pathlib import Path

from analyzer_agent import JoinedNote, Session, Settings
from analyzer_agent.importing import prepare
from analyzer_agent.media import MissingVideo, open_video
from analyzer_agent.storage import Store
from analyzer_agent.timeline import clock

SAMPLE = Path(__file__).with_name("meeting.vtt")
SECTIONS = {"Agreed": "agreed decided", "To do": "will", "Open": "needs propose"}


def main(store: Path, transcript: Path = SAMPLE, video: Path | None = None) -> None:
    with open_video(video) if video else MissingVideo("meeting.mp4", 45_000) as opened, Store(store) as notes:
        prepare(transcript, opened, kind="speech").run(notes)
    with Session(video or "meeting.mp4", settings=Settings(store=store, manager="rules")) as session:
        said = session.notes(["speech"])
        spoken = Counter[str]()
        for note in said:
            spoken[speaker(note)] += note.span.length
        print("Present:", ", ".join(f"{name} ({ms / 1000:.0f} s)" for name, ms in spoken.most_common()))
        for title, words in SECTIONS.items():
            print(f"\n{title}")
            for note in sorted(session.search(words, ["speech"]), key=lambda note: note.span.start):
                print(f"- {clock(note.span.start)} {note.text} [#{note.id}]")


def speaker(note: JoinedNote) -> str:
    """Return the name in front of a note's text; imports put it there."""
    name, found, _ = note.text.partition(": ")
    return name if found else "unknown"


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))

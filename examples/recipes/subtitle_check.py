"""Check subtitles: lines that are read too fast, shown too briefly or too long, and voices without a line.

python examples/recipes/subtitle_check.py STORE [VIDEO]
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from analyzer_agent import JoinedNote, Session, Settings
from analyzer_agent.sample import sample_path

MAX_CHARS_PER_S, MIN_MS, MAX_MS, MIN_VOICE_MS = 17, 833, 7000, 1000


def main(store: Path, video: Path | None = None) -> None:
    settings = Settings(store=store, manager="rules", tools=["subtitles", "voice"])
    with Session(video or sample_path(), settings=settings) as session:
        results = session.index()
        lines, voices = session.notes(["subtitle"]), session.notes(["voice"])
        for line in lines:
            for fault in faults(line):
                print(f"{line.span} {fault}: {line.text} [#{line.id}]")
        for voice in voices:
            for part in voice.span.minus(line.span for line in lines):
                if part.length >= MIN_VOICE_MS:
                    print(f"{part} a voice without a line [#{voice.id}]")
        print(f"{len(lines)} lines and {len(voices)} voices checked")
        for result in results:
            for left in result.not_examined:
                print(f"not checked: {left.span} by {result.tool} ({left.reason})")


def faults(line: JoinedNote) -> Iterator[str]:
    """Yield what is wrong with a line, by the usual limits of broadcasters."""
    speed = len(line.text) / (line.span.length / 1000)
    if speed > MAX_CHARS_PER_S:
        yield f"{speed:.0f} characters per second"
    if line.span.length < MIN_MS:
        yield f"shown for {line.span.length} ms only"
    if line.span.length > MAX_MS:
        yield f"shown for {line.span.length / 1000:.1f} s"


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))

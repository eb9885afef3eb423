"""A supercut: one clip of every time that words are said or shown, with a second around each.

python examples/recipes/supercut.py STORE OUT.mp4 [WORDS [VIDEO]]
"""

import sys
from pathlib import Path

from analyzer_agent import Session, Settings, TimeRange
from analyzer_agent.media import ClipPart, open_video, write_clip
from analyzer_agent.sample import sample_path
from analyzer_agent.timeline import merge

AROUND_MS = 1000


def main(store: Path, out: Path, words: str = "ferry pier", *videos: str) -> None:
    path = Path(videos[0]) if videos else sample_path()
    with Session(path, settings=Settings(store=store, manager="rules", tools=["subtitles"])) as session, open_video(path) as file:
        session.index()
        found = session.search(words, limit=1000)
        wide = merge(TimeRange(max(0, n.span.start - AROUND_MS), min(file.duration, n.span.end + AROUND_MS)) for n in found)
        if not wide:
            print(f"Nothing with {words!r} in the notes.")
            return
        written = write_clip(out, [ClipPart(file, span) for span in wide])
        print(f"{out.name}: {len(wide)} part(s), {sum(span.length for span in wide) / 1000:.1f} s: {', '.join(map(str, wide))}")
        for fault in (one for found_there in written.faults.values() for one in found_there):
            print(f"not readable: {fault.span}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])

"""Two videos compared by what is said and written in them: what both have, and what only one has.

python examples/recipes/compare_videos.py STORE FIRST SECOND
"""

import sys
from difflib import SequenceMatcher
from pathlib import Path

from analyzer_agent import JoinedNote, Session, Settings

ALIKE = 0.85


def main(store: Path, first: Path, second: Path) -> None:
    with Session(first, second, settings=Settings(store=store, manager="rules", tools=["subtitles", "scenes"])) as session:
        session.index()
        ours, theirs = (session.notes(["subtitle", "speech", "text"], video=path) for path in (first, second))
        pairs = {one.id: other for one in ours if (other := closest(one, theirs))}
        matched = {other.id for other in pairs.values()}
        print(f"In both: {len(pairs)}")
        for one in ours:
            if (other := pairs.get(one.id)) and (moved := other.span.start - one.span.start):
                print(f"  {moved / 1000:+.1f} s: {one.text} [#{one.id}][#{other.id}]")
        for name, notes in (
            (first.name, [n for n in ours if n.id not in pairs]),
            (second.name, [n for n in theirs if n.id not in matched]),
        ):
            print(f"Only in {name}: {len(notes)}")
            for note in notes:
                print(f"  {note.span} {note.kind}: {note.text} [#{note.id}]")
        shots = [len(session.notes(["scene"], video=path)) for path in (first, second)]
        print(f"Shots: {shots[0]} and {shots[1]}")


def closest(note: JoinedNote, others: list[JoinedNote]) -> JoinedNote | None:
    """Return the note of the same kind whose text is most alike, if it is alike enough."""
    scored = [(SequenceMatcher(None, note.text, other.text).ratio(), other) for other in others if other.kind == note.kind]
    best = max(scored, key=lambda pair: pair[0], default=None)
    return best[1] if best and best[0] >= ALIKE else None


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))

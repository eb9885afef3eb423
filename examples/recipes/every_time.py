"""Every time a word appears: spoken, in subtitles or on the screen; and what was searched to find it.

python examples/recipes/every_time.py STORE [WORDS [VIDEO...]]
"""

import sys
from pathlib import Path

from analyzer_agent import Session, Settings
from analyzer_agent.sample import sample_path


def main(store: Path, words: str = "north island", *videos: str) -> None:
    settings = Settings(store=store, manager="rules", tools=["subtitles", "text"])
    with Session(*(videos or [str(sample_path())]), settings=settings) as session:
        results = session.index()
        found = [note for note in session.search(words, limit=1000) if all(word in note.text.lower() for word in words.lower().split())]
        print(f"{words!r}: {len(found)} times")
        for note in sorted(found, key=lambda note: (note.video, note.span)):
            print(f"  {note.video} {note.span} {note.kind}: {note.text} [#{note.id}]")
        for result in results:
            left = ", ".join(str(part.span) for part in result.not_examined) or "nothing"
            print(f"{result.tool} left out {left}{f': {result.refusal}' if result.refusal else ''}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])

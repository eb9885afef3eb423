"""How many went through an entrance, by class and by minute, from the tracks of a fixed camera.

With a video, the analyzer `tracks` follows objects (extra `vision`, and its weights). Without one,
tracks of another program are read from a CSV file.

    python examples/recipes/entrance_count.py STORE [CSV|VIDEO]
"""

import sys
from collections import Counter
from pathlib import Path

from analyzer_agent import Session, Settings
from analyzer_agent.importing import prepare
from analyzer_agent.media import MissingVideo
from analyzer_agent.storage import Store

SAMPLE = Path(__file__).with_name("entrance.csv")


def main(store: Path, given: Path = SAMPLE) -> None:
    counted = given.suffix == ".csv"
    if counted:
        with MissingVideo("entrance.mp4", 180_000) as video, Store(store) as notes:
            prepare(given, video).run(notes)
    with Session("entrance.mp4" if counted else given, settings=Settings(store=store, manager="rules")) as session:
        if not counted:
            session.index(["tracks"], every=0.5)
        tracks = session.notes(["track"])
        by_minute = Counter((note.span.start // 60_000, note.text.split()[0]) for note in tracks)
        print("In all:", ", ".join(f"{count} {name}" for name, count in Counter(note.text.split()[0] for note in tracks).most_common()))
        for (minute, name), count in sorted(by_minute.items()):
            ids = "".join(f"[#{note.id}]" for note in tracks if note.span.start // 60_000 == minute and note.text.split()[0] == name)
            print(f"  minute {minute}: {count} {name} {ids}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))

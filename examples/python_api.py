"""Use a video from Python: ask a question and a follow-up with live events, and read the notes.

By default it uses the sample clip:

    python examples/python_api.py [VIDEO]
"""

import sys
import tempfile
from pathlib import Path

from analyzer_agent import Session
from analyzer_agent.events import Answered, ToolFinished, ToolStarted
from analyzer_agent.sample import sample_path
from analyzer_agent.timeline import clock


def main(video: Path) -> None:
    with tempfile.TemporaryDirectory() as folder, Session(video, store=Path(folder) / "store.db") as session:
        answer = session.ask("How much does one basket of fish cost?")
        print(answer.text)
        for cited in answer.citations:
            print(f"  #{cited.note} {clock(cited.span.start)} {cited.kind}: {cited.text}")

        for event in session.stream("And what is the captain's name?"):
            if isinstance(event, ToolStarted) and event.new_ms:
                print(f"... {event.tool} looks at {event.new_ms / 1000:g} new seconds")
            elif isinstance(event, ToolFinished):
                print(f"... {event.result.tool}: {event.result.reused_ms / 1000:g} s were known already")
            elif isinstance(event, Answered):
                print(event.answer.text)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else sample_path())

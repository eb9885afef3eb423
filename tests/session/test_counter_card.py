"""A card is counted on a real clip with real OCR: a coarse pass is sent back with the gap, a fine one is complete."""

from pathlib import Path
from typing import Any

import av
import numpy as np

from analyzer_agent.protocols import Reply
from analyzer_agent.session import Session
from analyzer_agent.testing import ScriptedModel, call
from media_maker import drawn

SHOWN = ((3, 5), (8, 10), (13, 15))
"""The seconds in which the card is shown; a frame every 8 s sees it once."""


def clip(path: Path) -> Path:
    card, empty = (np.asarray(drawn(text)) for text in ("COUNTER 7", ""))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=2)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = card.shape[1], card.shape[0], "yuv420p", 2_000_000
        for n in range(40):
            image = card if any(start <= n / 2 < end for start, end in SHOWN) else empty
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, "rgb24")))
        container.mux(stream.encode())
    return path


def read(every: float | None = None) -> Reply:
    more: dict[str, Any] = {"every": every} if every else {}
    return Reply(calls=(call("read_screen_text", ranges=["0:00-0:20"], **more),))


def ids(messages: Any) -> list[int]:
    return [int(line[1:].split()[0]) for line in str(messages[-1]["content"]).splitlines() if line.startswith("#")]


def counts(messages: Any) -> Reply:
    notes = ids(messages)
    text = f"It appears {len(notes)} times {''.join(f'[#{n}]' for n in notes)}."
    return Reply(calls=(call("finish", answer=text, notes=notes, confidence="high", outcome="answered", claim="count"),))


def test_how_many_times_does_the_counter_card_appear(tmp_path: Path) -> None:
    found = Reply(calls=(call("find_all", words="counter"),))
    model = ScriptedModel(read(8), counts, read(), found, counts)
    with Session(clip(tmp_path / "cards.mp4"), store=tmp_path / "s.db", model=model, tools="text", verify="never") as session:
        answer = session.ask("How many times does the counter card appear?")
    back = str(model.requests[2][0][-1]["content"])
    assert 'claims "count"' in back and "Not looked at: read_screen_text 0:00-0:20 (every 2 s)" in back
    assert answer.text.startswith("It appears 3 times") and answer.complete and answer.complete.holds
    assert answer.to_dict()["complete"]["over"] == [{"analyzer": "text", "step": 2.0, "start": 0.0, "end": 20.0, "video": "cards.mp4"}]
    assert [cited.span.start // 1000 for cited in answer.citations] == [4, 8, 14]
    assert "Complete for 0:00-0:20, text every 2 s" in str(answer)


def test_that_it_says_something_else_nowhere(tmp_path: Path) -> None:
    none = call("finish", answer="No.", notes=[], confidence="high", outcome="not_found", claim="none")
    looks = (read(), Reply(calls=(call("find_all", words="saxophone"),)), Reply(calls=(none,)))
    with Session(
        clip(tmp_path / "cards.mp4"), store=tmp_path / "s.db", model=ScriptedModel(*looks), tools="text", verify="never"
    ) as session:
        answer = session.ask("Does it say saxophone anywhere?")
    (cited,) = answer.citations
    assert (cited.kind, cited.text) == ("absence", 'no "saxophone" in the notes of text: analyzed all of it every 2 s')
    assert answer.finished == "not_found" and answer.complete and answer.complete.holds

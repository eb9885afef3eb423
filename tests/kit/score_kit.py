"""What the tests of scores share: lines of an answer file, with their gold, as `batch` writes them."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from analyzer_agent.evals.score.answer_file import Scored, read_answers
from analyzer_agent.evals.score.sections import Section
from analyzer_agent.questions import Gold

ABCDE = ("one", "two", "three", "four", "five")
NO_COST = {"analyzer_seconds": 0.0, "media_seconds_analyzed": 0.0, "media_seconds_reused": 0.0, "wall_seconds": 0.0}


def gold(answer: Any = None, *, options: Sequence[str] = ABCDE, **more: Any) -> dict[str, Any]:
    empty: dict[str, Any] = {"evidence": [], "type": "", "dataset": "own", "group": "", "duration": None, "extra": {}}
    return {"answer": answer, "options": list(options)} | empty | more


def line(
    id: str, choice: str | None = None, right: Mapping[str, Any] | None = None, *, answer: str = "", finished: str = "answered", **more: Any
) -> dict[str, Any]:
    """Return an answer line; `cites` are pairs of seconds, `usage` what it cost."""
    cites, usage, steps = more.pop("cites", ()), more.pop("usage", {}), more.pop("steps", 1)
    return {
        "id": id,
        "question": more.pop("question", "What?"),
        "answer": answer,
        "choice": choice,
        "finished": finished,
        "confidence": "high",
        "citations": [{"note": n, "start": start, "end": end, "text": "x"} for n, (start, end) in enumerate(cites, 1)],
        "steps": [{"tool": "t"}] * steps,
        "usage": {"llm_calls": 1, "input_tokens": 10, "output_tokens": 5} | NO_COST | usage,
        **({"gold": dict(right)} if right is not None else {}),
        **more,
    }


def failed(id: str, right: Mapping[str, Any] | None = None) -> dict[str, Any]:
    return {"id": id, "error": {"message": "It broke.", "hint": "Mend it."}} | ({"gold": dict(right)} if right is not None else {})


def write(path: Path, *lines: Mapping[str, Any] | str) -> Path:
    path.write_text("".join(f"{one if isinstance(one, str) else json.dumps(one)}\n" for one in lines), encoding="utf-8")
    return path


def joined(folder: Path, *lines: Mapping[str, Any]) -> list[Scored]:
    return read_answers(write(folder / "joined.jsonl", *lines))


def open_one(id: str, text: str, right: str, **more: Any) -> Scored:
    return Scored(id, Gold(answer=right), finished="answered", text=text, **more)


def rows_of(section: Section | None) -> dict[str, Any]:
    """Return the rows of a table by their first cell."""
    assert section is not None
    return {str(name): tuple(cells) for name, *cells in section.rows}

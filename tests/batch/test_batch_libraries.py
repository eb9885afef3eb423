"""A folder, a pattern or a library stands for the video of a question."""

import json
from pathlib import Path
from typing import Any

import pytest

from analyzer_agent.errors import AgentError
from analyzer_agent.evals.formats import read_questions
from cli_kit import Cli, talk

ASKED = "What does the talk cost?"


@pytest.fixture
def talks(tmp_path: Path) -> Path:
    (folder := tmp_path / "talks").mkdir()
    for number in range(3):
        talk(folder / f"talk{number}.mp4", cues=((100, 900, f"Talk {number} costs forty."),), sound=False)
    return folder


def written(folder: Path, *lines: dict[str, Any]) -> Path:
    path = folder / "questions.jsonl"
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return path


def test_each_stands_for_a_video(cli: Cli, talks: Path, tmp_path: Path) -> None:
    cli("library", "add", talks, "--name", "all")
    path = written(
        tmp_path,
        {"id": "folder", "video": "talks", "question": ASKED},
        {"id": "pattern", "video": "talks/*[12].mp4", "question": ASKED},
        {"id": "library", "library": "all", "question": ASKED},
        {"id": "none", "question": ASKED},
    )
    out = tmp_path / "out.jsonl"
    cli("batch", path, "--out", out, "--tools", "subtitles", "--library", "all")
    rows = {row["id"]: row for row in map(json.loads, out.read_text().splitlines())}
    names = {id: {cited["video"] for cited in row["citations"]} for id, row in rows.items()}
    every = {f"talk{number}.mp4" for number in range(3)}
    assert names == {"folder": every, "pattern": every - {"talk0.mp4"}, "library": every, "none": every}
    assert "4 questions about 3 videos" in cli("batch", path, "--out", tmp_path / "b.jsonl", "--library", "all", "--plan").stdout


def test_what_is_wrong_is_told(cli: Cli, talks: Path, tmp_path: Path) -> None:
    path = written(tmp_path, {"id": "a", "video": "talks", "library": "all", "question": ASKED})
    with pytest.raises(AgentError, match="'video' and 'library' are both there"):
        read_questions(path)
    with pytest.raises(AgentError, match="the field 'video' is missing"):
        read_questions(written(tmp_path, {"id": "a", "question": ASKED}))
    result = cli("batch", written(tmp_path, {"id": "a", "library": "x", "question": ASKED}), "--out", tmp_path / "o.jsonl", code=1)
    assert "There is no library 'x'" in result.stderr

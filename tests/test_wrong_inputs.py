"""What people type and get wrong: each ends in a line that names the cause and a way out, and never in a traceback.

`wrong_inputs.txt` holds what is typed after `$ analyzer-agent`, with what is printed on stderr. Wrong usage (exit code 2) names the way
out in the same line, everything else (exit code 1) in a hint.
"""

import shlex
from pathlib import Path

import pytest
from cli_kit import Cli, talk

WRONG = [entry.strip().split("\n") for entry in Path(__file__).with_name("wrong_inputs.txt").read_text(encoding="utf-8").split("\n\n")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with two clips and a file of questions."""
    folder = tmp_path_factory.mktemp("wrong")
    talk(folder / "talk.mp4")
    talk(folder / "silent.mp4", sound=False)
    (folder / "questions.jsonl").write_text('{"id": "a", "video": "talk.mp4", "question": "What?"}\n')
    (folder / "noid.csv").write_text("video,question\ntalk.mp4,What?\n")
    return folder


@pytest.mark.parametrize("entry", WRONG, ids=[entry[0].removeprefix("$ ") for entry in WRONG])
def test_a_wrong_input_is_told_with_a_way_out(folder, monkeypatch, entry):
    monkeypatch.chdir(folder)
    typed, *wanted = entry
    result = Cli(folder)(*shlex.split(typed.removeprefix("$ ")), code=2 if len(wanted) == 1 else 1)
    said = [line for line in result.stderr.splitlines() if line and not line.startswith(("Usage: ", "Try '"))]
    assert said == wanted and result.stdout == ""

"""What people type and get wrong: each ends in a line that names the cause and a way out, and never in a traceback.

`wrong_inputs.txt` holds what is typed after `$ analyzer-agent`, with what is printed on stderr. Wrong usage (exit code 2) names the way
out in the same line, everything else (exit code 1) in a hint.
"""

import shlex
from pathlib import Path

import pytest

import tiny_whisper
from cli_kit import Cli, talk

WRONG = [entry.strip().split("\n") for entry in Path(__file__).with_name("wrong_inputs.txt").read_text(encoding="utf-8").split("\n\n")]


def fill(folder: Path) -> None:
    """Put the files of the table into a folder, and weights for speech where its user has them."""
    tiny_whisper.install(folder)
    talk(folder / "talk.mp4")
    talk(folder / "silent.mp4", sound=False)
    for name, text in {
        "questions.jsonl": '{"id": "a", "video": "talk.mp4", "question": "What?"}\n',
        "gone.jsonl": '{"id": "a", "video": "gone.mp4", "question": "What?"}\n',
        "noid.csv": "video,question\ntalk.mp4,What?\n",
        "empty.mp4": "",
        "notes.txt": "Dear diary,\n",
        "words.srt": "1\n00:00:00,000 --> 00:00:01,000\nGood morning.\n",
        "labels.txt": "[scene] a photo of {}\nbeach\nforest\n",
        "wrong.toml": 'modell = "m"\n',
    }.items():
        (folder / name).write_text(text)
    (folder / "recordings").mkdir()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wrong")
    fill(folder)
    return folder


@pytest.mark.parametrize("entry", WRONG, ids=[entry[0].removeprefix("$ ") for entry in WRONG])
def test_a_wrong_input_is_told_with_a_way_out(folder: Path, monkeypatch: pytest.MonkeyPatch, entry: list[str]) -> None:
    monkeypatch.chdir(folder)
    typed, *wanted = entry
    result = Cli(folder)(*shlex.split(typed.removeprefix("$ ")), code=2 if len(wanted) == 1 else 1)
    said = [line for line in result.stderr.replace(f"{folder}/", "").splitlines() if line and not line.startswith(("Usage: ", "Try '"))]
    assert said == wanted and result.stdout == ""

"""The recipes run, and print what is kept beside them."""

import importlib
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from media_maker import Clip, Text, write
from places import ROOT

RECIPES = ROOT / "examples" / "recipes"
Printed = Callable[..., None]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return one store for all recipes about the sample clip, so that each analyzer runs once."""
    return tmp_path_factory.mktemp("recipes") / "store.db"


@pytest.fixture
def prints_what_is_kept(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Printed:
    """Return a function that runs a recipe, and compares what it prints with the kept output, apart from the ids of notes."""
    monkeypatch.syspath_prepend(str(RECIPES))

    def check(name: str, *arguments: object) -> None:
        importlib.import_module(name).main(*arguments)
        kept = (RECIPES / "output" / f"{name}.txt").read_text(encoding="utf-8")
        printed = capsys.readouterr().out
        assert re.sub(r"\[#\d+\]", "[#]", printed) == re.sub(r"\[#\d+\]", "[#]", kept), "keep it: python examples/recipes/NAME.py ..."
        sys.modules.pop(name)

    return check


def test_every_recipe_has_its_output_and_a_line_in_the_docs() -> None:
    names = {path.stem for path in RECIPES.glob("*.py")}
    assert names == {path.stem for path in (RECIPES / "output").glob("*.txt")}
    page = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
    assert [name for name in sorted(names) if f"examples/recipes/{name}.py" not in page] == []
    outputs = (path.read_text(encoding="utf-8") for path in (RECIPES / "output").glob("*.txt"))
    assert all(text in page for text in outputs), "the page shows the kept outputs"


def test_minutes_of_a_meeting(prints_what_is_kept: Printed, tmp_path: Path) -> None:
    prints_what_is_kept("meeting_minutes", tmp_path / "s.db")


def test_who_went_through_an_entrance(prints_what_is_kept: Printed, tmp_path: Path) -> None:
    prints_what_is_kept("entrance_count", tmp_path / "s.db")


def test_faults_of_subtitles(prints_what_is_kept: Printed, store: Path) -> None:
    prints_what_is_kept("subtitle_check", store)


def test_two_videos(prints_what_is_kept: Printed, tmp_path: Path) -> None:
    first = [(100, 900, "Tickets cost ten dollars."), (1000, 1800, "The ferry leaves at nine.")]
    second = [(100, 900, "Children travel for free."), (1200, 1900, "The ferry leaves at nine.")]
    for name, cues in (("first.mp4", first), ("second.mp4", second)):
        write(tmp_path / name, Clip(times=range(0, 2000, 40), texts=(Text(cues),)))
    prints_what_is_kept("compare_videos", tmp_path / "s.db", tmp_path / "first.mp4", tmp_path / "second.mp4")


def test_a_supercut(prints_what_is_kept: Printed, store: Path, tmp_path: Path) -> None:
    prints_what_is_kept("supercut", store, tmp_path / "supercut.mp4")
    assert (tmp_path / "supercut.mp4").stat().st_size > 10_000


@pytest.mark.slow
def test_every_time_a_word_appears(prints_what_is_kept: Printed, store: Path) -> None:
    prints_what_is_kept("every_time", store)


@pytest.mark.slow
def test_chapters_with_slides(prints_what_is_kept: Printed, store: Path, tmp_path: Path) -> None:
    prints_what_is_kept("lecture_chapters", store, tmp_path / "slides")
    assert len(list((tmp_path / "slides").glob("slide-*.jpg"))) == 5

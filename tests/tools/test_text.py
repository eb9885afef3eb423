"""Text on screen: order, thresholds and times with a made-up reader; RapidOCR and EasyOCR through their real loaders."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analyzer_agent.errors import ToolRefusal, Unavailable
from analyzer_agent.evidence.merging import NoteReader
from analyzer_agent.evidence.plan import grain_work_ms
from analyzer_agent.protocols import EngineConfig, Grain
from analyzer_agent.records import Note
from analyzer_agent.testing import FakeEngine, FakeVideo
from analyzer_agent.timeline import TimeRange, instants
from analyzer_agent.tools.engines import easyocr, rapidocr
from analyzer_agent.tools.text import SHOWN_SCORE, SPEC, Line, asked_scripts, reading_order, tidy
from engines import LoadedEngine


class Given(LoadedEngine):
    """An engine whose reader gives prepared lines and counts how often it was asked."""

    name, weights, uncertain = "given", "", False

    def __init__(self, *lines: Line) -> None:
        self.lines, self.seen, self.loaded = list(lines), list[tuple[Any, tuple[str, ...]]](), 0

    def get(self) -> "Given":
        self.loaded += 1
        return self

    def read(self, image: Any, languages: Sequence[str]) -> Sequence[Line]:
        self.seen.append((image, tuple(languages)))
        return self.lines


def look(engine: Any, video: Any, span: TimeRange | None = None, step: int = 1000, **options: Any) -> list[Any]:
    """Return all observations of `span`, in whole grains."""
    whole = span or TimeRange(0, video.duration)
    grains = [Grain(g, step, tuple(instants(g, step, video.picture))) for g in whole.grains(SPEC.grain, video.duration)]
    return [seen for _, found in SPEC.bind(options, engine).analyze(video, grains) for seen in found]


def test_lines_are_ordered_by_row_then_by_column() -> None:
    right, left = ("right", 1.0, (200.0, 12.0, 50.0, 20.0)), ("left", 1.0, (10.0, 16.0, 50.0, 20.0))
    below, title = ("below", 1.0, (10.0, 40.0, 50.0, 20.0)), ("title", 1.0, (90.0, 0.0, 50.0, 8.0))
    assert [line[0] for line in reading_order([below, right, left, title])] == ["title", "left", "right", "below"]
    assert reading_order([right, below, title, left]) == reading_order([title, left, below, right])


def test_a_staircase_of_lines_is_not_one_row() -> None:
    stairs: list[Line] = [(str(n), 1.0, (100.0 - n * 10, n * 9.0, 50.0, 20.0)) for n in range(6)]
    order = [line[0] for line in reading_order(stairs)]
    assert {*order[:2]} == {"0", "1"}
    assert {*order[-2:]} == {"4", "5"}


def test_noise_and_empty_lines_are_not_stored_and_whitespace_is_normalised() -> None:
    box = (0.0, 0.0, 1.0, 1.0)
    assert tidy([(" a \n b\t", 0.3004, box), ("weak", 0.2994, box), ("  ", 0.9, box)]) == [("a b", 0.3, box)]


def test_an_observation_has_the_box_in_shares_of_the_picture_and_the_frames_own_time() -> None:
    video = FakeVideo(3_500, rate=4, start=100, size=(200, 100))
    first, second, *_, last = look(Given(("Title", 0.87654, (50.0, 10.0, 100.0, 20.0))), video)
    assert (first.kind, first.text, first.score) == ("text", "Title", 0.877)
    assert first.detail["box"] == [0.25, 0.1, 0.5, 0.2]
    assert (first.span, first.detail["pts"]) == (TimeRange(0, 1_000), 100)
    assert (second.span, second.detail["pts"]) == (TimeRange(1_000, 2_000), 850)
    assert last.span == TimeRange(3_000, 3_500)


def test_a_box_beyond_the_picture_is_clipped() -> None:
    (seen,) = look(Given(("edge", 0.9, (-10.0, 90.0, 400.0, 30.0))), FakeVideo(1_000, size=(200, 100)))
    assert seen.detail["box"] == [0.0, 0.9, 1.0, 0.1]


def test_pictures_that_look_the_same_are_read_once_and_different_ones_each() -> None:
    def picture(ms: int) -> Any:
        return np.full((36, 64, 3), 100 + 9 * (ms >= 4_000) + ms % 2_000 // 1_000, np.uint8)

    engine = Given(("x", 0.9, (0.0, 0.0, 9.0, 9.0)))
    found = look(engine, FakeVideo(10_000, picture_at=picture))
    assert len(found) == 10
    assert len(engine.seen) == 2


def test_an_empty_picture_gives_an_empty_grain_and_no_weights_are_loaded_for_grains_without_instants() -> None:
    video, engine = FakeVideo(16_000), Given()
    looked, known = Grain(TimeRange(0, 8_000), 1_000, (0,)), Grain(TimeRange(8_000, 16_000), 1_000)
    assert list(SPEC.bind({}, engine).analyze(video, [known])) == [(known, [])]
    assert (engine.loaded, video.reads) == (0, [])
    assert list(SPEC.bind({}, engine).analyze(video, [looked, known])) == [(looked, []), (known, [])]
    assert (engine.loaded, len(video.reads)) == (1, 1)


def test_languages_are_part_of_the_key_in_any_order_and_default_to_english() -> None:
    assert SPEC.bind({}, Given()).params == {"languages": ("en",)}
    assert SPEC.bind({"languages": ["de", "en"]}, Given()).params == SPEC.bind({"languages": ["en", "de", "en"]}, Given()).params
    with pytest.raises(ToolRefusal, match="languages"):
        SPEC.bind({"languages": []}, Given())
    with pytest.raises(Unavailable):
        SPEC.bind({}, None)


def test_min_score_selects_on_reading() -> None:
    reader: Any = NoteReader(None, {"text": SPEC})  # type: ignore[arg-type]
    for score, told in ((SHOWN_SCORE - 0.01, False), (SHOWN_SCORE, True)):
        seen, *_ = look(Given(("faint", score, (0.0, 0.0, 9.0, 9.0))), FakeVideo(1_000))
        assert reader.tells(Note(1, "v", "text", "k", seen), ["text"]) is told


@pytest.mark.shared
def test_burnt_in_numbers_are_read_at_their_times(shared: Path) -> None:
    from analyzer_agent.media import open_video

    class Loaded:
        name, weights, uncertain = "rapidocr", "", False
        reader = rapidocr.load(EngineConfig())

        def get(self) -> Any:
            return self.reader

    with open_video(shared / "media" / "counter.mp4") as video:
        found = look(Loaded(), video, step=500)
    read: dict[int, list[str]] = {}
    for seen in found:
        read.setdefault(seen.span.start, []).append(seen.text.replace(" ", ""))
    for t in range(0, 3_000, 500):
        assert read[t] == [f"Frame={t // 100 + 1}", f"PTS={t / 1000:.1f}s"]


def test_the_model_is_told_how_small_letters_may_be() -> None:
    assert "letters under 16 pixels" in SPEC.description


def test_the_key_and_the_estimate_change_for_pictures_that_are_read_in_tiles_alone() -> None:
    analyzer = SPEC.bind({}, Given())
    for size, effort in (((1920, 1080), 1), ((1080, 1920), 1), ((3840, 2160), 5), ((3440, 1440), 3)):
        video = FakeVideo(1_000, size=size)
        assert (analyzer.inputs(video), analyzer.effort(video)) == ({"tiles": 1} if effort > 1 else {}, effort)
    part = SPEC.bind({"region": [0, 0, 0.5, 0.5]}, Given())
    assert (part.inputs(video), part.effort(FakeVideo(1_000, size=(3840, 2160)))) == ({}, 1)
    grain = Grain(TimeRange(0, 8_000), 2_000, (0, 2_000))
    assert grain_work_ms(SPEC, grain, 5) == 5 * grain_work_ms(SPEC, grain)


@pytest.mark.parametrize(
    ("engine", "size", "lowest"),
    [
        ("rapidocr", (1920, 1080), 16),
        ("rapidocr", (960, 540), 8),
        ("rapidocr", (3840, 2160), 17),
        ("easyocr", (3840, 2160), 8),
    ],
)
def test_how_low_letters_are_not_read_is_told_from_what_the_engine_looks_at(engine: str, size: tuple[int, int], lowest: int) -> None:
    sides = {"rapidocr": rapidocr.ENGINE.input_side, "easyocr": easyocr.ENGINE.input_side}
    told = SPEC.bind({}, FakeEngine(None, input_side=sides[engine])).limits(FakeVideo(1_000, size=size))
    assert told == f"letters lower than about {lowest} pixels of this picture are not read"
    assert SPEC.bind({}, FakeEngine(None)).limits(FakeVideo(1_000)) == "", "of an engine that does not say, nothing is told"


def test_doubtful_lines_of_scripts_that_were_not_asked_for_are_dropped_and_sure_ones_kept() -> None:
    box = (0.0, 0.0, 9.0, 9.0)
    lines: list[Line] = [
        ("三", 0.97, box),
        ("口日", 0.7, box),
        ("北京欢迎你", 0.98, box),
        ("EXIT 出口", 0.6, box),
        ("EXIT", 0.4, box),
        ("...", 0.5, box),
    ]
    assert [line[0] for line in asked_scripts(lines, ["en"])] == ["北京欢迎你", "EXIT 出口", "EXIT", "..."]
    for language in ("ch_sim", "ja"):
        assert asked_scripts(lines, ["en", language]) == lines

"""Motion: when and where something moves; nothing for noise, light and cuts; the same whatever is asked together."""

import itertools
import json
import random
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from analyzer_agent.errors import Unavailable
from analyzer_agent.media import open_video
from analyzer_agent.protocols import EngineConfig, Grain
from analyzer_agent.records import Observation
from analyzer_agent.timeline import TimeRange, merge
from analyzer_agent.tools import motion
from analyzer_agent.tools.engines.opencv import ENGINE
from engines import LoadedEngine

WIDTH, HEIGHT = 320, 180
Picture = Callable[[int], np.ndarray]


class Loaded(LoadedEngine):
    """An engine as the session would hand it over."""

    name, weights, uncertain = "opencv", "", False

    def get(self) -> Any:
        return ENGINE.load(EngineConfig())


def write_clip(path: Path, picture: Picture, seconds: float, fps: int = 20) -> Path:
    """Write the pictures of a function of the time in ms."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps, options={"crf": "12", "preset": "ultrafast", "g": "40"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for i in range(round(seconds * fps)):
            frame = av.VideoFrame.from_ndarray(picture(i * 1000 // fps), format="rgb24")
            frame.pts, frame.time_base = i, Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def wall(seed: int = 1) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(60, 200, (9, 16, 3), dtype=np.uint8)
    return coarse.repeat(20, axis=0).repeat(20, axis=1)


def square(background: np.ndarray, x: float, y: float, side: int = 28, colour: Any = 245) -> np.ndarray:
    picture, left, top = background.copy(), round(x), round(y)
    picture[max(0, top) : max(0, top + side), max(0, left) : max(0, left + side)] = colour
    return picture


def bound() -> Any:
    return motion.SPEC.bind({}, Loaded())


def grains_of(video: Any, size: int = 60_000) -> list[Grain]:
    return [Grain(span) for span in TimeRange(0, video.duration).grains(size, video.duration)]


def found_in(path: Path, size: int = 60_000) -> list[Observation]:
    video = open_video(path)
    return [note for _, notes in bound().analyze(video, grains_of(video, size)) for note in notes]


def close_to(spans: Sequence[TimeRange], expected: Sequence[tuple[float, float]], tolerance: float) -> None:
    """Fail unless there are as many spans as expected, with all their ends within the tolerance (s)."""
    got = [(span.start / 1000, span.end / 1000) for span in spans]
    assert len(got) == len(expected), got
    for span, wanted in zip(got, expected, strict=True):
        assert span == pytest.approx(wanted, abs=tolerance), got


def crossing(t: int, start: int, end: int, y: int, background: np.ndarray, colour: Any = 245) -> np.ndarray:
    """Return the picture at `t` of a square that crosses from left to right between two times (ms)."""
    if not start <= t < end:
        return background
    return square(background, (t - start) / (end - start) * (WIDTH + 28) - 28, y, 28, colour)


@pytest.fixture(scope="module")
def crossings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Squares that cross at 3-6 s near the top and at 9-11 s near the bottom, of 14 s."""
    background = wall()
    path = tmp_path_factory.mktemp("motion") / "crossings.mp4"
    return write_clip(path, lambda t: crossing(t, 3000, 6000, 15, crossing(t, 9000, 11_000, 140, background)), 14)


def test_a_square_is_seen_when_and_where_it_moves(crossings: Path) -> None:
    top, bottom = found_in(crossings)
    close_to([top.span, bottom.span], [(3, 6), (9, 11)], 0.25)
    assert (top.kind, top.text) == ("motion", "motion at top, 2% of the picture")
    assert bottom.text == "motion at bottom, 2% of the picture"
    detail: Any = top.detail
    x, y, w, h = detail["box"]
    assert x < 0.05 and x + w > 0.95 and y < 0.12 and 0.12 < y + h < 0.35
    true_share = 28 * 28 / (WIDTH * HEIGHT)
    assert true_share * 0.7 < detail["area"] <= detail["peak"] < true_share * 2.5
    assert top.score == pytest.approx(detail["peak"] * 4, abs=0.01)
    assert not any("continues" in note.detail for note in (top, bottom))
    json.dumps([dict(note.detail) for note in (top, bottom)])


@pytest.mark.parametrize("size", [60_000, 4_000, 1_500])
def test_a_grain_does_not_depend_on_what_is_asked_with_it(crossings: Path, size: int) -> None:
    video, rng = open_video(crossings), random.Random(2)
    grains = grains_of(video, size)
    whole = dict(bound().analyze(video, grains))
    for grain, notes in whole.items():
        assert all(note.span.within(grain.span) == note.span for note in notes)
    for _ in range(2):
        asked = rng.sample(grains, rng.randint(1, len(grains)))
        assert [(grain, list(notes)) for grain, notes in bound().analyze(video, asked)] == [(grain, whole[grain]) for grain in asked]
    close_to(merge(note.span for notes in whole.values() for note in notes), [(3, 6), (9, 11)], 0.25)


def test_motion_over_a_seam_says_that_it_continues(crossings: Path) -> None:
    notes = found_in(crossings, 4_000)
    assert [(note.span.end == 4000, note.span.start == 4000, note.detail.get("continues")) for note in notes[:2]] == [
        (True, False, None),
        (False, True, True),
    ]


def still(t: int) -> np.ndarray:
    return wall()


def noise(t: int) -> np.ndarray:
    grain = np.random.default_rng(t).normal(0, 12, (HEIGHT, WIDTH, 3))
    return np.clip(wall() + grain, 0, 255).astype(np.uint8)


def lights_off(t: int) -> np.ndarray:
    return wall() if t < 4000 else (wall() * 0.6).astype(np.uint8)


def fading_light(t: int) -> np.ndarray:
    return (wall() * (1 - 0.5 * min(1, max(0, t - 3000) / 2500))).astype(np.uint8)


def hard_cut(t: int) -> np.ndarray:
    return wall(1 if t < 3500 else 2)


def flash(t: int) -> np.ndarray:
    return np.full((HEIGHT, WIDTH, 3), 255, np.uint8) if 4000 <= t < 4100 else wall()


def slides(t: int) -> np.ndarray:
    return wall(t // 2500)


def left_behind(t: int) -> np.ndarray:
    return wall() if t < 3000 else square(wall(), 100, 80, 60)


@pytest.mark.parametrize("picture", [still, noise, lights_off, fading_light, hard_cut, flash, slides, left_behind])
def test_what_does_not_move_leaves_no_note(tmp_path: Path, picture: Picture) -> None:
    assert found_in(write_clip(tmp_path / "clip.mp4", picture, 9)) == []


@pytest.mark.parametrize("fps", [2, 3, 5, 12])
def test_rare_frames_still_show_motion(tmp_path: Path, fps: int) -> None:
    path = write_clip(tmp_path / "clip.mp4", lambda t: crossing(t, 4000, 12_000, 80, wall()), 16, fps)
    close_to([note.span for note in found_in(path)], [(4, 12)], 0.2 + 1 / fps)


def test_a_belt_that_never_stops_is_motion_all_the_time(tmp_path: Path) -> None:
    def picture(t: int) -> np.ndarray:
        belt = wall()
        for i in range(-1, 5):
            belt = square(belt, i * 80 + t / 10 % 80, 70, 36, 30)
        return belt

    [note] = found_in(write_clip(tmp_path / "clip.mp4", picture, 20))
    assert note.span.start <= 250 and note.span.end >= 19_750
    assert note.text.startswith("motion at centre")


@pytest.mark.parametrize("colour", [(110, 110, 110), (125, 120, 120)])
def test_a_grey_thing_with_sharp_edges_is_no_shadow(tmp_path: Path, colour: tuple[int, ...]) -> None:
    def picture(t: int) -> np.ndarray:
        plain = np.full((HEIGHT, WIDTH, 3), 160, np.uint8)
        return crossing(t, 3000, 6000, 70, plain, np.array(colour, np.uint8))

    close_to([note.span for note in found_in(write_clip(tmp_path / "clip.mp4", picture, 9))], [(3, 6)], 0.3)


def test_a_soft_shadow_is_no_motion(tmp_path: Path) -> None:
    x, y = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))

    def picture(t: int) -> np.ndarray:
        distance = np.hypot(x - (t - 2000) / 10, y - 90)
        dim = 1 - 0.35 * np.clip((70 - distance) / 40, 0, 1)
        return np.asarray(wall() * dim[..., None]).astype(np.uint8)

    assert found_in(write_clip(tmp_path / "clip.mp4", picture, 9)) == []


def test_motion_in_noise_is_seen(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", lambda t: crossing(t, 3000, 6000, 70, noise(t)), 9)
    close_to([note.span for note in found_in(path)], [(3, 6)], 0.25)


def test_short_rests_are_bridged_and_long_ones_not(tmp_path: Path) -> None:
    def picture(t: int) -> np.ndarray:
        rest = 700 if t < 8000 else 1800
        moved = t % 8000 - (min(rest, max(0, t % 8000 - 3000)))
        return square(wall(), moved / 30 if t % 8000 < 6000 else 1000, 60)

    first, second, third = found_in(write_clip(tmp_path / "clip.mp4", picture, 15))
    assert first.span.start <= 250 and first.span.length > 5500
    assert second.span.start == pytest.approx(8000, abs=250) and second.span.end == pytest.approx(11_000, abs=250)
    assert third.span.start == pytest.approx(12_800, abs=250)


def test_a_moving_camera_is_motion_everywhere(tmp_path: Path) -> None:
    scene = np.random.default_rng(4).integers(0, 256, (18, 300, 3), dtype=np.uint8).repeat(10, axis=0).repeat(10, axis=1)
    [note] = found_in(write_clip(tmp_path / "clip.mp4", lambda t: scene[:, t // 5 : t // 5 + WIDTH], 6))
    assert note.text.startswith("motion everywhere") and note.score == 1.0
    assert note.span.start <= 250 and note.span.end >= 5750


@pytest.mark.parametrize("count", [1, 2, 5, 16, 17])
def test_the_background_is_the_median(count: int) -> None:
    rng, engine = np.random.default_rng(count), ENGINE.load(EngineConfig())
    pictures = [engine.small(rng.integers(0, 256, (40, 60, 3), dtype=np.uint8)) for _ in range(count)]
    ranked = np.sort([picture.colour for picture in pictures], axis=0)
    assert (engine.background(pictures).colour == ranked[count // 2]).all()


def test_the_engine_is_found_without_importing_and_needed() -> None:
    assert ENGINE.find(EngineConfig()).missing is None
    with pytest.raises(Unavailable):
        motion.SPEC.bind({})


PEOPLE = [(6.0, 20.1), (22.7, 45.0), (50.2, 70.1), (74.4, 87.1), (92.1, 120.1), (123.4, 136.1)]
"""When each of six people is in the picture (s), from the first visible bit to the last: YOLO's detections, then frame by frame by eye."""


HANDS = [(5.7, 7.3), (11.0, 13.8), (15.8, 18.2), (22.0, 24.9), (27.1, 29.2), (30.7, 32.1), (34.4, 37.0)]
"""When a hand takes or brings bottles (s), by eye; some come and go at once."""


@pytest.mark.shared
def test_people_are_marked_as_they_arrive_and_leave(shared: Path) -> None:
    spans = merge(note.span for note in found_in(shared / "media" / "people_one_by_one.mp4"))
    for arrival, departure in PEOPLE:
        assert min(abs(span.start / 1000 - arrival) for span in spans) <= 0.5, arrival
        assert min(abs(span.end / 1000 - departure) for span in spans) <= 0.5, departure
    for before, after in itertools.pairwise([(0.0, 0.0), *PEOPLE, (139.4, 139.4)]):
        empty = TimeRange(round(before[1] * 1000) + 500, round(after[0] * 1000) - 500)
        assert not any(span.overlaps(empty) for span in spans), empty


@pytest.mark.shared
def test_bottles_are_taken_and_brought(shared: Path) -> None:
    spans = [note.span for note in found_in(shared / "media" / "bottles.mp4") if note.score and note.score > 0.1]
    close_to(spans, HANDS, 0.5)

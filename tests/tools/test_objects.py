"""Objects: counting, filters and batches with a made-up detector; where weights lie, and what is said where they do not."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analyzer_agent.errors import Unavailable
from analyzer_agent.installing import VISION, install_extra, pip_install
from analyzer_agent.protocols import EngineConfig, Grain
from analyzer_agent.records import Observation
from analyzer_agent.testing import FakeEngine, FakeVideo
from analyzer_agent.timeline import TimeRange
from analyzer_agent.tools.engines import gpu, installed
from analyzer_agent.tools.engines import ultralytics as door
from analyzer_agent.tools.objects import SPEC, DetectedBox, selected
from engines import LoadedEngine, grains_of, look_with


class Given(LoadedEngine):
    """An engine whose detector gives prepared boxes and keeps how many pictures came at once."""

    name, weights, uncertain = "given", "", False

    def __init__(self, *boxes: DetectedBox, batch: int = 1) -> None:
        self.names, self.batch = ["person", "dog"], batch
        self.boxes, self.sizes, self.loaded = list(boxes), list[int](), 0

    def get(self) -> "Given":
        self.loaded += 1
        return self

    def detect(self, images: Sequence[Any], floor: float, vocabulary: Sequence[str] = ()) -> Sequence[Sequence[DetectedBox]]:
        self.asked = tuple(vocabulary)
        self.sizes.append(len(images))
        return [[box for box in self.boxes if box[1] >= floor] for _ in images]


def look(engine: Any, video: Any, span: TimeRange | None = None, step: int = 1000) -> list[Observation]:
    return look_with(SPEC, engine, video, step, span)


def test_one_observation_per_class_counts_the_boxes_that_are_likely() -> None:
    boxes = [("dog", 0.2, (0.0, 0.0, 20.0, 10.0)), ("person", 0.26, (50.0, 50.0, 100.0, 50.0)), ("person", 0.9, (0.0, 0.0, 10.0, 100.0))]
    video = FakeVideo(1_000, size=(200, 100))
    person, dog = look(Given(*boxes, ("person", 0.11, (1.0, 1.0, 1.0, 1.0)), ("person", 0.09, (1.0, 1.0, 1.0, 1.0))), video)
    assert (person.kind, person.text, person.score, person.span) == ("object", "2 person", 0.9, TimeRange(0, 1_000))
    assert person.detail == {
        "class": "person",
        "boxes": [[0.0, 0.0, 0.05, 1.0, 0.9], [0.25, 0.5, 0.5, 0.5, 0.26], [0.005, 0.01, 0.005, 0.01, 0.11]],
        "pts": 0,
    }
    assert (dog.text, dog.score) == ("dog?", 0.2)


def test_select_counts_anew_and_keeps_the_rest() -> None:
    rows = [[0.1, 0.1, 0.2, 0.2, 0.9], [0.3, 0.3, 0.2, 0.2, 0.4], [0.5, 0.5, 0.2, 0.2, 0.15]]
    seen = Observation(TimeRange(0, 1), "object", "2 person", 0.9, {"class": "person", "boxes": rows, "pts": 0})
    assert selected(seen, {}) == Observation(seen.span, "object", "2 person", 0.9, {"class": "person", "boxes": rows[:2], "pts": 0})
    strict = selected(seen, {"min_score": 0.5})
    assert strict is not None and (strict.text, strict.detail["boxes"]) == ("1 person", rows[:1])
    lax = selected(seen, {"min_score": 0.1})
    assert lax is not None and (lax.text, lax.detail["boxes"]) == ("3 person", rows)
    assert selected(seen, {"classes": ["Person"]}) == selected(seen, {})
    assert selected(seen, {"classes": ["dog"]}) is None
    assert selected(seen, {"min_score": 0.95}) is None


def test_a_doubtful_find_is_read_only_with_a_lower_min_score() -> None:
    (seen,) = look(Given(("person", 0.2, (0.0, 0.0, 9.0, 9.0))), FakeVideo(1_000))
    assert SPEC.select is not None
    assert (seen.text, SPEC.select(seen, {})) == ("person?", None)
    lax = SPEC.select(seen, {"min_score": 0.2, "classes": ["person"]})
    assert lax is not None and (lax.text, lax.score) == ("1 person", 0.2)


@pytest.mark.parametrize("score", [0.2496, 0.2494, 0.25, 0.2505])
def test_what_is_stored_and_what_is_read_count_the_same_boxes(score: float) -> None:
    (seen,) = look(Given(("person", score, (0.0, 0.0, 9.0, 9.0))), FakeVideo(1_000))
    assert (seen.text == "1 person") == (selected(seen, {}) is not None)


def changing(pts: int) -> Any:
    """Return a picture that no other second has."""
    return np.full((36, 64, 3), pts // 1_000, np.uint8)


def test_frames_go_in_batches_across_grains_and_each_grain_keeps_its_own() -> None:
    video, engine = FakeVideo(20_000, picture_at=changing), Given(("dog", 0.5, (0.0, 0.0, 9.0, 9.0)), batch=6)
    found = list(SPEC.bind({}, engine).analyze(video, grains_of(video, SPEC, TimeRange(0, 20_000), 1_000)))
    assert engine.sizes == [6, 6, 6, 2]
    assert [(grain.span.start, len(seen)) for grain, seen in found] == [(0, 8), (8_000, 8), (16_000, 4)]
    assert [seen.span.start for _, some in found for seen in some] == list(range(0, 20_000, 1_000))


def test_a_grain_is_yielded_before_the_next_batch_is_taken() -> None:
    video, engine = FakeVideo(24_000, picture_at=changing), Given(batch=8)
    results = SPEC.bind({}, engine).analyze(video, grains_of(video, SPEC, TimeRange(0, 24_000), 1_000))
    next(results)
    assert engine.sizes == [8]


def test_a_picture_that_stands_still_is_detected_once_and_told_at_every_instant() -> None:
    engine = Given(("dog", 0.5, (0.0, 0.0, 9.0, 9.0)), batch=3)
    found = look(engine, FakeVideo(20_000, picture_at=lambda pts: changing(pts // 7_000 * 7_000)))
    assert sum(engine.sizes) == 3
    assert [(seen.span.start, seen.text) for seen in found] == [(t, "1 dog") for t in range(0, 20_000, 1_000)]


def test_nothing_is_loaded_for_grains_without_instants_and_facts_name_the_classes() -> None:
    engine, grain = Given(), Grain(TimeRange(0, 8_000), 1_000)
    analyzer = SPEC.bind({}, engine)
    assert list(analyzer.analyze(FakeVideo(8_000), [grain])) == [(grain, [])]
    assert engine.loaded == 0
    assert analyzer.facts() == {"classes": ["person", "dog"]}
    with pytest.raises(Unavailable):
        SPEC.bind({}, None)


def test_what_is_named_becomes_part_of_the_key_and_nothing_where_nothing_is() -> None:
    engine = Given(("tripod", 0.9, (0.0, 0.0, 9.0, 9.0)))
    assert SPEC.bind({}, engine).params == SPEC.bind({"vocabulary": []}, engine).params == {}
    named = SPEC.bind({"vocabulary": ["Tripod", " red  car", "tripod", ""]}, engine)
    assert named.params == {"vocabulary": ("red car", "tripod")}
    assert named.facts() == {"classes": ["red car", "tripod"]} and engine.loaded == 0
    video = FakeVideo(1_000)
    assert [seen.text for _, found in named.analyze(video, grains_of(video, SPEC, TimeRange(0, 1_000), 1_000)) for seen in found] == [
        "1 tripod"
    ]
    assert engine.asked == ("red car", "tripod")


@pytest.mark.parametrize(
    ("name", "wanted", "device"),
    [("mine.pt", "auto", "cuda"), ("mine.pt", "cpu", "cpu"), ("mine.pt", "cuda:1", "cuda:1"), ("mine.onnx", "auto", "cpu")],
)
def test_where_weights_would_run_is_told_from_files(
    name: str, wanted: str, device: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu, "_DRIVER_FILES", (str(tmp_path),))
    monkeypatch.setattr(gpu, "torch_build", lambda: "13.0")
    monkeypatch.setattr(installed, "is_installed", lambda name: True)
    (tmp_path / name).touch()
    assert door.find(EngineConfig(weights=tmp_path / name, device=wanted)).device == device


def test_weights_are_found_by_name_and_told_apart_by_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installed, "is_installed", lambda name: True)
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    config = EngineConfig(weights_dir=tmp_path)
    assert door.find(config).missing == "no detector weights are here"
    (tmp_path / "yolov8n.pt").write_bytes(b"1" * 5_000_000)
    first = door.find(config).weights
    assert first.startswith("yolov8n.pt:")
    (tmp_path / "yolov8n.pt").write_bytes(b"1" * 4_999_999 + b"2")
    assert door.find(config).weights != first
    (tmp_path / "yolo11n.pt").write_bytes(b"1")
    assert door.find(config).weights.startswith("yolo11n.pt:")
    named = EngineConfig(weights=tmp_path / "mine.pt", weights_dir=tmp_path)
    assert "mine.pt" in (door.find(named).missing or "")
    with pytest.raises(Unavailable, match="mine"):
        door.load(named)


def test_an_exported_folder_is_told_apart_by_every_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installed, "is_installed", lambda name: True)
    folder = tmp_path / "mine_openvino_model"
    folder.mkdir()
    (folder / "mine.bin").write_bytes(b"weights")
    (folder / "metadata.yaml").write_text("names: {0: cup}")
    before = door.find(EngineConfig(weights=folder)).weights
    (folder / "metadata.yaml").write_text("names: {0: mug}")
    assert door.find(EngineConfig(weights=folder)).weights != before


def test_weights_are_looked_for_where_ultralytics_is_set_up_to_keep_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installed, "is_installed", lambda name: True)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    settings = tmp_path / ".config" / "Ultralytics" / "settings.json"
    settings.parent.mkdir(parents=True)
    (tmp_path / "yolo11s.pt").write_bytes(b"1")
    settings.write_text(f'{{"weights_dir": "{tmp_path}"}}')
    assert door.find(EngineConfig()).weights.startswith("yolo11s.pt:")
    settings.write_text("not json")
    assert door.find(EngineConfig()).missing == "no detector weights are here"


@pytest.mark.parametrize(
    ("absent", "name", "fix"),
    [
        ("ultralytics", "any.pt", install_extra(VISION)),
        ("openvino", "any_int8_openvino_model", pip_install("openvino")),
        ("onnxruntime", "any.onnx", pip_install("onnxruntime")),
    ],
)
def test_a_missing_package_is_named_with_the_line_that_installs_it(
    absent: str, name: str, fix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installed, "is_installed", lambda package: package != absent)
    (tmp_path / name).touch()
    found = door.find(EngineConfig(weights=tmp_path / name))
    assert repr(absent) in (found.missing or "")
    assert found.fix == fix


@pytest.mark.parametrize(("size", "smallest"), [((3840, 2160), 96), ((2160, 3840), 96), ((1920, 1080), 48), ((320, 180), 16)])
def test_how_small_objects_are_not_found_is_told_from_the_side_that_the_detector_looks_at(size: tuple[int, int], smallest: int) -> None:
    told = SPEC.bind({}, FakeEngine(None, input_side=door.ENGINE.input_side)).limits(FakeVideo(1_000, size=size))
    assert told == f"objects smaller than about {smallest} pixels of this picture are not found"
    assert SPEC.bind({}, FakeEngine(None)).limits(FakeVideo(1_000, size=size)) == ""

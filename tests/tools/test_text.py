"""Text on screen: order, thresholds and times with a made-up reader; RapidOCR and EasyOCR through their real loaders."""

import gc
import itertools
import os
import subprocess
import sys
import textwrap
import warnings
import weakref
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analyzer_agent.errors import ToolRefusal, Unavailable
from analyzer_agent.evidence.merging import NoteReader
from analyzer_agent.protocols import EngineConfig, Grain, WeightCaches
from analyzer_agent.records import Note
from analyzer_agent.testing import FakeVideo
from analyzer_agent.timeline import TimeRange, instants
from analyzer_agent.tools.engines import easyocr, gpu, installed, rapidocr
from analyzer_agent.tools.text import SHOWN_SCORE, SPEC, Line, reading_order, tidy
from engines import LoadedEngine
from media_maker import drawn

needs_easyocr = pytest.mark.skipif(find_spec("easyocr") is None, reason="needs easyocr (pip install 'analyzer-agent[vision]')")


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


@pytest.fixture(scope="module")
def reader() -> Any:
    return rapidocr.ENGINE.load(EngineConfig())


def test_rapidocr_reads_lines_where_they_are(reader: Any) -> None:
    picture = drawn("Price: 40 euros\nThank you")[..., ::-1]
    lines = reading_order(tidy(reader.read(np.ascontiguousarray(picture), ["en"])))
    assert [line[0] for line in lines] == ["Price: 40 euros", "Thank you"]
    (x, y, width, height), below = lines[0][2], lines[1][2]
    assert 0 <= x < 30 and 0 <= y < 30 and 150 < width < 260 and 15 < height < 50
    assert below[1] > y + height / 2


def test_rapidocr_finds_nothing_on_a_plain_picture(reader: Any) -> None:
    assert reader.read(np.full((90, 160, 3), 128, np.uint8), ["en"]) == []


def test_rapidocr_names_the_languages_it_reads(reader: Any) -> None:
    with pytest.raises(ToolRefusal, match=r"'ru'; it reads .*\ben\b"):
        reader.read(np.zeros((36, 64, 3), np.uint8), ["en", "ru"])


def test_what_rapidocr_reads_is_what_the_library_says(reader: Any) -> None:
    assert frozenset(reader._pipeline.list_supported_langs("rec", "PP-OCRv6", "small")) == rapidocr._LANGUAGES
    for languages, why in ((["de", "en"], None), (["ch_sim"], None), (["ko", "en", "ru"], "does not read 'ko', 'ru'; it reads ")):
        told = rapidocr.ENGINE.unsupported_reason(EngineConfig(), {"languages": languages})
        assert told is None if why is None else told and told.startswith(why)


def test_rapidocr_gives_what_plain_rapidocr_gives(reader: Any) -> None:
    picture = np.ascontiguousarray(drawn("Price: 40 euros\nThank you")[..., ::-1])
    plain = reader._pipeline.__class__(params={"Global.text_score": 0.0, "Global.use_cls": False, "Det.limit_type": "max"})(picture)
    found = reader.read(picture, ["en"])
    assert [(text, score) for text, score, _ in found] == list(zip(plain.txts, map(float, plain.scores), strict=True))
    for (_, _, (x, y, width, height)), corners in zip(found, plain.boxes, strict=True):
        assert (x, y) == tuple(corners.min(axis=0)) and (x + width, y + height) == tuple(corners.max(axis=0))


def test_rapidocr_is_quiet_writes_nothing_and_never_touches_the_network(tmp_path: Path) -> None:
    script = """
        import sys
        told = []
        def hook(event, args):
            if event.startswith(("socket.connect", "socket.getaddrinfo", "subprocess", "os.system")):
                told.append(event)
            if event == "open" and isinstance(args[1], str) and set(args[1]) & set("wax+"):
                told.append(args[0])
        from analyzer_agent.protocols import EngineConfig
        from analyzer_agent.tools.engines.rapidocr import ENGINE
        import numpy as np
        sys.dont_write_bytecode = True
        sys.addaudithook(hook)
        ENGINE.load(EngineConfig()).read(np.zeros((64, 64, 3), np.uint8), ["en"])
        assert not told, told
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("ORT", "XDG"))} | {"HOME": str(tmp_path)}
    command = [sys.executable, "-c", textwrap.dedent(script)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    # onnxruntime's own code is out of the hook's sight; it would leave an identifier here.
    assert not list(tmp_path.rglob("*"))


def test_rapidocr_is_found_without_importing_it() -> None:
    script = """
        import sys
        from analyzer_agent.protocols import EngineConfig
        from analyzer_agent.tools.engines.rapidocr import ENGINE
        assert ENGINE.find(EngineConfig()).missing is None
        assert not {"rapidocr", "onnxruntime", "cv2"} & sys.modules.keys()
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=True)


def test_rapidocr_says_what_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(rapidocr, "package_folder", lambda name: tmp_path)
    assert "PP-OCRv6_det_small.onnx" in (rapidocr.find(EngineConfig()).missing or "")
    with pytest.raises(Unavailable, match=r"PP-OCRv6_det_small\.onnx"):
        rapidocr.load(EngineConfig())
    monkeypatch.setattr(installed, "is_installed", lambda name: name != "rapidocr")
    assert rapidocr.find(EngineConfig()).missing == "the package 'rapidocr' is not installed"


@needs_easyocr
@pytest.mark.parametrize("recogniser", ["english_g2.pth", "latin_g2.pth", "thai.pth"])
def test_easyocr_needs_its_weights_and_a_gpu_unless_weights_are_named(
    recogniser: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(gpu, "_DRIVER_FILES", (str(tmp_path / "gpu"),))
    monkeypatch.setattr(gpu, "torch_build", lambda: "13.0")
    folder = tmp_path / "easyocr"
    assert "craft_mlt_25k.pth" in (easyocr.find(EngineConfig(weights=folder)).missing or "")
    on_cpu = f"to run it on the CPU all the same: analyzer-agent weights pull text, then --weights text={folder}"
    caches = WeightCaches(easyocr=tmp_path / "none")
    assert easyocr.find(EngineConfig(weights_dir=tmp_path, caches=caches)).fix == on_cpu
    assert "craft_mlt_25k.pth" in (easyocr.find(EngineConfig(weights_dir=tmp_path, device="cuda", caches=caches)).missing or "")
    folder.mkdir()
    (folder / "craft_mlt_25k.pth").touch()
    assert "english_g2.pth" in (easyocr.find(EngineConfig(weights=folder)).missing or "")
    (folder / recogniser).touch()
    named = easyocr.find(EngineConfig(weights=folder))
    assert (named.missing, named.device) == (None, "cpu")
    assert easyocr.find(EngineConfig(weights_dir=tmp_path)).missing == "EasyOCR needs a GPU"
    assert easyocr.find(EngineConfig(weights_dir=tmp_path, device="cuda:1")).device == "cuda:1"
    assert easyocr.find(EngineConfig(weights_dir=tmp_path, device="cpu")).missing == "EasyOCR needs a GPU"
    (tmp_path / "gpu").touch()
    assert easyocr.find(EngineConfig(weights_dir=tmp_path)).device == "cuda"
    monkeypatch.setattr(gpu, "torch_build", lambda: "cpu")
    assert easyocr.find(EngineConfig(weights_dir=tmp_path)).missing == "EasyOCR needs a GPU"


@needs_easyocr
def test_easyocr_reads_what_its_own_reader_would_choose_the_recogniser_for(tmp_path: Path) -> None:
    """The truth is `easyocr.Reader` itself, for every language and every pair."""
    with warnings.catch_warnings(action="ignore"):
        import easyocr as library
        from easyocr.config import all_lang_list, recognition_models

    names = {model["filename"]: model for models in recognition_models.values() for model in models.values()}
    before, folder = list(sys.path), tmp_path / "weights"
    folder.mkdir()
    for file in names:
        (folder / file).touch()
    (folder / "craft_mlt_25k.pth").touch()
    config, told = EngineConfig(weights=folder), set()
    for languages in [[one] for one in all_lang_list] + [sorted(pair) for pair in itertools.combinations(all_lang_list, 2)]:
        why = easyocr.unsupported_reason(config, {"languages": languages})
        try:
            reader = library.Reader(
                languages, gpu=False, detector=False, recognizer=False, verbose=False, model_storage_directory=str(folder),
                user_network_directory=str(folder),
            )  # fmt: skip
        except (ValueError, FileNotFoundError) as refusal:  # some languages are listed, but their characters are missing
            assert why, languages
            assert why.startswith("cannot read" if isinstance(refusal, ValueError) else "does not know") or len(languages) > 1, languages
            continue
        assert why is None, languages
        file = easyocr._file(easyocr._recogniser(languages)[0])
        assert reader.character == names[file]["characters"], languages
        told.add(file)
    sys.path[:] = before
    assert len(told) > 12
    for file in told:
        (folder / file).unlink()
    assert easyocr.unsupported_reason(config, {"languages": ["de"]}) == f"the recogniser 'latin_g2.pth' for de is not in {folder}"
    assert "does not know 'xx'; it knows abq, " in (easyocr.unsupported_reason(config, {"languages": ["en", "xx"]}) or "")


@needs_easyocr
def test_what_easyocr_reads_is_told_in_milliseconds_without_importing_it(tmp_path: Path) -> None:
    script = """
        import os, sys, time
        from pathlib import Path
        from analyzer_agent.protocols import EngineConfig
        from analyzer_agent.tools.engines.easyocr import ENGINE
        before, began = dict(os.environ), time.perf_counter()
        reason = ENGINE.unsupported_reason(EngineConfig(weights=Path(sys.argv[1])), {"languages": ["ja", "ko"]})
        assert reason == "cannot read ko together with ja"
        assert time.perf_counter() - began < 0.25
        assert dict(os.environ) == before
        assert not {"easyocr", "torch"} & sys.modules.keys()
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script), str(tmp_path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.fixture(scope="module")
def easyocr_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights in EasyOCR's own format, random but for a bias that lets its detector see text everywhere."""
    with warnings.catch_warnings(action="ignore"):
        import torch
        from easyocr.config import recognition_models
        from easyocr.craft import CRAFT
        from easyocr.model.vgg_model import Model

        torch.manual_seed(5)
        detector = CRAFT()
        with torch.no_grad():
            detector.conv_cls[-1].weight.mul_(0.01)
            detector.conv_cls[-1].bias.copy_(torch.tensor([1.0, 0.0]))
        characters = recognition_models["gen2"]["english_g2"]["characters"]
        recogniser = Model(input_channel=1, output_channel=256, hidden_size=256, num_class=len(characters) + 1)
        folder = tmp_path_factory.mktemp("easyocr")
        for name, network in (("craft_mlt_25k.pth", detector), ("english_g2.pth", recogniser)):
            torch.save({f"module.{key}": value for key, value in network.state_dict().items()}, folder / name)
    return folder


@pytest.fixture
def trusted(easyocr_weights: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make EasyOCR's table of sums know the weights made here."""
    import hashlib

    from easyocr import config

    def md5(name: str) -> str:
        return hashlib.md5((easyocr_weights / name).read_bytes()).hexdigest()

    monkeypatch.setitem(config.detection_models["craft"], "md5sum", md5("craft_mlt_25k.pth"))
    monkeypatch.setitem(config.recognition_models["gen2"]["english_g2"], "md5sum", md5("english_g2.pth"))
    return easyocr_weights


@needs_easyocr
def test_easyocr_gives_what_plain_easyocr_gives(trusted: Path) -> None:
    before = list(sys.path)
    picture = np.ascontiguousarray(drawn("Hello")[..., ::-1])
    lines = easyocr.load(EngineConfig(weights=trusted, device="cpu")).read(picture, ["en"])
    assert sys.path == before
    with warnings.catch_warnings(action="ignore"):
        import easyocr as library

        plain = library.Reader(["en"], gpu=False, model_storage_directory=str(trusted), download_enabled=False, verbose=False).readtext(
            picture
        )
    sys.path[:] = before
    assert len(lines) == len(plain) > 0
    for (text, score, (x, y, width, height)), (corners, words, confidence) in zip(lines, plain, strict=True):
        assert text == words and score == pytest.approx(float(confidence))
        assert [x, y] == [float(v) for v in np.min(corners, axis=0)]
        assert [x + width, y + height] == [float(v) for v in np.max(corners, axis=0)]


@needs_easyocr
def test_easyocr_never_deletes_weights_that_it_does_not_know(easyocr_weights: Path) -> None:
    reader = easyocr.load(EngineConfig(weights=easyocr_weights, device="cpu"))
    with pytest.raises(Unavailable, match="MD5"):
        reader.read(np.zeros((36, 64, 3), np.uint8), ["en"])
    assert {"craft_mlt_25k.pth", "english_g2.pth"} <= {file.name for file in easyocr_weights.iterdir()}


@needs_easyocr
def test_easyocr_makes_room_when_memory_runs_out_and_gives_it_back_when_closed(trusted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    idle = ["another engine"]

    def make_room() -> bool:
        return bool(idle) and bool(idle.pop())

    engine = easyocr.load(EngineConfig(weights=trusted, device="cpu", make_room=make_room))
    picture = np.ascontiguousarray(drawn("Hello")[..., ::-1])
    expected, reader = engine.read(picture, ["en"]), engine._reader(("en",))
    tries: list[bool] = []

    def short(image: Any, readtext: Any = reader.readtext) -> Any:
        tries.append(bool(idle))
        if idle or len(tries) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
        return readtext(image)

    monkeypatch.setattr(reader, "readtext", short)
    assert engine.read(picture, ["en"]) == expected
    assert tries == [True, False]
    with pytest.raises(Unavailable, match="Memory ran out") as caught:
        engine.read(picture, ["en"])
    assert "--device cpu" in caught.value.hint
    monkeypatch.undo()
    held = weakref.ref(reader.detector), weakref.ref(reader.recognizer)
    del reader, short
    engine.close()
    gc.collect()
    assert [ref() for ref in held] == [None, None]


@needs_easyocr
def test_easyocr_names_a_device_that_is_not_here(trusted: Path) -> None:
    assert easyocr.load(EngineConfig(weights=trusted, device="cpu")).device == "cpu"
    with pytest.raises(Unavailable, match="'cuda:97' is not here"):
        easyocr.load(EngineConfig(weights=trusted, device="cuda:97"))


@needs_easyocr
def test_easyocr_names_what_it_cannot_read(trusted: Path) -> None:
    reader = easyocr.load(EngineConfig(weights=trusted, device="cpu"))
    blank = np.zeros((36, 64, 3), np.uint8)
    with pytest.raises(ToolRefusal, match=r"'xx'.*\ben\b"):
        reader.read(blank, ["xx"])
    with pytest.raises(Unavailable, match=r"japanese_g2\.pth"):
        reader.read(blank, ["ja"])


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

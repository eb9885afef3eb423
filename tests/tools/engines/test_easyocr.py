"""The door to EasyOCR: its weights, its languages, its memory, and lines as the plain library reads them."""

import gc
import itertools
import subprocess
import sys
import textwrap
import warnings
import weakref
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analyzer_agent.errors import ToolRefusal, Unavailable
from analyzer_agent.protocols import EngineConfig, WeightCaches
from analyzer_agent.tools.engines import easyocr, gpu
from media_maker import drawn

needs_easyocr = pytest.mark.skipif(find_spec("easyocr") is None, reason="needs easyocr (pip install 'analyzer-agent[vision]')")


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
        before, began = dict(os.environ), time.process_time()
        reason = ENGINE.unsupported_reason(EngineConfig(weights=Path(sys.argv[1])), {"languages": ["ja", "ko"]})
        assert reason == "cannot read ko together with ja"
        assert time.process_time() - began < 0.25
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

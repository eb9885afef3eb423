"""The door to RapidOCR: lines where they are, as the plain library reads them."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analyzer_agent.errors import ToolRefusal, Unavailable
from analyzer_agent.protocols import EngineConfig
from analyzer_agent.tools.engines import installed, rapidocr
from analyzer_agent.tools.text import reading_order, tidy
from media_maker import drawn


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


@pytest.mark.parametrize(
    "turn", [lambda p: p[::-1, ::-1], lambda p: p[:, ::-1], lambda p: p[::-1]], ids=["upside down", "mirrored", "both"]
)
def test_lines_upside_down_or_in_a_mirror_are_read_as_they_were_written(reader: Any, turn: Any) -> None:
    written = ["Price: 40 euros", "HELLO", "Harbour at dawn", "2024-11-03 12:40"]
    picture = turn(drawn("\n".join(written), 480, 240, 36)[..., ::-1])
    read = [text for text, _, _ in reading_order(tidy(reader.read(np.ascontiguousarray(picture), ["en"])))]
    assert len(read) >= 3 and set(read) <= set(written)


def test_a_doubtful_line_stays_as_it_was_read_unless_another_side_is_sure(reader: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    long, short = np.array([(0, 0), (90, 0), (90, 20), (0, 20)], np.float32), np.array([(0, 0), (30, 0), (30, 20), (0, 20)], np.float32)
    sides = iter([["OK", "AB34"], ["WORDS", "AB35"], ["NONE", "AB36"]])

    class Read:
        scores = (0.99, 0.92)

        def __init__(self, texts: Any) -> None:
            self.txts = texts

    monkeypatch.setattr(reader._pipeline, "recognize_txt", lambda crops: Read(next(sides)))
    lines = [("garbage", 0.6, long), ("VB34", 0.7, long), ("x", 0.5, short), ("sure", 0.95, long)]
    found = reader._righted(np.zeros((20, 90, 3), np.uint8), lines)
    assert [line[:2] for line in found] == [("WORDS", 0.99), ("VB34", 0.7), ("x", 0.5), ("sure", 0.95)]


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

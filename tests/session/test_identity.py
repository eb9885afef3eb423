"""Notes belong to content: another content under the same name, or the same playlist, has none."""

import shutil
import wave
from dataclasses import replace
from pathlib import Path

from analyzer_agent.config import Settings
from analyzer_agent.session import Session
from media_maker import Clip, encoded

HLS = Clip(times=[i * 40 for i in range(150)], gop=50, bframes=0, format="hls", muxer={"hls_time": "2", "hls_list_size": "0"})


def index(path: Path, store: Path) -> tuple[int, int]:
    """Return the ms analyzed and reused."""
    with Session(path, settings=Settings(store=store), tools=("scenes",)) as session:
        (result,) = session.index()
    return result.analyzed_ms, result.reused_ms


def test_the_same_playlist_in_another_folder_has_no_notes(tmp_path: Path) -> None:
    store = tmp_path / "store.db"
    for name, clip in {"a": HLS, "b": replace(HLS, size=(96, 48))}.items():
        (tmp_path / name).mkdir()
        encoded(tmp_path / name / "list.m3u8", clip)
    # A copy, since x264 does not write the same bytes every time.
    shutil.copytree(tmp_path / "a", tmp_path / "c")
    paths = {name: tmp_path / name / "list.m3u8" for name in "abc"}
    assert paths["a"].read_bytes() == paths["b"].read_bytes()
    assert index(paths["a"], store) == (6000, 0)
    assert index(paths["b"], store) == (6000, 0)
    assert index(paths["c"], store) == index(paths["a"], store) == (0, 6000)
    shutil.copytree(tmp_path / "b", tmp_path / "a", dirs_exist_ok=True)
    assert index(paths["a"], store) == (0, 6000), "the notes of b"


def test_a_missing_segment_is_not_examined(tmp_path: Path) -> None:
    path = encoded(tmp_path / "list.m3u8", HLS)
    (tmp_path / "list1.ts").unlink()
    with Session(path, settings=Settings(store=tmp_path / "store.db"), tools=("scenes",)) as session:
        (result,) = session.index()
    (lost,) = result.not_examined
    assert (lost.reason, lost.detail) == ("undecodable", "list1.ts is missing")
    assert 1_900 <= lost.span.start <= 2_200 and 4_000 <= lost.span.end <= 4_300


def test_a_wav_that_was_edited_in_place_is_another_video(tmp_path: Path) -> None:
    seconds = 600
    path, store = tmp_path / "a.wav", tmp_path / "store.db"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 1, 8_000, 0, "NONE", ""))
        file.writeframes(bytes([200, 50] * (seconds * 4_000)))

    def opened() -> str:
        with Session(path, settings=Settings(store=store), tools=("scenes",)) as session:
            return session.session_videos[0].video.id

    first = opened()
    assert opened() == first
    with path.open("r+b") as edited:
        edited.seek(44 + seconds // 2 * 8_000)
        edited.write(bytes([128] * 16))
    assert opened() != first

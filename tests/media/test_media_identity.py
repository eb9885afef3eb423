"""What identifies a file: everything that decides its content."""

import os
import shutil
import time
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from analyzer_agent.errors import MediaError
from analyzer_agent.media import content_id, fingerprint, identity, open_video
from analyzer_agent.media.playlists import named_files, referenced_files
from analyzer_agent.protocols import Fault
from analyzer_agent.storage import Store
from analyzer_agent.timeline import TimeRange
from media_maker import Clip, Tone, encoded, number_of

HLS = Clip(times=[i * 40 for i in range(150)], gop=50, bframes=0, format="hls", muxer={"hls_time": "2", "hls_list_size": "0"})
GREY = replace(HLS, times=[i * 40 for i in range(149)])
A_MASTER = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1000\nlist.m3u8\n"
A_SCRIPT = "ffconcat version 1.0\nfile list0.ts\nfile 'list1.ts'\nfile list2.ts\n"


def sound(path: Path, seconds: int = 60, rate: int = 16_000) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((np.sin(np.arange(seconds * rate) * 0.1) * 9000).astype("<i2").tobytes())
    return path


def overwrite(path: Path, at: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


def age(*paths: Path, by: float = 60) -> None:
    """Let files look older, as those of people are."""
    for path in paths:
        then = time.time_ns() - int(by * 1e9) + 1
        os.utime(path, ns=(then, then))


@contextmanager
def whole_sums(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Path]]:
    """Yield the files that are read whole meanwhile."""
    read: list[Path] = []
    real = identity._sum_of

    def summed(path: Path, *others: Any) -> str:
        read.append(path)
        return real(path, *others)

    with monkeypatch.context() as patched:
        patched.setattr(identity, "_sum_of", summed)
        yield read


# --- playlists


@pytest.mark.parametrize(
    "text", ["", "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1000\nlist.m3u8\n", A_SCRIPT], ids=["media", "master", "ffconcat"]
)
def test_a_playlist_is_identified_by_the_files_it_points_to(tmp_path: Path, text: str) -> None:
    ids = []
    for name, clip in (("a", HLS), ("b", GREY), ("copy of a", None)):
        path = tmp_path / name / "list.m3u8"
        if clip is None:  # x264 does not write the same bytes each time
            shutil.copytree(tmp_path / "a", path.parent)
        else:
            path.parent.mkdir()
            encoded(path, clip)
        if text:
            path = path.with_name("other.m3u8")
            path.write_text(text)
        ids.append(open_video(path).id)
        assert content_id(path) == ids[-1]
    assert ids[0] == ids[2] != ids[1], "the text is the same in all folders"


def test_segments_made_anew_change_the_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = encoded(tmp_path / "list.m3u8", HLS)
    age(*tmp_path.iterdir())
    with Store(tmp_path / "store.db") as store, whole_sums(monkeypatch) as read:
        before = open_video(path, sums=store.identities).id
        assert open_video(path, sums=store.identities).id == before and len(read) == 1
        data = bytearray((tmp_path / "list1.ts").read_bytes())
        data[-1000] ^= 1
        overwrite(tmp_path / "list1.ts", 0, bytes(data))
        assert open_video(path, sums=store.identities).id != before


@pytest.mark.parametrize("master", [False, True])
def test_a_missing_segment_is_told_and_is_not_examined(tmp_path: Path, master: bool) -> None:
    path = encoded(tmp_path / "list.m3u8", HLS)
    whole = open_video(path).id
    (tmp_path / "list1.ts").unlink()
    if master:
        path = tmp_path / "master.m3u8"
        path.write_text(A_MASTER)
    video = open_video(path)
    assert video.id != whole
    assert video.problems == ["1 of the files that it points to is missing: list1.ts"]
    view = video.watched()
    shown = [(frame.t, number_of(frame.image)) for frame in view.frames(TimeRange(0, 6000), 2)]
    (fault,) = view.faults(TimeRange(0, 6000))
    assert fault == Fault(fault.span, "undecodable", "list1.ts is missing") and 1900 <= fault.span.length <= 2200
    assert shown == [(at, at // 40) for at in range(0, 6000, 500) if not fault.span.start <= at < fault.span.end]


@pytest.mark.parametrize("master", [False, True])
def test_a_playlist_that_was_broken_off_is_read_from_its_beginning(tmp_path: Path, master: bool) -> None:
    path = encoded(tmp_path / "list.m3u8", replace(HLS, muxer={"hls_time": "1", "hls_list_size": "0"}, gop=25))
    path.write_text(path.read_text().replace("#EXT-X-ENDLIST\n", ""))
    assert path.read_text().count("#EXTINF") > 4
    if master:
        path = tmp_path / "master.m3u8"
        path.write_text(A_MASTER)
    video = open_video(path)
    assert [number_of(frame.image) for frame in video.frames(TimeRange(0, video.duration), 1)] == [0, 25, 50, 75, 100, 125]


def test_an_ffconcat_script_ends_before_a_missing_file(tmp_path: Path) -> None:
    encoded(tmp_path / "list.m3u8", HLS)
    path = tmp_path / "a.ffconcat"
    path.write_text(A_SCRIPT)
    (tmp_path / "list1.ts").unlink()
    video = open_video(path)
    assert video.problems == ["1 of the files that it points to is missing: list1.ts"]
    assert [number_of(frame.image) for frame in video.frames(TimeRange(0, video.duration), 1)] == [0, 25, 50]
    (tmp_path / "list0.ts").unlink()
    with pytest.raises(MediaError, match=r"'a.ffconcat' points to 'list0.ts', which cannot be read"):
        open_video(path)


def test_a_manifest_for_dash_points_to_the_files_that_fit_its_templates(tmp_path: Path) -> None:
    path = encoded(tmp_path / "a.mpd", replace(HLS, format="dash", muxer={"seg_duration": "2"}))
    (tmp_path / "other.m4s").write_bytes(b"1")
    names = [f"chunk-stream0-0000{n}.m4s" for n in (1, 2, 3)]
    assert sorted(file.name for file in referenced_files(path).files) == [*names, "init-stream0.m4s"]
    (tmp_path / names[1]).unlink()
    assert list(referenced_files(path).missing) == ["chunk-stream0-$Number%05d$.m4s with number 2"]


def test_names_are_read_as_players_read_them(tmp_path: Path) -> None:
    for name in ("a b.ts", "it's.ts", "#1.ts", "key.bin", "init.mp4"):
        (tmp_path / name).write_bytes(b"\0")
    (tmp_path / "a.txt").write_text("ffconcat version 1.0\nfile 'a b.ts'\nfile it\\'s.ts\nduration 2\nfile #1.ts\nfile file:a\\ b.ts\n")
    assert [file.name for file in referenced_files(tmp_path / "a.txt").files] == ["a b.ts", "it's.ts", "#1.ts"]
    hls = '#EXTM3U\r\n#EXT-X-KEY:METHOD=AES-128,URI="key.bin"\r\n#EXT-X-MAP:URI="init.mp4"\r\n#EXTINF:2,\r\na b.ts\r\n#EXTINF:2,\r\nhttp://x/y.ts\r\n'
    (tmp_path / "a.m3u8").write_text(hls)
    found = referenced_files(tmp_path / "a.m3u8")
    assert [file.name for file in found.files] == ["key.bin", "init.mp4", "a b.ts"]
    assert found.lost == [(TimeRange(2000, 4000), "http://x/y.ts")]


@pytest.mark.parametrize(
    ("name", "text"),
    [("a.cue", 'FILE "a.wav" WAVE\n  TRACK 01 AUDIO\n'), ("a.pls", "[playlist]\nFile1=a.wav\n"), ("a.m3u", "#EXTM3U\na.wav\n")],
)
def test_lists_that_are_not_read_say_which_files_to_give(tmp_path: Path, name: str, text: str) -> None:
    sound(tmp_path / "a.wav", 1)
    (tmp_path / name).write_text(text)
    assert [file.name for file in named_files(tmp_path / name)] == ["a.wav"]
    with pytest.raises(MediaError, match="is a list of files") as told:
        open_video(tmp_path / name)
    assert "'a.wav'" in told.value.hint


# --- media in which an edit moves nothing


def fixed_media(folder: Path) -> Iterator[Path]:
    yield sound(folder / "a.wav")
    plain = Clip(picture=False, tones=[Tone(end=16.0, codec="pcm_s16be")])
    yield encoded(folder / "a.aiff", plain)
    yield encoded(folder / "a.au", plain)
    yield encoded(folder / "a.caf", plain)
    yield encoded(folder / "camera.mov", Clip(tones=[Tone(end=16.0, codec="pcm_s16le")]))
    yield encoded(folder / "raw.avi", Clip(codec="rawvideo", size=(320, 240)))
    yield encoded(folder / "a.y4m", Clip(codec="rawvideo", size=(320, 240), timebase=Clip().rate ** -1))
    yield encoded(folder / "a.m4a", Clip(picture=False, tones=[Tone(end=18.0, codec="alac", amplitude=0.9)]))


def test_an_edit_in_place_changes_the_id_of_uncompressed_media(tmp_path: Path) -> None:
    for path in fixed_media(tmp_path):
        before, sampled = open_video(path).id, fingerprint(path)
        size = path.stat().st_size
        assert size > 1_300_000, f"{path.name} is too small to be sampled"
        at = (size - 16_384) * 20 // 63 + 17_000  # between two samples
        overwrite(path, at, bytes(range(64)))
        assert fingerprint(path) == sampled
        assert open_video(path).id != before, path.name


def test_compressed_video_is_sampled_as_before(tmp_path: Path) -> None:
    path = encoded(tmp_path / "a.mp4", Clip(tones=[Tone()], cover=False))
    assert open_video(path).id == fingerprint(path) == content_id(path)


def test_a_known_file_is_not_read_again_until_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = sound(tmp_path / "a.wav")
    age(path)
    with Store(tmp_path / "store.db") as store, whole_sums(monkeypatch) as read:
        first = content_id(path, store.identities)
        assert content_id(path, store.identities) == first and len(read) == 1
        stamp = path.stat()
        overwrite(path, 50_000, bytes(64))
        os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
        assert content_id(path, store.identities) != first, "a time of change that was put back hides nothing"
        path.rename(tmp_path / "b.wav")
        again = sound(tmp_path / "a.wav")
        assert content_id(again, store.identities) == first


def test_a_file_that_was_just_written_is_not_taken_for_known(tmp_path: Path) -> None:
    path = sound(tmp_path / "a.wav", 1)
    whole = time.time_ns() // 10**9 * 10**9
    os.utime(path, ns=(whole, whole))
    with Store(tmp_path / "store.db") as store:
        assert not identity.content_of(path, "whole", store.identities).state


# --- stores from before


def old_notes(store: Store, path: Path, made: float) -> str:
    """Let a store hold notes under a sampled fingerprint, made at this time."""
    old = fingerprint(path)
    store.notes.add_video(old, path.name, str(path), 1000)
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S.000+00:00", time.gmtime(made))
    with store.connections.write() as db:
        db.execute(
            "INSERT INTO provenances (key, analyzer, version, engine, tier, weights, lane, params) VALUES ('k','a','1','e',0,'','','{}')"
        )
        db.execute(
            "INSERT INTO coverage (video, key, start_ms, end_ms, step_ms, state, at) VALUES (?, 'k', 0, 1000, 0, 'done', ?)", [old, stamp]
        )
    return old


def test_an_old_store_serves_files_that_have_not_changed_since(tmp_path: Path) -> None:
    path = sound(tmp_path / "a.wav")
    age(path, by=3600)
    with Store(tmp_path / "store.db") as store:
        old = old_notes(store, path, time.time() - 60)
        assert [content_id(path, store.identities) for _ in range(2)] == [old, old]
        copy = tmp_path / "b.wav"
        copy.write_bytes(path.read_bytes())
        assert content_id(copy, store.identities) == old, "a copy has the same content"
        overwrite(path, 50_000, bytes(64))
        assert fingerprint(path) == old != content_id(path, store.identities)
        age(path, by=3600)
        assert content_id(path, store.identities) != old, "the notes are of the first content"


def test_an_old_store_does_not_serve_a_file_that_was_edited_after_the_analysis(tmp_path: Path) -> None:
    path = sound(tmp_path / "a.wav")
    with Store(tmp_path / "store.db") as store:
        old = old_notes(store, path, time.time() - 60)
        assert content_id(path, store.identities) != old


def test_notes_of_an_old_playlist_are_left_alone(tmp_path: Path) -> None:
    path = encoded(tmp_path / "list.m3u8", HLS)
    age(*tmp_path.iterdir(), by=3600)
    with Store(tmp_path / "store.db") as store:
        old = old_notes(store, path, time.time())
        assert content_id(path, store.identities) != old, "they may be of other segments under the same text"


def test_the_decoder_has_the_formats_that_point_to_others() -> None:
    assert {"hls", "concat"} <= av.formats_available

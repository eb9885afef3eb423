"""Several readers of one picture, fed by one decoding pass: each gets exactly what it gets alone."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analyzer_agent.errors import MediaError
from analyzer_agent.media import MediaFile, open_video, packet_reader, shared_pass
from analyzer_agent.media.container import open_container
from analyzer_agent.protocols import Frame
from analyzer_agent.timeline import TimeRange
from media_maker import Clip, write

CASES = {
    "b-frames": ("a.mp4", Clip(codec="libx264", bframes=2, gop=12)),
    "long group": ("a.mkv", Clip(codec="libx264", bframes=2, gop=200)),
    "transport": ("a.ts", Clip(codec="libx264", bframes=2, gop=12)),
    "no stamps": ("a.avi", Clip(codec="mpeg4", bframes=2, gop=12)),
}


@pytest.fixture(scope="module", params=CASES)
def video(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> MediaFile:
    name, clip = CASES[request.param]
    return open_video(write(tmp_path_factory.mktemp("together") / name, clip))


Wish = dict[str, Any]
"""Arguments of `frames`."""


def same(one: list[Frame], other: list[Frame]) -> bool:
    return [(f.t, f.pts) for f in one] == [(f.t, f.pts) for f in other] and all(
        np.array_equal(f.image, g.image) for f, g in zip(one, other, strict=True)
    )


def read_all(seats: list[MediaFile], wishes: list[Wish]) -> list[list[Frame]]:
    def read(decode_view: MediaFile, wish: Wish) -> list[Frame]:
        with decode_view:
            return list(decode_view.frames(**wish))

    with ThreadPoolExecutor(len(seats)) as pool:
        return list(pool.map(read, seats, wishes))


spans = st.tuples(st.integers(0, 2000), st.integers(1, 2000)).map(lambda pair: TimeRange(pair[0], pair[0] + pair[1]))
wishes = st.one_of(
    st.lists(st.integers(0, 2400), min_size=1, max_size=8).map(lambda some: {"span": TimeRange(0, 3000), "instants": some}),
    spans.map(lambda span: {"span": span}),
    spans.map(lambda span: {"span": span, "keyframes": True, "order": "bgr"}),
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(asked=st.lists(wishes, min_size=1, max_size=4))
def test_each_reader_gets_what_it_gets_alone(video: MediaFile, asked: list[Wish]) -> None:
    together = read_all(video.shared_views(len(asked)), asked)
    for wish, found in zip(asked, together, strict=True):
        assert same(found, list(video.frames(**wish))), wish


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(asked=st.lists(wishes, min_size=2, max_size=3), stop=st.integers(0, 20))
def test_a_reader_that_stops_early_takes_nothing_from_the_others(video: MediaFile, asked: list[Wish], stop: int) -> None:
    def some(decode_view: MediaFile) -> list[Frame]:
        frames: Any = decode_view.frames(**asked[0])
        found = [frame for _, frame in zip(range(stop), frames, strict=False)]
        frames.close()
        decode_view.close()
        return found

    seats = video.shared_views(len(asked))
    with ThreadPoolExecutor(len(asked)) as pool:
        first = pool.submit(some, seats[0])
        others = [pool.submit(lambda pair: list(pair[0].frames(**pair[1])), pair) for pair in zip(seats[1:], asked[1:], strict=True)]
    assert same(first.result(), list(video.frames(**asked[0]))[:stop])
    for wish, found in zip(asked[1:], others, strict=True):
        assert same(found.result(), list(video.frames(**wish)))


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Count how often a picture is opened for decoding, and how many packets are decoded."""
    counts = [0, 0]
    begin, decode = packet_reader.PacketReader.__init__, packet_reader.PacketReader.decode

    def counted(self: packet_reader.PacketReader, *args: object, **more: object) -> None:
        counts[0] += 1
        begin(self, *args, **more)  # type: ignore[arg-type]

    def seen(self: packet_reader.PacketReader, *args: object, **more: object) -> Iterator[object]:
        counts[1] += 1
        return decode(self, *args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(packet_reader.PacketReader, "__init__", counted)
    monkeypatch.setattr(packet_reader.PacketReader, "decode", seen)
    yield counts


def test_one_pass_decodes_for_all(tmp_path: Path, opened: list[int]) -> None:
    video = open_video(write(tmp_path / "a.mp4", Clip(codec="libx264", bframes=2, gop=12)))
    whole = TimeRange(0, video.duration)
    asked: list[Wish] = [{"span": whole}, {"span": whole, "fps": 5.0}, {"span": whole, "fps": 2.0, "order": "bgr"}]
    list(video.frames(whole))
    alone = opened[1]
    opened[:] = [0, 0]
    read_all(video.shared_views(3), asked)
    assert opened == [1, alone]


def test_nobody_waits_for_one_that_has_left(tmp_path: Path) -> None:
    video = open_video(write(tmp_path / "a.mp4"))
    seats = video.shared_views(3)
    seats[1].close()
    seats[2].close()
    began = time.monotonic()
    assert list(seats[0].frames(TimeRange(0, video.duration)))
    assert time.monotonic() - began < shared_pass.JOIN_TIMEOUT_S / 2


def patient(video: MediaFile, count: int, patience: float) -> list[MediaFile]:
    seats = video.shared_views(count)
    for decode_view in seats:
        taken: Any = decode_view._shared
        shares = taken.func.__self__
        shares._patience = shares._stalled = patience
    return seats


def test_one_that_does_not_come_is_waited_for_no_longer_than_patience(tmp_path: Path) -> None:
    video = open_video(write(tmp_path / "a.mp4"))
    seats = patient(video, 2, 0.3)
    wish: Wish = {"span": TimeRange(0, video.duration), "fps": 10.0}
    began = time.monotonic()
    found = list(seats[0].frames(**wish))
    assert 0.3 <= time.monotonic() - began < 5
    assert same(found, list(video.frames(**wish)))
    # It comes late, and finds everything all the same.
    assert same(list(seats[1].frames(**wish)), found)


def test_one_that_takes_nothing_is_left_behind_and_still_gets_all(tmp_path: Path) -> None:
    video = open_video(write(tmp_path / "a.mp4", Clip(times=range(0, 3000, 40))))
    seats = patient(video, 2, 0.3)
    wish: Wish = {"span": TimeRange(0, video.duration)}
    slow = seats[0].frames(**wish)
    quick: list[Frame] = []
    reader = threading.Thread(target=lambda: quick.extend(seats[1].frames(**wish)))
    reader.start()
    first = next(iter(slow))
    reader.join(20)
    assert not reader.is_alive()
    assert same(quick, list(video.frames(**wish)))
    assert same([first, *slow], quick)


def test_an_error_reaches_every_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    video = open_video(write(tmp_path / "a.mp4"))

    def broken(self: packet_reader.PacketReader) -> None:
        raise MediaError("'a.mp4' cannot be read beyond 0:00.")

    monkeypatch.setattr(packet_reader.PacketReader, "next_packet", broken)
    seats = video.shared_views(2)
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(lambda decode_view: list(decode_view.frames(TimeRange(0, 1000), fps=4)), decode_view) for decode_view in seats]
    for one in both:
        with pytest.raises(MediaError, match="cannot be read"):
            one.result()


@pytest.mark.parametrize(("name", "clip", "pays"), [("a.mp4", Clip(), True), ("a.h264", Clip(), False), ("a.ts", Clip(), False)])
def test_parts_are_decoded_side_by_side_where_there_is_an_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, clip: Clip, pays: bool
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 3)
    video = open_video(write(tmp_path / name, clip))
    views = video.parallel_views(2)
    assert len(views) == (2 if pays else 0)
    assert not video.parallel_views(1) and not video.shared_views(1)[0].parallel_views(2), "a seat is fed by one pass"
    halves = [TimeRange(0, 1000), TimeRange(1000, video.duration)][: len(views)]
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda view, span: list(view.frames(span)), views, halves))
    assert not pays or same([*found[0], *found[1]], list(video.frames(TimeRange(0, video.duration))))


@settings(max_examples=40, deadline=None)
@given(asked=st.lists(st.tuples(wishes, st.integers(1, 60)), min_size=1, max_size=6), name=st.sampled_from(["a.mp4", "b.mp4"]))
def test_a_part_reads_the_same_whatever_it_read_before(
    tmp_path_factory: pytest.TempPathFactory, asked: list[tuple[Wish, int]], name: str
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.cpu_count", lambda: 2)
        path = tmp_path_factory.getbasetemp() / name
        video = open_video(path if path.exists() else write(path, Clip(bframes=2, gop=12 if name == "a.mp4" else 200)))
        view, other = video.parallel_views(2)
        for wish, count in asked:  # read to the end or given up before
            assert same(list(islice(view.frames(**wish), count)), list(islice(video.frames(**wish), count)))
        view.close()
        with pytest.raises(MediaError, match="was closed"):
            view.frames(TimeRange(0, 10))
        assert other.duration == video.duration


def test_a_part_opens_the_file_once_as_long_as_it_is_read_forward(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = list[Path]()
    monkeypatch.setattr("os.cpu_count", lambda: 2)

    def counted(path: Path, *more: Any) -> Any:
        opened.append(path)
        return open_container(path, *more)

    monkeypatch.setattr(packet_reader, "open_container", counted)
    video = open_video(write(tmp_path / "a.mp4", Clip(times=range(0, 8000, 40))))
    with video.parallel_views(2)[0] as view:
        opened.clear()
        for start in range(0, 8000, 2000):
            assert len(list(view.frames(TimeRange(start, start + 1000)))) == 25
        assert len(opened) == 1
        list(view.frames(TimeRange(3000, 4000)))
        assert len(opened) == 2, "backwards it begins anew"

"""Parts of one picture read in parallel: each frame is the one that a reader of the whole gets."""

from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer_agent.errors import MediaError
from analyzer_agent.media import open_video, packet_reader
from analyzer_agent.media.container import open_container
from analyzer_agent.protocols import Frame
from analyzer_agent.timeline import TimeRange
from media_maker import Clip, write

Wish = dict[str, Any]


def same(one: list[Frame], other: list[Frame]) -> bool:
    return [(f.t, f.pts) for f in one] == [(f.t, f.pts) for f in other] and all(
        np.array_equal(f.image, g.image) for f, g in zip(one, other, strict=True)
    )


spans = st.tuples(st.integers(0, 2000), st.integers(1, 2000)).map(lambda pair: TimeRange(pair[0], pair[0] + pair[1]))


wishes = st.one_of(
    st.lists(st.integers(0, 2400), min_size=1, max_size=8).map(lambda some: {"span": TimeRange(0, 3000), "instants": some}),
    spans.map(lambda span: {"span": span}),
    spans.map(lambda span: {"span": span, "keyframes": True, "order": "bgr"}),
)


@pytest.mark.parametrize(("name", "clip", "pays"), [("a.mp4", Clip(), True), ("a.h264", Clip(), False), ("a.ts", Clip(), False)])
def test_parts_are_decoded_side_by_side_where_there_is_an_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, clip: Clip, pays: bool
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 3)
    video = open_video(write(tmp_path / name, clip))
    views = video.parallel_views(2)
    assert len(views) == (2 if pays else 0)
    assert not video.parallel_views(1)
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

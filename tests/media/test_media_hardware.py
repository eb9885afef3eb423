"""Decoding elsewhere than on the CPU: the same pictures, or a clear refusal."""

from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from av.codec.hwaccel import hwdevices_available

from analyzer_agent.errors import MediaError
from analyzer_agent.media import open_video
from analyzer_agent.media.frame_converter import FrameConverter
from analyzer_agent.media.hardware import choose_device
from analyzer_agent.timeline import TimeRange
from media_maker import Clip, write

CLIP = Clip(times=range(0, 2000, 40), size=(320, 180))


@pytest.mark.parametrize(("plain", "laid_out"), [("yuv420p", "nv12"), ("yuv420p10le", "p010le")])
def test_samples_that_hardware_lays_out_otherwise_give_the_same_colours(tmp_path: Path, plain: str, laid_out: str) -> None:
    with av.open(str(write(tmp_path / "a.mp4", CLIP))) as container:
        frames = [frame.reformat(format=plain) for frame in container.decode(video=0)]
    for order in ("rgb", "bgr"):
        paint = FrameConverter(order).image
        for frame in frames:
            assert np.array_equal(paint(frame.reformat(format=laid_out)), paint(frame))
    # That it is needed: libswscale alone gives other colours.
    if laid_out == "nv12":
        assert any(not np.array_equal(f.reformat(format="nv12").to_ndarray(format="rgb24"), f.to_ndarray(format="rgb24")) for f in frames)


@pytest.mark.parametrize("decoder", ["auto", *hwdevices_available()])
def test_the_same_frames_wherever_they_are_decoded(tmp_path: Path, decoder: str) -> None:
    path = write(tmp_path / "a.mp4", CLIP)
    try:
        video = open_video(path, decoder)
    except MediaError as refused:
        assert decoder != "auto"
        assert f"cannot be decoded on {decoder!r}" in str(refused)
        assert "--decoder cpu" in refused.hint
        return
    for how in ({}, {"fps": 2.0}, {"keyframes": True}):
        pairs = zip(video.frames(TimeRange(0, 2000), **how), open_video(path).frames(TimeRange(0, 2000), **how), strict=True)
        assert all(mine.pts == other.pts and np.array_equal(mine.image, other.image) for mine, other in pairs)


def test_a_device_that_is_not_known_is_refused_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="cannot be decoded on 'abacus' here") as refused:
        open_video(write(tmp_path / "a.mp4", CLIP), "abacus")
    assert all(name in refused.value.hint for name in ("cpu", "auto", *hwdevices_available()))


def test_codecs_that_leave_rounding_to_the_decoder_stay_on_the_cpu(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", replace(CLIP, codec="mpeg4", bframes=0))
    assert open_video(path, "auto").decoder == "cpu"
    assert choose_device(path, "mpeg4", "cuda") == "cpu"

"""Pictures with EXIF, and side data, colours and pixel formats that PyAV or libswscale do not know."""

import importlib
import io
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from analyzer_agent.errors import MediaError
from analyzer_agent.media import open_video
from analyzer_agent.media.frame_converter import FrameConverter
from analyzer_agent.media.orientation import exif_orientation, orientation_of
from analyzer_agent.timeline import TimeRange
from media_maker import drawn


def photo(orientation: int, format: str = "jpeg") -> bytes:
    """Return a picture with an EXIF block."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = orientation, "Maker"
    file = io.BytesIO()
    Image.fromarray(drawn("ALPHA 41")).save(file, format, exif=exif, quality=95)
    return file.getvalue()


@pytest.mark.parametrize("format", ["jpeg", "png", "webp", "tiff"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_in_exif_is_followed(tmp_path: Path, format: str, orientation: int) -> None:
    path = tmp_path / f"photo.{format}"
    path.write_bytes(data := photo(orientation, format))
    truth = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")).astype(int)
    with open_video(path) as video:
        (frame,) = video.frames(TimeRange(0, 1_000))
        assert video.size == truth.shape[1::-1]
    error = float(np.abs(frame.image.astype(int) - truth).mean())
    assert error < 3


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_camera_avi_of_frames_with_exif(tmp_path: Path, orientation: int) -> None:
    path = tmp_path / "camera.avi"
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 320, 96, "yuvj420p"
        for number in range(25):
            packet: Any = av.Packet(photo(orientation))
            packet.stream, packet.pts, packet.dts, packet.is_keyframe = stream, number, number, True
            packet.time_base = Fraction(1, 25)
            container.mux(packet)
    with open_video(path) as video:
        assert len(list(video.frames(TimeRange(0, video.duration)))) == 25
        assert video.size == ((320, 96) if orientation == 1 else (96, 320))
        assert video.faults(TimeRange(0, video.duration)) == []


_TYPES: Any = importlib.import_module("av.sidedata.sidedata").Type


class Listed:
    """Side data as PyAV lists it: a type that it does not know is an error for all."""

    def __init__(self, kinds: list[int]) -> None:
        self.kinds = kinds

    def get(self, name: str) -> None:
        for kind in self.kinds:
            _TYPES(kind)


@given(kinds=st.lists(st.integers(0, 60), max_size=5), degrees=st.sampled_from([-180, -90, 0, 90, 180]), data=st.binary(max_size=200))
def test_unknown_side_data_is_stepped_over(kinds: list[int], degrees: int, data: bytes) -> None:
    frame: Any = SimpleNamespace(side_data=Listed(kinds), rotation=degrees)
    turn = orientation_of(frame, data)
    assert turn in ((0, False), (-degrees % 360, False))


@given(data=st.binary(max_size=120), head=st.sampled_from([b"Exif\0\0II*\0", b"eXIfMM\0*", b"EXIF1234II*\0", b"II*\0", b""]))
def test_damaged_exif_has_no_orientation_or_one_of_any_kind(data: bytes, head: bytes) -> None:
    assert 0 <= exif_orientation(head + data) <= 0xFFFF


@pytest.mark.parametrize("name", ["colorspace", "color_range"])
@pytest.mark.parametrize("value", [3, 8, 10, 14, 15, 17, 200])
def test_colours_without_a_matrix_are_shown_plainly(name: str, value: int) -> None:
    plain = av.VideoFrame.from_ndarray(np.ascontiguousarray(drawn("ALPHA 41")), format="rgb24").reformat(format="yuv420p")
    odd = av.VideoFrame.from_ndarray(plain.to_ndarray(), format="yuv420p")
    setattr(odd, name, value)
    converter = FrameConverter("rgb")
    image = converter.image(odd)
    error = float(np.abs(image.astype(int) - drawn("ALPHA 41").astype(int)).mean())
    assert error < 12


def test_every_pixel_format_is_converted_or_refused() -> None:
    refused = []
    for name in sorted(importlib.import_module("av.video.format").names):
        try:
            frame = av.VideoFrame(64, 48, name)
        except (av.FFmpegError, ValueError):
            continue
        try:
            assert FrameConverter("bgr").image(frame).shape == (48, 64, 3)
        except MediaError as error:
            assert name in str(error)
            refused.append(name)
    assert "yaf32le" in refused
    assert {"yuv420p", "nv12", "p010le", "gray", "pal8", "rgba", "yuv444p12le", "gbrpf32le"}.isdisjoint(refused)

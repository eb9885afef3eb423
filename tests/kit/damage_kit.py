"""Files whose packets are damaged or encrypted, for tests of what cannot be decoded."""

from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from media_maker import QUIET, drawn

WORDS = ("ALPHA 41", "BRAVO 52", "CHARLIE 63")
KEYS = {
    "encryption_scheme": "cenc-aes-ctr",
    "encryption_key": "76a6c65c5ea762046bd749a2e632ccbb",
    "encryption_kid": "a7e61c373e219033c21091fa607bf3b8",
}


def words(path: Path, codec: str = "libx264", seconds: int = 4, options: Mapping[str, str] | None = None) -> Path:
    """Write a clip of 25 frames per second that shows each of `WORDS` for `seconds`, with a key frame each second."""
    with av.open(str(path), "w", options=dict(options or {})) as container:
        stream: Any = container.add_stream(codec, rate=25, options=QUIET.get(codec, {}))
        stream.width, stream.height, stream.pix_fmt = 320, 96, "yuv420p"
        stream.codec_context.gop_size = 25
        stream.codec_context.thread_count = 1
        for word in WORDS:
            picture = np.ascontiguousarray(drawn(word))
            for _ in range(25 * seconds):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def blank(data: bytes) -> bytes:
    """Return zeros in place of the data of a packet."""
    return bytes(len(data))


def noise(data: bytes) -> bytes:
    """Return noise in place of the data of a packet."""
    return np.random.default_rng(len(data)).bytes(len(data))


def half(data: bytes) -> bytes:
    """Return the data of a packet with noise in its second half."""
    return data[: len(data) // 2] + noise(data[len(data) // 2 :])


def damage(path: Path, start: float, end: float, how: Callable[[bytes], bytes] = blank, stream: int = 0) -> Path:
    """Replace the data of the packets of a stream from `start` to `end` (s), in place; for MP4, MKV, AVI and FLAC in them."""
    with av.open(str(path)) as container:
        chosen = container.streams[stream]
        base = Fraction(chosen.time_base or 1)
        stamps = [(p.pos, bytes(p), (p.pts if p.pts is not None else p.dts) or 0) for p in container.demux(chosen) if p.size]
    data = bytearray(path.read_bytes())
    for pos, content, stamp in stamps:
        if start <= stamp * base < end:
            at = data.find(content, pos or 0)
            data[at : at + len(content)] = how(content)
    path.write_bytes(data)
    return path


def protect(path: Path, entry: bytes, original: bytes | None = b"avc1") -> Path:
    """Rename the sample entry of an MP4 file with H.264; its bit rate (`btrt`) makes room for the original format."""
    data = path.read_bytes()
    at = data.index(b"avc1", data.index(b"stsd"))
    data = data[:at] + entry + data[at + 4 :]
    if original is not None:
        room = data.index(b"btrt", at) - 4
        data = data[:room] + b"\0\0\0\x14sinf\0\0\0\x0cfrma" + original + data[room + 20 :]
    path.write_bytes(data)
    return path

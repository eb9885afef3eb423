"""A file of many hours with picture and sound: one encoded minute whose packets are repeated."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
import cv2
import numpy as np

from benchmarks.made import made_once
from benchmarks.needles.sound import RATE as SOUND_RATE
from benchmarks.needles.voices import lengths, recording
from benchmarks.speed.clips import RATE, pictures

_SIZE = (1920, 1080)
_MINUTE = 60
_AAC = 1024


class _Packet(NamedTuple):
    sound: bool
    data: bytes
    pts: int
    dts: int
    key: bool


def hours(folder: Path, count: int) -> Path:
    """Return a noiseless H.264 and AAC file of `count` hours, created on first use."""
    return made_once(folder / f"1080p-{count}h.mp4", lambda path: _write(path, count))


def _write(path: Path, count: int) -> None:
    with av.open(str(path), "w", format="mp4") as file:
        video = file.add_stream("libx264", RATE)
        video.width, video.height, video.pix_fmt = *_SIZE, "yuv420p"
        video.options = {"preset": "veryfast", "crf": "32", "g": str(2 * RATE), "flags": "+cgop"}
        audio = file.add_stream("aac", SOUND_RATE, layout="mono")
        minute = sorted([*_pictures(video), *_sounds(audio)], key=lambda packet: packet.dts / (SOUND_RATE if packet.sound else RATE))
        for turn in range(count * 60):
            for one in minute:
                packet = av.Packet(one.data)
                packet.stream, packet.time_base = (audio, Fraction(1, SOUND_RATE)) if one.sound else (video, Fraction(1, RATE))
                shift = turn * _MINUTE * (SOUND_RATE if one.sound else RATE)
                packet.pts, packet.dts, packet.is_keyframe = one.pts + shift, one.dts + shift, one.key
                packet.duration = _AAC if one.sound else 1
                file.mux(packet)


def _pictures(stream: av.VideoStream) -> Iterator[_Packet]:
    for number, picture in enumerate(pictures(_MINUTE * RATE, _SIZE)):
        frame = av.VideoFrame.from_ndarray(cv2.cvtColor(picture, cv2.COLOR_RGB2YUV_I420), "yuv420p")
        frame.pts, frame.time_base = number, Fraction(1, RATE)
        yield from map(_encoded, stream.encode(frame))
    yield from map(_encoded, stream.encode(None))


def _encoded(packet: "av.Packet[Any]") -> _Packet:
    assert packet.pts is not None and packet.dts is not None, "encoders give every packet its times"
    return _Packet(False, bytes(packet), packet.pts, packet.dts, packet.is_keyframe)


def _sounds(stream: av.AudioStream) -> Iterator[_Packet]:
    samples = np.zeros(_MINUTE * SOUND_RATE, np.float32)
    for at, sentence in zip(range(2, _MINUTE - 8, 8), lengths(), strict=False):
        words = recording(sentence, SOUND_RATE)
        samples[at * SOUND_RATE : at * SOUND_RATE + len(words)] = words
    found = []
    for at in range(0, len(samples), _AAC):
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples[None, at : at + _AAC]), "fltp", "mono")
        frame.sample_rate, frame.pts, frame.time_base = SOUND_RATE, at, Fraction(1, SOUND_RATE)
        found += stream.encode(frame)
    found += stream.encode(None)
    # Drop the encoder's priming packet before time 0; a minute is a whole number of packets.
    yield from (_Packet(True, bytes(p), p.pts, p.pts, True) for p in found if p.pts is not None and 0 <= p.pts < len(samples))

"""Draw, voice and encode the sample clip, and write its truth file.

A day in a small harbour in five shots. The tables below (`SHOTS`, `TEXTS`, `MOVES`, `LINES`,
`CUES`) hold all times; the drawing, the sound and the truth file follow from them. Every fact
appears once: only spoken, only on screen, only in the subtitles, or only in what moves.

Needs PyAV 18, numpy, OpenCV 5 (for its built-in font) and, for the voices, the `flite` command (the
Debian package of that name). The same versions give the same bytes; other encoders give the same
shots, words and times. Run it with:

    python examples/make_sample.py [--clip harbour.mp4] [--truth sample_truth.json]

Coordinates are pixels of the 640 x 360 picture, y downwards; times are seconds; colours are RGB in
hexadecimal.
"""

import argparse
import json
import math
import subprocess
import tempfile
import wave
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
from av.subtitles.stream import SubtitleStream
from av.subtitles.subtitle import SubtitleSet
from sample_drawing import HEIGHT, WIDTH, Text, paint

ROOT = Path(__file__).resolve().parent.parent
FPS, SOUND_RATE, VOICE_RATE = 25, 24_000, 16_000


class Shot(NamedTuple):
    """A shot; it ends where the next one starts."""

    start: float
    about: str


class Move(NamedTuple):
    """A thing that moves from x0 to x1 between two times, and rests before and after."""

    start: float
    end: float
    what: str
    how: str
    x0: float
    x1: float


class Line(NamedTuple):
    """A spoken sentence; it ends when the voice has finished."""

    start: float
    voice: str
    text: str


class Cue(NamedTuple):
    """A subtitle."""

    start: float
    end: float
    text: str


END = 34.0
SHOTS = (
    Shot(0.0, "A harbour at dawn; a boat comes in and stops at the pier"),
    Shot(8.0, "A fish stall on the market; a gull takes the last fish"),
    Shot(15.0, "The hall of the ferry terminal with its departure board; a traveller walks through"),
    Shot(22.0, "A cafe on the quay with a black cat on the wall; a cyclist rides by"),
    Shot(28.0, "Night; the ferry leaves, the lighthouse shines"),
)
TEXTS = (
    Text(0.0, 8.0, "SEAHAVEN", 112, 187, 28, "#fff3d6"),
    Text(8.0, 15.0, "FISH BY ROSA", 250, 66, 34, "#ffffff"),
    Text(8.0, 13.0, "OPEN", 536, 213, 36, "#ffffff"),
    Text(13.0, 15.0, "SOLD OUT", 536, 213, 26, "#ffffff"),
    Text(15.0, 22.0, "NORTH ISLAND", 300, 87, 40, "#ffd23f"),
    Text(15.0, 18.0, "PIER 4", 300, 153, 40, "#ffd23f"),
    Text(18.0, 22.0, "PIER 7", 300, 153, 40, "#ffd23f"),
    Text(22.0, 28.0, "CAFE LUNA", 196, 92, 36, "#ffffff"),
    Text(28.0, 32.0, "LAST FERRY", 142, 62, 32, "#fff0b3"),
    Text(28.0, 32.0, "21:30", 142, 106, 36, "#fff0b3"),
    Text(32.0, 34.0, "CLOSED", 142, 84, 36, "#fff0b3"),
)
MOVES = (
    Move(1.6, 5.0, "boat", "comes in from the right and stops at the pier", 749, 360),
    Move(10.6, 13.0, "gull", "flies in from the left, takes the fish and leaves to the right", -44, 668),
    Move(19.0, 21.6, "traveller", "walks through the hall from left to right with a red suitcase", -24, 694),
    Move(25.0, 27.4, "cyclist", "rides past the cafe from left to right", -70, 710),
    Move(29.2, 32.4, "ferry", "leaves to the left", 390, -96),
)
LINES = (
    Line(2.0, "rms", "The morning boat brings flowers for the market."),
    Line(8.6, "rms", "One basket of fish costs twelve dollars."),
    Line(22.5, "slt", "The cat is waiting for the captain."),
    Line(25.2, "slt", "The captain is named Margaret."),
    Line(28.5, "rms", "The old lighthouse was painted in nineteen fifty."),
)
CUES = (
    Cue(15.6, 18.0, "[Loudspeaker, in Danish]\nPassengers to North Island, please note:"),
    Cue(18.0, 21.2, "your ferry uses another pier today,\nbecause a whale is resting beside the first one."),
)
CHIMES = (15.3, 18.0)
STYLE = """[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, BackColour, Bold, Italic, Underline, BorderStyle, Outline, Shadow, Alignment
Style: Default,Sans,18,&Hffffff,&H0,0,0,0,1,1,0,2

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
"""


# ---- Picture -------------------------------------------------------------------------------------


def place(move: Move, t: float) -> float:
    """Return the position of a moving thing at `t`, with a smooth start and stop."""
    share = min(1.0, max(0.0, (t - move.start) / (move.end - move.start)))
    return move.x0 + (move.x1 - move.x0) * share * share * (3 - 2 * share)


def picture(t: float) -> np.ndarray:
    """Return the picture at `t`: 360 x 640 x 3, uint8, RGB."""
    shot = max(i for i, shot in enumerate(SHOTS) if shot.start <= t)
    return paint(shot, t, {move.what: place(move, t) for move in MOVES}, [text for text in TEXTS if text.start <= t < text.end])


# ---- Sound ---------------------------------------------------------------------------------------


@cache
def spoken(voice: str, text: str) -> np.ndarray:
    """Return a sentence as float[n], -1 to 1, mono, 16 kHz, without silence around it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "line.wav"
        subprocess.run(["flite", "-voice", voice, "-t", text, "-o", str(path)], check=True)
        with wave.open(str(path)) as sound:
            if sound.getframerate() != VOICE_RATE:
                raise SystemExit(f"The flite voice {voice!r} speaks at {sound.getframerate()} Hz, not {VOICE_RATE}.")
            samples = np.frombuffer(sound.readframes(sound.getnframes()), np.int16) / 32768
    loud = np.flatnonzero(np.abs(samples) > 0.01)
    return samples[max(0, loud[0] - 400) : loud[-1] + 800]


def chime() -> np.ndarray:
    """Return the two soft strokes before an announcement."""
    t = np.arange(round(0.9 * VOICE_RATE)) / VOICE_RATE
    high, low = (np.sin(2 * math.pi * pitch * t) * np.exp(-5 * t) * np.minimum(1, 100 * t) for pitch in (784, 587))
    strokes: np.ndarray = 0.02 * (high + np.concatenate([np.zeros(5600), low[:-5600]]))
    return strokes


def sound() -> np.ndarray:
    """Return the whole sound: int16[n], mono, 16 kHz.

    It is silent between the voices: pocketsphinx measures the noise of the whole sound, and
    mishears words even over soft waves.
    """
    mix = np.zeros(round(END * VOICE_RATE))
    for start, piece in [*((line.start, spoken(line.voice, line.text)) for line in LINES), *((t, chime()) for t in CHIMES)]:
        at = round(start * VOICE_RATE)
        mix[at : at + len(piece)] += piece
    return np.rint(np.clip(mix, -1, 1) * 32767).astype(np.int16)


# ---- Clip and truth file -------------------------------------------------------------------------


def subtitle_packets(stream: SubtitleStream) -> list[av.Packet[Any]]:
    packets = []
    for n, cue in enumerate(CUES):
        words = f"{n},0,Default,,0,0,0,,{cue.text}".replace("\n", "\\N").encode()
        packet = stream.codec_context.encode_subtitle(SubtitleSet.create(words, 0, round(1000 * (cue.end - cue.start))))
        packet.stream, packet.time_base = stream, Fraction(1, 1000)
        packet.pts = packet.dts = round(1000 * cue.start)
        packet.duration = round(1000 * (cue.end - cue.start))
        packets.append(packet)
    return packets


def write_clip(path: Path) -> None:
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart", "fflags": "+bitexact"}) as clip:
        video = clip.add_stream("libx264", FPS, options={"crf": "14", "preset": "slow", "tune": "animation", "threads": "1"})
        video.width, video.height, video.pix_fmt, video.gop_size = WIDTH, HEIGHT, "yuv420p", 2 * FPS
        audio = clip.add_stream("aac", SOUND_RATE, layout="mono")
        audio.bit_rate = 64_000
        titles = clip.add_stream("mov_text")
        titles.codec_context.subtitle_header = STYLE.encode()
        titles.metadata["language"] = audio.metadata["language"] = "eng"

        packets = subtitle_packets(titles)
        resampler = av.AudioResampler("fltp", "mono", SOUND_RATE)
        raw = av.AudioFrame.from_ndarray(sound()[None], "s16", "mono")
        raw.sample_rate, raw.pts, raw.time_base = VOICE_RATE, 0, Fraction(1, VOICE_RATE)
        for piece in [*resampler.resample(raw), *resampler.resample(None), None]:
            packets += audio.encode(piece)
        for n in range(round(END * FPS)):
            packets += video.encode(av.VideoFrame.from_ndarray(picture(n / FPS), "rgb24"))
        packets += video.encode()
        clip.mux(sorted(packets, key=lambda packet: (packet.dts or 0) * packet.time_base))


def truth() -> dict[str, object]:
    """Return the content of the truth file, times in seconds."""
    ends = [*(shot.start for shot in SHOTS[1:]), END]
    return {
        "clip": "harbour.mp4",
        "duration": END,
        "size": [WIDTH, HEIGHT],
        "fps": FPS,
        "shots": [{"start": shot.start, "end": end, "about": shot.about} for shot, end in zip(SHOTS, ends, strict=True)],
        "texts": [{"start": text.start, "end": text.end, "text": text.text} for text in TEXTS],
        "speech": [
            {"start": line.start, "end": round(line.start + len(spoken(line.voice, line.text)) / VOICE_RATE, 2)}
            | {"voice": line.voice, "text": line.text}
            for line in LINES
        ],
        "subtitles": [{"start": cue.start, "end": cue.end, "language": "eng", "text": cue.text} for cue in CUES],
        "moving": [{"start": move.start, "end": move.end, "what": move.what, "how": move.how} for move in MOVES],
    }


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--clip", type=Path, default=ROOT / "analyzer_agent" / "sample" / "harbour.mp4")
    options.add_argument("--truth", type=Path, default=ROOT / "examples" / "sample_truth.json")
    chosen = options.parse_args()
    write_clip(chosen.clip)
    chosen.truth.write_text(json.dumps(truth(), indent=2) + "\n", encoding="utf-8")
    print(f"{chosen.clip}: {chosen.clip.stat().st_size} bytes")


if __name__ == "__main__":
    main()

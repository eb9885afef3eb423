"""A minute of footage asked about in twelve random pieces is stored and read, note for note, as when it is asked about once.

The engines are the real ones; weights that nobody ships are made here. The footage is real where it is at hand, otherwise made from the
sample clip.
"""

import itertools
import json
import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analyzer_agent import Session
from analyzer_agent.events import discard
from analyzer_agent.media import open_video
from analyzer_agent.protocols import EngineConfig
from analyzer_agent.records import ABSENCE, ToolCall, ToolResult
from analyzer_agent.sample import sample_path
from analyzer_agent.timeline import TimeRange, clock
from analyzer_agent.tools import speech
from analyzer_agent.tools.engines import faster_whisper, rapidocr, ultralytics
from engines import Ready, look_once
from places import SHARED
from sounds import RATE, SoundVideo, analyzed, cut, words_of

pytestmark = pytest.mark.slow

MEDIA = SHARED / "media"
REAL = MEDIA.is_dir()
SPEECH_GRAIN = 12_000
RECORDINGS = ((7_000, "nasa_webb.mp4"), (33_000, "jfk.flac"), (46_000, "hotwords.mp3"), (57_000, "two_speakers_stereo.wav"))
"""When each begins, in ms: edges of grains fall into the middle of sentences."""
HEARD = 8_000
"""How much of each is heard, in ms: an engine needs as long as the speech lasts."""


# --- footage ------------------------------------------------------------------------------------------------------------


def sample_again_and_again(path: Path, times: int = 2) -> Path:
    """Write the sample clip several times over, packet by packet."""
    import av

    with av.open(str(sample_path())) as source, av.open(str(path), "w") as file:
        chosen = [source.streams.video[0], source.streams.audio[0]]
        copies = {stream.index: file.add_stream_from_template(stream) for stream in chosen}
        packets: list[Any] = [packet for packet in source.demux(*chosen) if packet.dts is not None]
        # Half a second of pause, for the sound begins a little before 0.
        length = max(Fraction(packet.pts + packet.duration) * packet.time_base for packet in packets) + Fraction(1, 2)
        contents = [(p.stream.index, p.pts, p.dts, p.duration, p.time_base, p.is_keyframe, bytes(p)) for p in packets]
        for turn in range(times):
            for index, pts, dts, duration, base, key, data in contents:
                packet = av.Packet(data)
                shift = round(turn * length / base)
                packet.pts, packet.dts, packet.duration, packet.time_base = pts + shift, dts + shift, duration, base
                packet.is_keyframe = key
                packet.stream = copies[index]
                file.mux(packet)
    return path


def recordings(path: Path, length: int = 62_000) -> Path:
    """Write several recordings of speech, with silence between them, as one sound file."""
    import wave

    samples = np.zeros(length * RATE, np.float32)
    for start, name in RECORDINGS:
        with open_video(MEDIA / name) as file:
            heard = file.audio(TimeRange(0, min(file.duration, HEARD)))
            samples[start * RATE : start * RATE + len(heard)] = heard
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE * 1000)
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype(np.int16).tobytes())
    return path


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TimeRange]:
    """A video, and the minute of it that is asked about."""
    if REAL:
        return MEDIA / "people_one_by_one.mp4", TimeRange(31_300, 97_000)
    return sample_again_and_again(tmp_path_factory.mktemp("sample") / "twice.mp4"), TimeRange(1_300, 67_000)


@pytest.fixture(scope="module")
def voices(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TimeRange]:
    if REAL:
        return recordings(tmp_path_factory.mktemp("voices") / "voices.wav"), TimeRange(0, 62_000)
    return sample_again_and_again(tmp_path_factory.mktemp("sample") / "twice.mp4"), TimeRange(0, 62_000)


# --- weights ------------------------------------------------------------------------------------------------------------


def _yolo(folder: Path) -> Path:
    pytest.importorskip("ultralytics", reason="the extra 'gpu' is not installed")
    import tiny_yolo

    return tiny_yolo.random_model(folder, "yolo11n", size=160)


def _clip(folder: Path, kind: str) -> Path:
    pytest.importorskip("open_clip", reason="the extra 'gpu' is not installed")
    import tiny_clip

    return tiny_clip.make(folder, getattr(tiny_clip, kind))


def _whisper(folder: Path) -> Path:
    import tiny_whisper

    return tiny_whisper.make(folder, stop=5.0)


@dataclass(frozen=True)
class Case:
    """An analyzer with one of its engines, and how it is asked."""

    analyzer: str
    engine: str
    weights: Callable[[Path], Path] | None = None
    every: float = 0
    grain: int = 0
    shown: Any = ()


CASES = [
    Case("objects", "ultralytics", _yolo, every=2, shown={"min_score": 0.1}),
    Case("tracks", "ultralytics", _yolo, shown={"min_score": 0.1}),
    Case("text", "rapidocr", every=2, shown={"min_score": 0}),
    Case("captions", "open_clip", lambda folder: _clip(folder, "COCA"), every=4),
    Case("tags", "open_clip", lambda folder: _clip(folder, "CLIP"), every=1, shown={"min_score": 0}),
    Case("speech", "whisper", _whisper, grain=SPEECH_GRAIN),
]


# --- asking -------------------------------------------------------------------------------------------------------------


def pieces(whole: TimeRange, count: int, dice: random.Random) -> list[TimeRange]:
    """Return ranges that cover the whole, in random order, overlapping, with edges anywhere."""
    cuts = [whole.start, *sorted(dice.sample(range(whole.start + 1, whole.end), count - 1)), whole.end]
    wide = [(start - dice.randrange(3_000), end + dice.randrange(3_000)) for start, end in itertools.pairwise(cuts)]
    return dice.sample([TimeRange(max(start, whole.start), min(end, whole.end)) for start, end in wide], count)


def ask(session: Session, case: Case, span: TimeRange) -> ToolResult:
    """Ask as a language model would."""
    arguments: dict[str, Any] = {"ranges": [[clock(span.start), clock(span.end)]], **dict(case.shown)}
    if case.every:
        arguments["every"] = case.every
    tool = session.toolbox.tools[case.analyzer]
    result = session.toolbox.run(ToolCall("call", tool.spec.tool, json.dumps(arguments)), discard)
    # Random weights hear no words in some voices, and tell so.
    left = [one for one in result.not_examined if one.reason != "not_understood"]
    assert not result.refused and not left, result.text
    return result


def stored(session: Session) -> list[Any]:
    """Return all that is stored, in time order, but for the ids."""
    video = session.session_videos[0].video
    # Absences are about the ranges that were asked for.
    notes = [note for note in session.store.notes.read(video.id, TimeRange(0, video.duration)) if note.kind != ABSENCE]
    return [(note.analyzer, note.key, note.observation) for note in notes]


def read(result: ToolResult) -> str:
    """Return what a model reads, its notes numbered in the order in which they come."""
    numbers: dict[str, int] = {}
    return re.sub(r"#(\d+)", lambda match: f"#{numbers.setdefault(match[1], len(numbers) + 1)}", result.text)


def runs(session: Session, case: Case, span: TimeRange) -> list[Any]:
    """Return all that is read of the span, however long, but for the ids."""
    found = session.toolbox.reader.merged_notes(session.session_videos[0].video.id, span, filters=dict(case.shown))
    return [(run.span, run.text, run.score, run.uncertain, [note.observation for note in run.notes]) for run in found]


@pytest.fixture
def sessions(tmp_path: Path) -> Iterator[Callable[..., Session]]:
    opened: list[Session] = []
    weights: dict[str, Path] = {}

    def start(case: Case, video: Path) -> Session:
        if case.weights and not weights:
            (folder := tmp_path / "weights").mkdir()
            weights[case.analyzer] = case.weights(folder)
        engine = {case.analyzer: case.engine}
        store = tmp_path / f"{len(opened)}.db"
        more: dict[str, Any] = {"tools": (case.analyzer,), "engine": engine, "weights": weights, "device": "cpu", "manager": "rules"}
        opened.append(session := Session(video, store=store, **more))
        return session

    yield start
    for session in opened:
        session.close()


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.analyzer}-{case.engine}")
def test_twelve_pieces_give_what_asking_once_gives(
    case: Case,
    pictures: tuple[Path, TimeRange],
    voices: tuple[Path, TimeRange],
    sessions: Callable[..., Session],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path, whole = voices if case.analyzer == "speech" else pictures
    if case.grain:
        monkeypatch.setattr(speech, "SPEC", replace(speech.SPEC, grain=case.grain))
    # Random weights believe nothing that they write.
    monkeypatch.setattr(speech, "INVENTED", 0.0)
    assert whole.length > 60_000
    look_once(monkeypatch, ultralytics.Yolo, "_predict")
    look_once(monkeypatch, rapidocr.RapidOcr, "read")
    once = sessions(case, path)
    first = ask(once, case, whole)
    notes = stored(once)
    assert len(notes) > 5, "or there is nothing to compare"

    several = sessions(case, path)
    asked = pieces(whole, 12, random.Random(f"{case.analyzer} {case.engine}"))
    new = sum(ask(several, case, span).analyzed_ms for span in asked)
    assert stored(several) == notes
    assert new == first.analyzed_ms, "each grain is analyzed once"
    again = ask(several, case, whole)
    assert again.analyzed_ms == 0
    assert read(again) == read(first)
    assert runs(several, case, whole) == runs(once, case, whole) != []


# --- speech at the seams ------------------------------------------------------------------------------------------------


def mistakes(one: Sequence[str], other: Sequence[str]) -> int:
    """Return how many words have to be changed, added or left out to make one text of the other."""
    row = list(range(len(other) + 1))
    for i, word in enumerate(one, 1):
        corner, row[0] = row[0], i
        for j, candidate in enumerate(other, 1):
            corner, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, corner + (word != candidate))
    return row[-1]


@pytest.mark.parametrize(
    ("name", "heard", "grain"),
    [("", TimeRange(0, 16_000), 10_000), pytest.param("nasa_webb.mp4", TimeRange(6_000, 16_000), 5_000, marks=pytest.mark.shared)],
    ids=["made", "real"],
)
def test_a_seam_in_the_middle_of_a_sentence_costs_no_word_and_doubles_none(
    name: str, heard: TimeRange, grain: int, installed_weights: None, request: pytest.FixtureRequest
) -> None:
    path = request.getfixturevalue("shared") / "media" / name if name else sample_path()
    length = heard.length
    with open_video(path) as file:
        video = SoundVideo(length, [file.audio(heard)])
    bound = speech.SPEC.bind({}, Ready(faster_whisper.load_whisper(EngineConfig(device="cpu"))))

    def words(size: int) -> list[tuple[str, int, int]]:
        found = analyzed(bound, video, cut(length, size))
        return [(text, start, end) for span in sorted(found) for text, start, end, _ in words_of(found[span])]

    whole, parts = words(0), words(grain)
    assert any(start < grain < end for start, end in spoken(whole)), "the edge lies in a sentence, or nothing is shown"
    assert mistakes([word for word, *_ in whole], [word for word, *_ in parts]) <= 0.02 * len(whole)
    for (_, _, end), (_, start, _) in itertools.pairwise(parts):
        assert end <= start


def spoken(words: Sequence[tuple[str, int, int]]) -> list[tuple[int, int]]:
    """Return the stretches without a pause of more than half a second."""
    found: list[tuple[int, int]] = []
    for _, start, end in words:
        found.append((found.pop()[0], end) if found and start - found[-1][1] <= 500 else (start, end))
    return found

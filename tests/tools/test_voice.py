"""Voice: bridging, cutting at grain edges, tracks, and the real Silero detector."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from analyzer_agent.errors import ToolRefusal
from analyzer_agent.media import open_video
from analyzer_agent.protocols import EngineConfig
from analyzer_agent.tools import voice
from analyzer_agent.tools.engines.silero import ENGINE, Silero
from engines import Ready
from patience import processor_seconds
from sounds import LevelDetector, SoundVideo, analyzed, bursts, cut


def voices(duration: int, words: list[tuple[int, int]], grain: int) -> list[tuple[int, int, bool]]:
    """Return (start, end, continues) of each voice."""
    video = SoundVideo(duration, [bursts(duration, words)])
    found = analyzed(voice.SPEC.bind({}, Ready(LevelDetector())), video, cut(duration, grain))
    return [(note.span.start, note.span.end, "continues" in note.detail) for notes in found.values() for note in notes]


def test_short_silences_are_bridged_and_clicks_left_out() -> None:
    assert voices(32_000, [(3_200, 6_400), (6_720, 9_600), (10_240, 12_800), (16_000, 16_010)], 0) == [
        (3_200, 9_600, False),
        (10_240, 12_800, False),
    ]


def test_a_voice_across_an_edge_is_cut_and_goes_on() -> None:
    assert voices(32_000, [(12_800, 20_000)], 16_000) == [(12_800, 16_000, False), (16_000, 20_000, True)]


def test_a_silence_across_an_edge_is_bridged_from_both_sides() -> None:
    assert voices(32_000, [(12_800, 15_872), (16_128, 19_200)], 16_000) == [(12_800, 16_000, False), (16_000, 19_200, True)]


def test_a_voice_to_the_last_sample_ends_with_the_video() -> None:
    assert voices(10_001, [(3_200, 10_001)], 0) == [(3_200, 10_001, False)]


def test_a_detector_that_needs_time_to_wake_leaves_no_holes() -> None:
    class Sleepy(LevelDetector):
        def probabilities(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
            probs = super().probabilities(samples)
            probs[: 2_000 // voice.Voice.blocks.window] = 0
            return probs

    video = SoundVideo(48_000, [bursts(48_000, [(4_800, 44_800)])])
    ((note,),) = analyzed(voice.SPEC.bind({}, Ready(Sleepy())), video, cut(48_000, 0)).values()
    assert (note.span.start, note.span.end) == (4_800, 44_800)


def test_another_track_is_another_lane() -> None:
    video = SoundVideo(9_600, [bursts(9_600, []), bursts(9_600, [(3_200, 6_400)])])
    second = voice.SPEC.bind({"track": 2}, Ready(LevelDetector()))
    ((note,),) = analyzed(second, video, cut(9_600, 0)).values()
    assert (second.lane, second.params, note.detail) == ("track 2", {"track": 2}, {"track": 2})
    with pytest.raises(ToolRefusal, match="audio track 3 does not exist in this video; it has audio tracks 1 to 2"):
        analyzed(voice.SPEC.bind({"track": 3}, Ready(LevelDetector())), video, cut(9_600, 0))


# --- Silero -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def silero() -> Silero:
    return Silero()


def test_silero_is_found_in_milliseconds_with_its_version() -> None:
    with processor_seconds(0.5):
        found = ENGINE.find(EngineConfig())
    assert found.weights.startswith("silero_vad_v6 (faster-whisper ") and not found.missing


@pytest.mark.parametrize("length", [0, 1, 511, 512, 513, 16_000])
def test_silero_gives_a_probability_for_each_window_begun_and_leaves_its_input_alone(silero: Silero, length: int) -> None:
    samples = np.full(length, 0.25, np.float32)
    probs = silero.probabilities(samples)
    assert probs.shape == (-(-length // 512),) and ((probs >= 0) & (probs <= 1)).all()
    assert (samples == 0.25).all()


def test_silero_agrees_with_the_library_on_its_own_windows(silero: Silero) -> None:
    from faster_whisper.vad import get_vad_model

    samples = np.random.default_rng(0).normal(0, 0.2, 512 * 40).astype(np.float32)
    plain = get_vad_model()(np.pad(samples, (0, 512)))
    assert np.array_equal(silero.probabilities(samples), plain.reshape(-1)[:40])


@pytest.mark.shared
def test_the_narrator_is_found_whatever_the_grains(shared: Path, silero: Silero) -> None:
    bound = voice.SPEC.bind({}, Ready(silero, "silero"))
    with open_video(shared / "media" / "nasa_webb.mp4") as video:
        ((note,),) = analyzed(bound, video, cut(video.duration, 0)).values()
        pieces = [piece for notes in analyzed(bound, video, cut(video.duration, 4_800)).values() for piece in notes]
    assert abs(note.span.start - 700) <= 100 and abs(note.span.end - 12_000) <= 100 and note.score is not None and note.score > 0.8
    assert (pieces[0].span.start, pieces[-1].span.end) == (note.span.start, note.span.end)
    assert [piece.detail.get("continues", False) for piece in pieces] == [False, True, True]


@pytest.mark.shared
def test_a_hum_is_no_voice(shared: Path, silero: Silero) -> None:
    with open_video(shared / "media" / "jfk.flac") as speech:
        samples = speech.audio(speech_span := cut(speech.duration, 0)[0].span)
    hum = np.sin(np.arange(len(samples)) * 0.05).astype(np.float32) / 4
    video = SoundVideo(speech_span.length, [samples, hum])
    by_track = {
        track: analyzed(voice.SPEC.bind({"track": track}, Ready(silero)), video, cut(video.duration, 0))[speech_span] for track in (1, 2)
    }
    assert by_track[1] and not by_track[2]

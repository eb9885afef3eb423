"""Quiet sound is raised for the voice detector, silence and noise do not become voices."""

import numpy as np
import pytest
from numpy.typing import NDArray

from analyzer_agent.media import open_video
from analyzer_agent.sample import sample_path
from analyzer_agent.timeline import TimeRange
from analyzer_agent.tools.engines.silero import Silero
from analyzer_agent.tools.support.loudness import lifted
from sounds import noise


def at_level(samples: NDArray[np.float32], decibels: float) -> NDArray[np.float32]:
    """Return the samples at a level (RMS), as a file of 16 bits holds them."""
    scaled = samples * 10 ** (decibels / 20) / np.sqrt(np.mean(np.square(samples)))
    return np.asarray(np.round(scaled * 32768) / 32768, np.float32)


@pytest.fixture(scope="module")
def words() -> NDArray[np.float32]:
    return open_video(sample_path()).audio(TimeRange(0, 12_000))


@pytest.mark.parametrize("decibels", [-45, -55, -65])
def test_a_quiet_voice_is_found_as_if_it_were_loud(words: NDArray[np.float32], decibels: float) -> None:
    silero = Silero()
    loud = silero.probabilities(at_level(words, -22)) > 0.5
    quiet = silero.probabilities(at_level(words, decibels)) > 0.5
    assert (quiet & loud).sum() >= 0.98 * loud.sum()
    loud_stretches, stretches = (silero.voiced(at_level(words, level), 160, 400) for level in (-22, decibels))
    assert np.abs(np.subtract(stretches, loud_stretches)).max() <= 130


@pytest.mark.parametrize("decibels", [-35, -50, -70, -90])
@pytest.mark.parametrize("kind", ["white", "hum", "tone", "clicks", "waves"])
def test_quiet_noise_is_no_voice(kind: str, decibels: float) -> None:
    at = np.arange(12 * 16_000) / 16_000
    white = noise(12)
    made = {
        "white": white,
        "hum": np.sin(2 * np.pi * 50 * at) + 0.3 * np.sin(2 * np.pi * 150 * at),
        "tone": np.sin(2 * np.pi * 440 * at),
        "clicks": (white > 0.35).astype(float),
        "waves": white * (1 + np.sin(2 * np.pi * 0.2 * at)),
    }[kind]
    assert (Silero().probabilities(at_level(made, decibels)) > 0.5).sum() == 0


def test_only_quiet_sound_is_changed(words: NDArray[np.float32]) -> None:
    silence = np.zeros(16_000, np.float32)
    assert lifted(words) is words
    assert lifted(silence) is silence
    assert len(lifted(silence[:100])) == 100


def test_a_click_does_not_keep_a_voice_quiet(words: NDArray[np.float32]) -> None:
    quiet = at_level(words, -50)
    quiet[40_000:40_020] = 0.9
    assert np.sqrt(np.mean(np.square(lifted(quiet)))) > 0.02

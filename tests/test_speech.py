"""Speech: seams, sentences, language, and pocketsphinx with its real loader."""

import itertools
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sounds import BurstListener, Ready, SoundVideo, analyzed, bursts, cut, noise, vowels

from analyzer_agent.errors import ToolRefusal
from analyzer_agent.media import open_video
from analyzer_agent.protocols import Availability, EngineConfig
from analyzer_agent.records import Observation
from analyzer_agent.timeline import TimeRange
from analyzer_agent.tools import seams, speech
from analyzer_agent.tools.engines import faster_whisper, pocketsphinx

# --- seams --------------------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 3), min_size=1, max_size=60))
def test_the_quietest_point_is_the_first_of_the_least_energy(levels: list[int]) -> None:
    samples = np.repeat(np.array(levels, np.float32) / 4, 160)
    if len(levels) <= 10:
        assert seams.quietest(samples) == len(levels) * 10 // 2
    else:
        energy = [sum(level**2 for level in levels[i : i + 10]) for i in range(len(levels) - 9)]
        assert seams.quietest(samples) == energy.index(min(energy)) * 10 + 50


def test_blocks_tile_the_video_and_begin_clear_of_their_edges() -> None:
    duration = 1_201_000
    video = SoundVideo(duration, [noise(duration / 1000)])
    blocks = seams.Blocks(video, 1)
    whole = blocks.touching(TimeRange(0, duration))
    assert whole[0].start == 0 and whole[-1].end == duration
    assert all(one.end == other.start for one, other in itertools.pairwise(whole))
    for block, edge in zip(whole[1:], (600_000, 1_200_000), strict=True):
        assert edge - 5_000 <= block.start <= edge - speech.PAUSE
    # A grain that begins at an edge can do without the block before.
    assert blocks.touching(TimeRange(600_000 - speech.PAUSE, 720_000)) == whole[1:2]
    assert blocks.touching(TimeRange(480_000, 600_000)) == whole[:2]


def test_a_window_is_heard_once_when_adjoining_grains_are_asked_together() -> None:
    duration = 1_320_000
    video = SoundVideo(duration, [bursts(duration, [(at, at + 500) for at in range(1_000, duration - 1_000, 1_000)])])
    listener = BurstListener()
    found = analyzed(speech.SPEC.bind({}, Ready(listener)), video, cut(duration, 120_000))
    words = sum(len(note.detail["words"]) for notes in found.values() for note in notes)
    assert words == duration // 1_000 - 2 and 0 <= 620 * words - listener.decoded <= 4 * 60
    # Blocks are read once, beside the 4 s before each edge; so is the sound in which the language is sought, were there several.
    assert sum(span.length for span in video.asked) == duration + 2 * 4_000


def test_a_grain_waits_for_no_other_than_those_heard_with_it() -> None:
    duration = 600_000
    video = SoundVideo(duration, [bursts(duration, [(at, at + 500) for at in range(1_000, duration - 1_000, 1_000)])])
    listener = BurstListener()
    running = speech.SPEC.bind({}, Ready(listener)).analyze(video, cut(duration, 120_000))
    for number in range(1, 5):
        next(running)
        # Two windows of three words are heard together.
        assert listener.decoded <= 620 * (number * 120 + 6)


# --- sentences ----------------------------------------------------------------------------------------------------------


def said(*words: tuple[str, int, int]) -> list[str]:
    groups = speech.sentences([speech.Word(" " + text, start, end, 1.0) for text, start, end in words])
    return ["".join(word.text for word in group).strip() for group in groups]


def test_sentences_end_at_punctuation_and_at_pauses() -> None:
    assert said(("Yes.", 0, 300), ("Dr.", 310, 400), ("No", 410, 500), ("came", 1301, 1400)) == ["Yes.", "Dr. No", "came"]
    assert said(("one", 0, 300), ("two", 1100, 1200)) == ["one two"]
    assert said(("Ja!”", 0, 300), ("你好。", 310, 500), ("吗", 510, 600)) == ["Ja!”", "你好。", "吗"]


def test_a_long_sentence_is_split_at_its_largest_pause() -> None:
    words = [(f"w{i}", i * 500 + (200 if i >= 20 else 0), i * 500 + 400) for i in range(40)]
    assert [len(group.split()) for group in said(*words)] == [20, 20]
    endless = [(f"w{i}", i * 100, i * 100 + 100) for i in range(1000)]
    groups = said(*endless)
    assert " ".join(groups).split() == [text for text, _, _ in endless]
    assert max(len(group.split()) for group in groups) * 100 <= speech.LONGEST


def test_words_keep_the_spaces_of_their_language() -> None:
    class Chinese(BurstListener):
        def windows(self, samples: Any) -> list[list[tuple[int, int]]]:
            return [[(0, 1_000)]]

        def words(self, windows: Any, language: str, hotwords: str) -> list[list[tuple[str, int, int, float]]]:
            return [[("你", 0, 400, 0.5), ("好", 400, 700, 1.0)]]

    (notes,) = analyzed(speech.SPEC.bind({}, Ready(Chinese())), SoundVideo(1_000, [noise(1)]), cut(1_000, 0)).values()
    detail = {"words": [["你", 0, 400, 0.5], ["好", 400, 700, 1.0]], "language": "en", "track": 1}
    assert notes == [Observation(TimeRange(0, 700), "speech", "你好", 0.75, detail)]


# --- language, tracks, options ------------------------------------------------------------------------------------------


class Linguist(BurstListener):
    """Knows two languages; what is spoken hangs on the level of what it is given."""

    languages = ("de", "en")

    def __init__(self) -> None:
        super().__init__()
        self.given: list[int] = []

    def language(self, samples: NDArray[np.float32]) -> str:
        self.given.append(len(samples) // 16)
        return "de" if samples.max() < 0.01 else "en"


def test_the_language_is_decided_once_per_track_from_its_first_voice() -> None:
    duration = 700_000
    words = [(610_060 + i * 1_000, 610_440 + i * 1_000) for i in range(80)]
    video = SoundVideo(duration, [bursts(duration, words), bursts(duration, [(1_000 * i + 60, 1_000 * i + 840) for i in range(1, 60)])])
    grains = cut(duration, 120_000)
    linguist = Linguist()
    late = analyzed(speech.SPEC.bind({}, Ready(linguist)), video, grains[5:])
    # Ten minutes of silence do not end the search, and the first window with a voice does: 20 words of half a second.
    assert linguist.given == [10_000]
    assert {note.detail["language"] for notes in late.values() for note in notes} == {"en"}
    other = Linguist()
    analyzed(speech.SPEC.bind({"track": 2}, Ready(other)), video, grains[:1])
    assert other.given == [30_000]


def test_a_given_language_is_taken_and_an_unknown_one_refused() -> None:
    video, linguist = SoundVideo(1_000, [bursts(1_000, [(100, 400)])]), Linguist()
    (notes,) = analyzed(speech.SPEC.bind({"language": "de"}, Ready(linguist)), video, cut(1_000, 0)).values()
    assert notes[0].detail["language"] == "de" and linguist.given == []
    with pytest.raises(ToolRefusal, match="'fr' is not known to fake; give 'auto' or one of de, en"):
        analyzed(speech.SPEC.bind({"language": "fr"}, Ready(linguist)), video, cut(1_000, 0))
    linguist.takes_hotwords = False
    with pytest.raises(ToolRefusal, match="cannot use hotwords"):
        analyzed(speech.SPEC.bind({"hotwords": "Webb"}, Ready(linguist)), video, cut(1_000, 0))


@pytest.mark.parametrize(("tracks", "there"), [(0, "no sound"), (1, "track 1 only"), (2, "tracks 1 to 2")])
def test_a_track_that_does_not_exist_is_refused(tracks: int, there: str) -> None:
    video = SoundVideo(1_000, [noise(1)] * tracks)
    with pytest.raises(ToolRefusal, match=f"audio track 3 does not exist.*{there}"):
        analyzed(speech.SPEC.bind({"track": 3}, Ready(BurstListener())), video, cut(1_000, 0))


def test_options_that_change_what_is_stored_are_parameters_and_tracks_are_lanes() -> None:
    plain = speech.SPEC.bind({}, Ready(BurstListener()))
    assert (plain.params, plain.lane) == ({"track": 1, "language": "auto", "hotwords": ""}, "")
    assert speech.SPEC.bind({"track": 2}, Ready(BurstListener())).lane == "track 2"


# --- pocketsphinx -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sphinx() -> pocketsphinx.Pocketsphinx:
    return pocketsphinx.load(EngineConfig())


def test_pocketsphinx_says_what_it_is_in_milliseconds() -> None:
    started = time.perf_counter()
    found = pocketsphinx.find(EngineConfig())
    assert found == Availability(weights=found.weights) and found.weights.startswith("en-us (pocketsphinx 5")
    assert time.perf_counter() - started < 0.5
    assert pocketsphinx.ENGINE.uncertain and pocketsphinx.ENGINE.tier > faster_whisper.WHISPER.tier


def test_pocketsphinx_serves_english_without_hotwords() -> None:
    served = [{}, {"language": "en", "hotwords": ""}, {"language": "auto"}]
    assert [pocketsphinx.ENGINE.suits(EngineConfig(), options) for options in served] == ["", "", ""]
    assert "not 'de'" in pocketsphinx.ENGINE.suits(EngineConfig(), {"language": "de"})
    assert "hotwords" in pocketsphinx.ENGINE.suits(EngineConfig(), {"hotwords": "Webb"})


def test_pocketsphinx_hears_what_the_library_hears(sphinx: pocketsphinx.Pocketsphinx) -> None:
    from pocketsphinx import Decoder

    samples = vowels(0.6, 160) + noise(0.6, 1) / 10
    decoder = Decoder(samprate=16_000, loglevel="FATAL")
    decoder.start_utt()
    decoder.process_raw((samples * 32767).astype(np.int16).tobytes(), full_utt=True)
    decoder.end_utt()
    plain = [(s.word.partition("(")[0], s.start_frame * 10, (s.end_frame + 1) * 10) for s in decoder.seg() if s.word[0] not in "<[+"]
    assert plain and [(word.strip(), start, end) for word, start, end, _ in sphinx._decode(samples)] == plain


def test_pocketsphinx_forgets_what_it_heard_before(sphinx: pocketsphinx.Pocketsphinx) -> None:
    one, other = vowels(0.6), vowels(0.6, 160) + noise(0.6, 1) / 10
    alone = pocketsphinx.load(EngineConfig())._decode(other)
    sphinx._decode(one)
    assert alone and sphinx._decode(other) == alone
    assert all(word.startswith(" ") and not set(word) & set("<>[]()") for word, *_ in alone)


def test_pocketsphinx_says_nothing_where_nobody_speaks(sphinx: pocketsphinx.Pocketsphinx) -> None:
    assert sphinx.windows(np.zeros(48_000, np.float32)) == sphinx.windows(np.zeros(0, np.float32)) == []


@pytest.mark.shared
@pytest.mark.slow
def test_pocketsphinx_hears_the_telescope(shared: Path, sphinx: pocketsphinx.Pocketsphinx) -> None:
    with open_video(shared / "media" / "nasa_webb.mp4") as video:
        (notes,) = analyzed(speech.SPEC.bind({}, Ready(sphinx, "pocketsphinx")), video, cut(video.duration, 120_000)).values()
    words = [word for note in notes for word in note.detail["words"]]
    text = " ".join(word[0] for word in words)
    assert "space telescope in one of the largest" in text and "goddard space flight center" in text
    # The second and third subtitle stand from 4.26 s and from 8.35 s.
    when = {word[0]: word[1] for word in words}
    assert abs(when["telescope"] - 4_260) <= 500
    assert abs(when["nasa's"] - 8_350) <= 500

"""What holds for every sound and subtitle analyzer: grains decide, not requests; nothing crosses a grain or the video."""

import itertools
import json
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer_agent.protocols import Cue, Track
from analyzer_agent.timeline import TimeRange
from analyzer_agent.tools import speech, subtitles, voice
from analyzer_agent.tools.support import audio_chunks
from engines import Ready
from sounds import BurstListener, LevelDetector, SoundVideo, analyzed, bursts, cut, words_of

GRAIN = 12_000


@pytest.fixture(autouse=True, scope="module")
def short_blocks() -> Iterator[None]:
    """Blocks whose edges are, and are not, those of grains."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(audio_chunks, "CHUNK_MS", 16_000)
        yield


@st.composite
def sounding(draw: st.DrawFn) -> SoundVideo:
    """A video full of bursts and cues, densely or sparsely, the last grain of any length."""
    duration = draw(st.one_of(st.integers(1, 60_000), st.integers(25_000, 60_000)))
    longest = draw(st.sampled_from([200, 900, 4_000]))
    chance = random.Random(draw(st.integers(0, 2**32)))
    words: list[tuple[int, int]] = []
    while (end := (start := (words[-1][1] if words else 0) + chance.randint(150, longest)) + chance.randint(60, 900)) <= duration:
        words.append((start, end))
    cues = [Cue(TimeRange(start, end + chance.randint(0, 30_000)), f"cue {i}") for i, (start, end) in enumerate(words)]
    return SoundVideo(duration, [bursts(duration, words)], [(Track(1, "subrip"), cues)])


def bind(name: str) -> Any:
    if name == "speech":
        return speech.SPEC.bind({}, Ready(BurstListener()))
    return voice.SPEC.bind({}, Ready(LevelDetector())) if name == "voice" else subtitles.SPEC.bind({})


@pytest.mark.parametrize("name", ["speech", "voice", "subtitles"])
@settings(max_examples=40, deadline=None)
@given(video=sounding(), data=st.data())
def test_what_is_found_in_a_grain_depends_on_the_grain_alone(name: str, video: SoundVideo, data: st.DataObject) -> None:
    grains = cut(video.duration, GRAIN)
    whole = analyzed(bind(name), video, grains)
    for span, notes in whole.items():
        for note in notes:
            assert span.start <= note.span.start < note.span.end <= span.end <= video.duration
            assert note.kind in {"speech", "voice", "subtitle"} and note.text
            json.dumps(note.detail)
    asked = data.draw(st.lists(st.lists(st.sampled_from(grains), min_size=1, max_size=4, unique=True), max_size=4))
    reused = bind(name)
    for some in asked:
        for analyzer in (reused, bind(name)):
            assert analyzed(analyzer, video, some) == {grain.span: whole[grain.span] for grain in some}


@settings(max_examples=60, deadline=None)
@given(video=sounding())
def test_no_word_is_lost_or_doubled_at_a_seam(video: SoundVideo) -> None:
    found = analyzed(bind("speech"), video, cut(video.duration, GRAIN))
    words = words_of(note for notes in found.values() for note in notes)
    assert [word[0] for word in words] == [cue.text.replace("cue ", "w") for cue in video.subtitles(1)]
    for (_, start, end, _), cue in zip(words, video.subtitles(1), strict=True):
        assert abs(start - cue.span.start) <= 50 and start < end <= video.duration


@settings(max_examples=60, deadline=None)
@given(video=sounding())
def test_a_sentence_goes_on_exactly_where_no_pause_lies_at_the_edge(video: SoundVideo) -> None:
    found = [notes for _, notes in sorted(analyzed(bind("speech"), video, cut(video.duration, GRAIN)).items())]
    for before, after in itertools.pairwise(found):
        if after:
            pause = words_of(after)[0][1] - words_of(before)[-1][2] if before else speech.SENTENCE_PAUSE_MS + 1
            assert after[0].detail.get("continues", False) is (pause <= speech.SENTENCE_PAUSE_MS)
            assert not any("continues" in note.detail for note in after[1:])


@settings(max_examples=60, deadline=None)
@given(video=sounding())
def test_voices_are_the_same_whether_the_video_is_cut_or_not(video: SoundVideo) -> None:
    (whole,) = analyzed(bind("voice"), video, cut(video.duration, 0)).values()
    joined: list[list[int]] = []
    for notes in (notes for _, notes in sorted(analyzed(bind("voice"), video, cut(video.duration, GRAIN)).items())):
        for note in notes:
            if note.detail.get("continues"):
                assert joined[-1][1] == note.span.start
                joined[-1][1] = note.span.end
            else:
                joined.append([note.span.start, note.span.end])
    assert joined == [[note.span.start, note.span.end] for note in whole]


def test_sound_is_read_no_further_than_the_declared_context() -> None:
    video = SoundVideo(200_000, [np.zeros(200_000 * 16, np.float32)])
    for spec, engine in ((speech.SPEC, BurstListener()), (voice.SPEC, LevelDetector())):
        analyzed(spec.bind({}, Ready(engine)), video, cut(video.duration, 40_000)[2:3])
        assert min(span.start for span in video.asked) >= 80_000 - spec.context
        assert max(span.end for span in video.asked) <= 120_000 + spec.context
        video.asked.clear()

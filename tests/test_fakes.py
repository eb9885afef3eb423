"""The fakes that this package and plug-ins are tested with: they keep the contracts, and fail loudly where these end."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer_agent.protocols import Cue, Grain, Reply
from analyzer_agent.records import ToolCall
from analyzer_agent.testing import FakeAnalyzer, FakeVideo, ScriptedModel, call, fake_spec
from analyzer_agent.timeline import TimeRange

# --- the model --------------------------------------------------------------------------------------------------------


def test_a_script_is_played_once_and_kept_with_what_was_sent() -> None:
    model = ScriptedModel(Reply("one"), lambda messages: Reply(messages[-1]["content"].upper()))
    heard: list[str] = []
    assert model.complete([{"content": "a"}], [], heard.append).text == "one"
    assert model.complete([{"content": "b"}], [{"tool": 1}]).text == "B"
    assert heard == ["one"] and model.requests == [([{"content": "a"}], []), ([{"content": "b"}], [{"tool": 1}])]


def test_a_script_that_runs_out_fails_the_test() -> None:
    model = ScriptedModel(Reply("only"))
    model.complete([{"content": "a"}], [])
    with pytest.raises(AssertionError, match=r"the script ran out at request 2: .*'b'"):
        model.complete([{"content": "b"}], [])


def test_a_call_is_written_as_a_model_writes_it() -> None:
    assert call("find_x", ranges=[[0, 8]]) == ToolCall("call-find_x", "find_x", '{"ranges": [[0, 8]]}')
    assert call("find_x", "id-1", name="n").id == "id-1"


# --- the video --------------------------------------------------------------------------------------------------------


@given(st.integers(1, 60), st.integers(0, 3_000), st.integers(0, 4_999), st.integers(1, 2_000))
def test_frames_come_at_their_times_whatever_the_rate(rate: int, start: int, begin: int, length: int) -> None:
    video = FakeVideo(5_000, rate=rate, start=start)
    times = [start + -(-k * 1000 // rate) for k in range(6 * rate)]
    times = [t for t in times if t < 5_000]
    span = TimeRange(begin, min(begin + length, 5_000))
    assert [(f.t, f.pts) for f in video.frames(span)] == [(t, t) for t in times if span.start <= t < span.end]
    shown = max([t for t in times if t <= begin], default=times[0])
    assert [(f.t, f.pts) for f in video.frames(span, instants=[begin])] == [(begin, shown)]
    assert video.reads[-1] == TimeRange(shown, shown + 1)


def test_frames_on_a_grid_and_in_either_order() -> None:
    video = FakeVideo(4_000, picture_at=lambda ms: np.full((2, 2, 3), (ms // 1000, 0, 9), np.uint8))
    frames = list(video.frames(TimeRange(0, 4_000), 1))
    assert [f.t for f in frames] == [0, 1_000, 2_000, 3_000] and [int(f.image[0, 0, 0]) for f in frames] == [0, 1, 2, 3]
    (swapped,) = video.frames(TimeRange(0, 1), instants=[1_000], order="bgr")
    assert swapped.image[0, 0].tolist() == [9, 0, 1]


def test_sound_is_as_long_as_asked_and_silent_after_its_end() -> None:
    video = FakeVideo(3_000, sound=np.ones(16_000, np.float32))
    samples = video.audio(TimeRange(500, 2_000))
    assert len(samples) == 24_000 and samples[:8_000].all() and not samples[8_000:].any()
    assert video.reads == [TimeRange(500, 2_000)]


@pytest.mark.parametrize(
    "misuse",
    [
        lambda: list(FakeVideo(1_000).frames(TimeRange(0, 1), instants=[1_000])),
        lambda: FakeVideo(1_000).audio(TimeRange(0, 1)),
        lambda: FakeVideo(1_000, sound=np.zeros(9, np.float32)).audio(TimeRange(0, 1_001)),
        lambda: FakeVideo(1_000, sound=np.zeros(9, np.float32)).audio(TimeRange(0, 1), track=2),
        lambda: FakeVideo(1_000).subtitles(1),
        lambda: FakeVideo(1_000, cues=[Cue(TimeRange(0, 1), "x")]).subtitles(2),
    ],
)
def test_what_is_not_there_is_an_error(misuse: Callable[[], object]) -> None:
    with pytest.raises(AssertionError, match="no "):
        misuse()


def test_no_frames_of_sound_only() -> None:
    video = FakeVideo(1_000)
    video.picture = None
    with pytest.raises(AssertionError, match="no picture"):
        list(video.frames(TimeRange(0, 1_000)))


# --- the analyzer -----------------------------------------------------------------------------------------------------


def test_an_analyzer_that_does_not_sample_cuts_at_edges_and_says_so() -> None:
    analyzer = FakeAnalyzer([(TimeRange(5, 25), "x")], kind="motion")
    grains = [Grain(TimeRange(n, n + 10)) for n in (0, 10, 20, 30)]
    found = list(analyzer.analyze(FakeVideo(40), grains))
    assert [grain for grain, _ in found] == grains == analyzer.analyzed
    pieces = [o for _, some in found for o in some]
    assert [(o.span.start, o.span.end, dict(o.detail)) for o in pieces] == [
        (5, 10, {}),
        (10, 20, {"continues": True}),
        (20, 25, {"continues": True}),
    ]
    assert found[3][1] == [] and {o.kind for o in pieces} == {"motion"}


def test_an_analyzer_that_samples_sees_what_is_there_at_each_instant() -> None:
    analyzer = FakeAnalyzer([(TimeRange(900, 1_100), "flash"), (TimeRange(200, 800), "missed")])
    ((_, found),) = analyzer.analyze(FakeVideo(1_500), [Grain(TimeRange(0, 1_500), 1_000, (0, 1_000))])
    assert [(o.span, o.text) for o in found] == [(TimeRange(1_000, 1_500), "flash")]


def test_a_spec_around_an_analyzer() -> None:
    analyzer = FakeAnalyzer([], kind="motion")
    spec = fake_spec(analyzer, name="mine", step=1_000, grain=16_000, context=5)
    assert spec.bind({"any": 1}) is analyzer
    assert (spec.name, spec.tool, spec.kinds, spec.step, spec.grain, spec.context) == ("mine", "find_mine", ("motion",), 1_000, 16_000, 5)

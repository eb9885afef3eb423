"""Answers as text for people: what is told of voice without words."""

from analyzer_agent.records import Reason, Unexamined
from analyzer_agent.timeline import TimeRange
from analyzer_agent.wording import left_lines, unheard_lines


def missed(start: int, end: int, video: str = "a", reason: Reason = "not_understood") -> Unexamined:
    return Unexamined("speech", TimeRange(start, end), reason, "", video)


def test_voice_without_words_is_told_in_a_line_of_its_own() -> None:
    told = left_lines([missed(0, 15_000), missed(60_000, 64_500)], {"a": "talk.mp4"}, unseen=False)
    assert list(told) == ["Not understood: voice at 0:00-0:15, 1:00-1:04.5 without words"]
    told = left_lines([missed(0, 15_000), missed(20_000, 30_000, reason="unseen")], {}, unseen=True)
    assert list(told) == ["Not examined: speech 0:20-0:30 (unseen)", "Not understood: voice at 0:00-0:15 without words"]


def test_each_of_several_videos_has_a_line() -> None:
    lines = unheard_lines([missed(0, 4_000, "a"), missed(1_000, 6_000, "b")], {"a": "one.mp4", "b": "two.mp4"})
    assert lines == [
        "Not understood: voice at 0:00-0:04 of one.mp4 without words",
        "Not understood: voice at 0:01-0:06 of two.mp4 without words",
    ]
    many = unheard_lines([missed(n * 10_000, n * 10_000 + 4_000) for n in range(7)], {})
    assert many[0].endswith("0:30-0:34 and 3 more parts without words")

"""The schedule of analyzer calls for a question.

Short videos are covered completely, long ones in spread windows; several videos take turns.
"""

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

from analyzer_agent.llm.rules.answers import CLEAR_SCORE
from analyzer_agent.llm.rules.question_parser import COUNT_TOOL, LISTING_TOOLS, object_classes
from analyzer_agent.llm.rules.question_state import Call, QuestionState
from analyzer_agent.timeline import TimeRange, clock, parse

LONG_VIDEO_MS = 1_800_000
"""From this length on, all tools together analyze only a quarter of a video per question."""

_MAX_SHARE_DIVISOR = 4
_SAMPLE_MS = 120_000
"""A multiple of every built-in analyzer's grain, so that only requested ranges are analyzed."""

_WINDOW_MS = 600_000
"""The most media time of one step, in ms: one window of a video, or several shorter videos."""

_MAX_CALLS = 9
"""The most analyzer calls for a long video, so that the default number of steps suffices."""


class CallSchedule:
    """The analyzer calls for a question.

    Args:
        talk: the conversation.
        question: the question without references to videos and times.
        route: the tools to call, most promising first.
        searched: whether all notes have been searched for the question's words. Then only
            unanalyzed ranges are scheduled, and complete subtitles replace the transcription.
    """

    def __init__(self, talk: QuestionState, question: str, route: Sequence[str], searched: bool = False) -> None:
        self.talk, self.route, self.searched = talk, list(route), searched
        self.classes = object_classes(question)

    @property
    def long(self) -> bool:
        """Whether a video is so long that only parts of it are analyzed."""
        return any(part is not None and part.length >= LONG_VIDEO_MS for part in map(self.talk.inside, self.talk.videos))

    def batches(self, costless: bool | None = None) -> list[list[Call]]:
        """Return the calls in order, grouped by step.

        Args:
            costless: True selects the calls that cost nothing, False the others, None all.
        """
        talk = self.talk
        by_video = [self._of(video) for video in talk.videos]
        if len(talk.videos) == 1:
            return [[call] for call in by_video[0] if costless in (None, self.costless(call))]
        found: list[list[Call]] = []
        for turn in zip_longest(*by_video):
            calls = [call for call in turn if call is not None and costless in (None, self.costless(call))]
            for tool in self.route:
                found += self._steps([call for call in calls if call[0] == tool])
        return found

    def _steps(self, calls: Sequence[Call]) -> list[list[Call]]:
        """Group a tool's calls on several videos into steps of `_WINDOW_MS` of new analysis."""
        steps: list[list[Call]] = []
        room = 0
        for call in calls:
            cost = 0 if self.costless(call) else _length(call)
            if not steps or cost > room:
                steps.append([])
                room = _WINDOW_MS
            steps[-1].append(call)
            room -= cost
        return steps

    def _of(self, video: str) -> list[Call]:
        part = self.talk.inside(video)
        return [call for tool, ranges in self._places(video, part) for call in self._calls(tool, video, ranges)] if part else []

    def _places(self, video: str, inside: TimeRange) -> list[tuple[str, list[TimeRange]]]:
        """Return the ranges for each tool: a long video is sampled unless a tool costs nothing."""
        windows = [TimeRange(at, min(at + _WINDOW_MS, inside.end)) for at in range(inside.start, inside.end, _WINDOW_MS)]
        tools = [tool for tool in self.route if self._helps(tool, video)]
        if inside.length < LONG_VIDEO_MS:
            # Counting needs a single range: an object in two ranges would count twice.
            return [(tool, [window]) for tool in tools for window in ([inside] if tool == COUNT_TOOL else windows)]
        known = [tool for tool in tools if self._known(tool, video)]
        dear = [tool for tool in tools if tool not in known]
        return [(tool, windows) for tool in known] + schedule_windows(inside, dear, max(2, _MAX_CALLS // max(1, len(dear))))

    def _helps(self, tool: str, video: str) -> bool:
        if self.talk.useless(tool, video):
            return False
        if not self.searched or tool in LISTING_TOOLS:
            return True
        return not self.talk.done(tool, video) and not (tool == "transcribe_speech" and self.talk.done("read_subtitles", video))

    def _known(self, tool: str, video: str) -> bool:
        return tool == "read_subtitles" or self.talk.done(tool, video)

    def costless(self, call: Call) -> bool:
        """Return whether a call analyzes nothing, or next to nothing."""
        return self._known(call[0], str(call[1].get("video") or next(iter(self.talk.videos))))

    def _calls(self, tool: str, video: str, ranges: Sequence[TimeRange]) -> list[Call]:
        args: dict[str, Any] = {"ranges": [[clock(span.start), clock(span.end)] for span in ranges]}
        if tool in ("detect_objects", COUNT_TOOL):
            args["classes"] = self.classes
        args |= {"video": video} if len(self.talk.videos) > 1 else {}
        return [(tool, args), *([(tool, args | {"min_score": CLEAR_SCORE})] if tool == COUNT_TOOL else [])]

    @property
    def sampled(self) -> str:
        """A sentence on the share of long videos that the tools covered; "" if there are none."""
        if not self.long:
            return ""
        analyzed: dict[str, int] = {}
        for video in self.talk.videos:
            for call in self._of(video):
                if self.talk.is_made(call) and not self.costless(call) and "min_score" not in call[1]:
                    analyzed[call[0]] = analyzed.get(call[0], 0) + _length(call)
        whole = clock(sum(video.scope.length for video in self.talk.videos.values()))
        told = ", ".join(f"{tool} {clock(ms)}" for tool, ms in analyzed.items())
        return f"Analyzed only in parts spread over the video: {told} of {whole}." if told else ""

    def unexamined(self) -> list[str]:
        """Return the videos that a tool of the route has not covered completely."""
        return [video for video in self.talk.videos if self._open(video)]

    def _open(self, video: str) -> bool:
        part = self.talk.inside(video)
        tools = [tool for tool in self.route if self._helps(tool, video) and not self.talk.done(tool, video)]
        if part is None or not tools:
            return False
        made = [call for call in self._of(video) if self.talk.is_made(call)]
        return any(sum(_length(call) for call in made if call[0] == tool) < part.length for tool in tools)


def _length(call: Call) -> int:
    return sum(parse(end) - parse(start) for start, end in call[1]["ranges"])


# --- sampling of long videos ------------------------------------------------------------------------------------------


def schedule_windows(scope: TimeRange, tools: Sequence[str], rounds: int) -> list[tuple[str, list[TimeRange]]]:
    """Return the windows for each tool, round by round, for a quarter of `scope` in total.

    The first round has one window per tool, as costs may be unknown; each round doubles the number
    and lies between the windows of earlier rounds.

    Args:
        scope: the part of the video.
        tools: the tools, which share the windows.
        rounds: the most rounds.
    """
    slots = scope.grains(_SAMPLE_MS, scope.end)[1 if scope.start % _SAMPLE_MS else 0 :]
    order = [slots[n] for n in _bit_reversed(len(slots))]
    room = scope.length // _MAX_SHARE_DIVISOR // _SAMPLE_MS
    windows = []
    for number, tool in enumerate(tools):
        mine = order[: room // len(tools) + (number < room % len(tools))]
        windows += [(at, number, tool, part) for at, part in enumerate(_rounds_of(mine, rounds))]
    return [(tool, sorted(part)) for _, _, tool, part in sorted(windows, key=lambda window: window[:2])]


def _bit_reversed(count: int) -> list[int]:
    """Return 0 to `count` - 1 with evenly spread prefixes (bit reversal, van der Corput)."""
    width = count.bit_length()
    halved = sorted(range(2**width), key=lambda n: f"{n:0{width}b}"[::-1])
    return list(dict.fromkeys(n * count >> width for n in halved))


def _rounds_of(windows: Sequence[TimeRange], rounds: int) -> list[Sequence[TimeRange]]:
    """Split windows into rounds of 1, 2, 4, ...; the last round takes the rest."""
    parts: list[Sequence[TimeRange]] = []
    at = 0
    while at < len(windows):
        size = 2 ** len(parts) if len(parts) + 1 < rounds else len(windows)
        parts.append(windows[at : at + size])
        at += size
    return parts

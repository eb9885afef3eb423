"""Sampling of long videos: short windows spread over the video, first far apart, then between."""

from collections.abc import Sequence

from analyzer_agent.timeline import TimeRange

LONG_VIDEO_MS = 1_800_000
"""From this length on, all tools together analyze only a quarter of a video per question."""

_MAX_SHARE_DIVISOR = 4
_WINDOW_MS = 120_000
"""A multiple of every built-in analyzer's grain, so that only requested ranges are analyzed."""


def schedule_windows(scope: TimeRange, tools: Sequence[str], rounds: int) -> list[tuple[str, list[TimeRange]]]:
    """Return the windows for each tool, round by round, for a quarter of `scope` in total.

    The first round has one window per tool, as costs may be unknown; each round doubles the number
    and lies between the windows of earlier rounds.

    Args:
        scope: the part of the video.
        tools: the tools, which share the windows.
        rounds: the most rounds.
    """
    slots = scope.grains(_WINDOW_MS, scope.end)[1 if scope.start % _WINDOW_MS else 0 :]
    order = [slots[n] for n in _bit_reversed(len(slots))]
    room = scope.length // _MAX_SHARE_DIVISOR // _WINDOW_MS
    looks = []
    for number, tool in enumerate(tools):
        mine = order[: room // len(tools) + (number < room % len(tools))]
        looks += [(at, number, tool, part) for at, part in enumerate(_rounds_of(mine, rounds))]
    return [(tool, sorted(part)) for _, _, tool, part in sorted(looks, key=lambda look: look[:2])]


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

"""Where to look in a long video when all of it would be too much: short windows spread over it, first far apart, then between.

Knows nothing of questions, tools or notes.
"""

from collections.abc import Sequence

from analyzer_agent.timeline import TimeRange

LONG_VIDEO_MS = 1_800_000
"""From this length on, only a quarter of a video is looked at for one question, by all tools together."""

_MAX_SHARE_DIVISOR = 4
_WINDOW_MS = 120_000
"""A whole number of the grains of all built-in analyzers, so that no more is analyzed than is asked for."""


def schedule_windows(scope: TimeRange, tools: Sequence[str], rounds: int) -> list[tuple[str, list[TimeRange]]]:
    """Return which tool looks where, round by round: one window each, then twice as many, until a quarter of `scope` is shared out.

    The first windows are few because nobody may know yet what a tool costs. Each round lies between the windows of the ones before it.
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
    """Return 0 to `count` - 1 so that each beginning of the list is spread evenly: by reversed bits (van der Corput)."""
    width = count.bit_length()
    halved = sorted(range(2**width), key=lambda n: f"{n:0{width}b}"[::-1])
    return list(dict.fromkeys(n * count >> width for n in halved))


def _rounds_of(windows: Sequence[TimeRange], rounds: int) -> list[Sequence[TimeRange]]:
    """Return the windows in parts of 1, 2, 4, ...; the last of `rounds` takes what is left."""
    parts: list[Sequence[TimeRange]] = []
    at = 0
    while at < len(windows):
        size = 2 ** len(parts) if len(parts) + 1 < rounds else len(windows)
        parts.append(windows[at : at + size])
        at += size
    return parts

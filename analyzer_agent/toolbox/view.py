"""The tool `view`: frames as pictures for a model that sees.

A picture has a number of its own, so that it can be cited like a note; `cited_frames` then makes a
note of it. Messages hold a part that stands for the picture, which is put in when they are sent.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from analyzer_agent.errors import ToolRefusal
from analyzer_agent.protocols import Video
from analyzer_agent.records import ShownPicture, ToolCall, ToolResult
from analyzer_agent.records.pictures import FRAME_PART
from analyzer_agent.regions import SCHEMA as REGION
from analyzer_agent.regions import Region, parse_region
from analyzer_agent.storage import Store
from analyzer_agent.timeline import SHORTEST_STEP, TimeRange, clock, even_times, merge, seconds
from analyzer_agent.toolbox.schemas import RANGES, VIEW, function_schema, moments, video_property
from analyzer_agent.toolbox.session_video import SessionVideo

MAX_PICTURES, FRAMES_PER_RANGE, FRAMES_PER_SHEET = 16, 8, 16
"""Most pictures of a call; frames of a range by default; frames on a sheet."""
_KEPT, _DROPPED = 32, 16
"""With more pictures than the first in a conversation, the oldest leave it, so many at a time."""


class Pictures(Protocol):
    """Makes pictures of frames, for messages."""

    def part(self, video: Video, times: Sequence[int], region: Region | None) -> Mapping[str, Any] | None:
        """Return a picture as a part of a message; None where a frame cannot be decoded.

        Args:
            video: the video.
            times: the time of the frame in ms; with several, the picture is a sheet of them.
            region: the part of the frames to show; None for all of them.
        """


def view_tool(videos: Sequence[str]) -> dict[str, Any]:
    """Return the schema of the tool; `videos` are the names to choose from."""
    properties = {
        **video_property(videos),
        "ranges": RANGES,
        "every": {"type": "number", "description": "seconds between frames, from 0.04; default: an eighth of the range"},
        "sheet": {"type": "boolean", "description": f"{FRAMES_PER_SHEET} small frames to a picture; the default without ranges"},
        "region": REGION,
    }
    told = (
        f"See frames of the video yourself, at most {MAX_PICTURES} pictures a call, each with a number to cite like a note. "
        "Without ranges: one sheet of the whole video."
    )
    return function_schema(VIEW, told, properties, [*video_property(videos)])


def view(
    store: Store, pictures: Pictures, session_video: SessionVideo, call: ToolCall, args: Mapping[str, Any], name: str = ""
) -> ToolResult:
    """Choose the frames of a call and number them.

    Args:
        store: the store, which gives the numbers.
        pictures: makes the pictures.
        session_video: the video.
        call: the call.
        args: its decoded arguments.
        name: the video's name in labels; "" if there is only one.

    Raises:
        ToolRefusal: an argument is invalid, there is no picture, or there are too many.
    """
    groups, region = _groups(session_video, args), parse_region(args.get("region"))
    lost = [times[0] for _, times in groups if pictures.part(session_video.video, times, region) is None]
    seen = [(span, times) for span, times in groups if times[0] not in lost]
    numbers = store.notes.reserve_ids(len(seen))
    shown = tuple(
        ShownPicture(number, session_video.video.id, span, tuple(times), region, name)
        for number, (span, times) in zip(numbers, seen, strict=True)
    )
    count = sum(len(times) for _, times in seen)
    sheets = f" on {len(seen)} sheet{'' if len(seen) == 1 else 's'}" if count > len(seen) else ""
    told = [f"view: {count} frame{'s' if count != 1 else ''}{sheets}, shown to you"]
    if sheet := next((picture for picture in shown if len(picture.times) > 1), None):
        told.append(f"Cite a frame of a sheet with its time: [#{sheet.number} {clock(sheet.times[1])}]")
    told += [f"{len(lost)} cannot be decoded, at {', '.join(map(clock, lost))}"] if lost else []
    span = TimeRange(groups[0][0].start, groups[-1][0].end)
    return ToolResult(call.id, f"{'. '.join(told)}.", span=span, args=args, found=len(shown), pictures=shown)


def _groups(session_video: SessionVideo, args: Mapping[str, Any]) -> list[tuple[TimeRange, list[int]]]:
    """Return the frames of each picture, with the range that they stand for."""
    picture, every = session_video.video.picture, args.get("every")
    if every is not None and not 0 < every < 1e6:
        raise ToolRefusal(f"'every': cannot show a frame every {every!r} seconds; give a positive number, such as 0.5 or 2.")
    asked = merge(moments(args["ranges"], session_video.scope), gap=-1) if "ranges" in args else [session_video.scope]
    spans = [part for span in asked if picture and (part := span.within(picture))]
    if not spans:
        raise ToolRefusal("there is no picture in these ranges.")
    many = FRAMES_PER_SHEET if args.get("sheet", "ranges" not in args) else 1
    step = max(SHORTEST_STEP, round(every * 1000)) if every else 0
    groups: list[tuple[TimeRange, list[int]]] = []
    for span in spans:
        times = list(range(span.start, span.end, step)) if step else even_times(span, max(many, FRAMES_PER_RANGE))
        if many > 1 and len(times) % many == 1 and len(times) > 1 and span.end - times[-1] < step / 2:
            times.pop()  # no sheet of a single frame for the very end
        starts = times[::many]
        groups += [
            (TimeRange(start, end), times[n * many : (n + 1) * many])
            for n, (start, end) in enumerate(zip(starts, [*starts[1:], span.end], strict=True))
        ]
    if len(groups) > MAX_PICTURES:
        least = seconds(-(-sum(span.length for span in spans) // (MAX_PICTURES * many)))
        raise ToolRefusal(
            f"that is {len(groups)} pictures, and a call shows at most {MAX_PICTURES}. Shorten the ranges, or give every={least:g}."
        )
    return groups


# --- messages -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PictureRenderer:
    """Puts pictures into messages in place of the parts that stand for them.

    The oldest pictures of a long conversation are replaced by a line that says how to see them
    again: many at a time, because each change of what was sent before costs a server's cache.
    """

    pictures: Pictures
    videos: Mapping[str, Video]

    def render(self, messages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Return the messages with pictures."""
        count = sum(part.get("type") == FRAME_PART for message in messages for part in _parts(message))
        gone = max(0, -(-(count - _KEPT) // _DROPPED) * _DROPPED)
        found: list[dict[str, Any]] = []
        for message in messages:
            parts: list[Mapping[str, Any] | ShownPicture] = []
            for part in _parts(message):
                if part.get("type") != FRAME_PART:
                    parts.append(part)
                    continue
                parts += self._shown(ShownPicture.from_part(part), gone > 0)
                gone -= 1
            found.append({**message, "content": _with_stubs(parts)} if parts else dict(message))
        return found

    def _shown(self, picture: ShownPicture, gone: bool) -> list[Mapping[str, Any] | ShownPicture]:
        video = self.videos.get(picture.video)
        part = self.pictures.part(video, picture.times, picture.region) if video and not gone else None
        return [picture] if part is None else [{"type": "text", "text": picture.label}, part]


def _with_stubs(parts: Iterable[Mapping[str, Any] | ShownPicture]) -> list[Mapping[str, Any]]:
    """Return the parts of a message with a line in place of pictures that have left it, one for those beside each other."""
    found: list[Mapping[str, Any]] = []
    gone: list[ShownPicture] = []
    for part in parts:
        if isinstance(part, ShownPicture):
            if gone and (gone[-1].video, gone[-1].region, len(gone[-1].times) > 1) != (part.video, part.region, len(part.times) > 1):
                found.append(_stub(gone))
                gone = []
            gone.append(part)
            continue
        found += [_stub(gone)] if gone else []
        found.append(part)
        gone = []
    return found + ([_stub(gone)] if gone else [])


def _stub(pictures: Sequence[ShownPicture]) -> dict[str, Any]:
    """Return the part of a message that says how to see pictures again that have left it."""
    first, last = pictures[0], pictures[-1]
    sheet = ", sheet=true" if len(first.times) > 1 else ""
    again = f'view(ranges=[["{clock(first.span.start)}", "{clock(last.span.end)}"]]{sheet}'
    if len(pictures) == 1:
        return {"type": "text", "text": f"{first.label}: left out; {again}) shows it again"}
    step = (first.times[1] if sheet else pictures[1].times[0]) - first.times[0]
    which = f"#{first.number}-#{last.number}, {f'{first.name} ' if first.name else ''}{clock(first.span.start)}-{clock(last.span.end)}"
    return {"type": "text", "text": f"{which}: {len(pictures)} left out; {again}, every={seconds(step):g}) shows them again"}


def without_pictures(messages: Sequence[Mapping[str, Any]], keep: Collection[int]) -> list[dict[str, Any]]:
    """Return messages with a line in place of the pictures whose number is not among `keep`."""

    def kept(part: Mapping[str, Any]) -> Mapping[str, Any] | ShownPicture:
        return part if part.get("type") != FRAME_PART or part["number"] in keep else ShownPicture.from_part(part)

    return [{**message, "content": _with_stubs(map(kept, parts))} if (parts := _parts(message)) else dict(message) for message in messages]


def shown_pictures(messages: Sequence[Mapping[str, Any]]) -> dict[int, ShownPicture]:
    """Return the pictures that messages show, by number."""
    parts = [part for message in messages for part in _parts(message) if part.get("type") == FRAME_PART]
    return {part["number"]: ShownPicture.from_part(part) for part in parts}


def _parts(message: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    content = message.get("content")
    return content if isinstance(content, list) else ()

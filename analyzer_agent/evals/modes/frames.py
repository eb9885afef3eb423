"""The frames baseline: evenly spaced frames and the question in one call of a vision model.

The answer cites frames by number. Each cited frame becomes a note of kind `look` with the sentences
that cite it; the other shown frames are recorded as covered and empty.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from analyzer_agent.errors import AgentError
from analyzer_agent.evals.modes.single_call import QuestionContext, ask_and_check
from analyzer_agent.events import Emit, ToolFinished, ToolStarted
from analyzer_agent.messages import question_message
from analyzer_agent.prompts import render
from analyzer_agent.records import JSON, ToolResult
from analyzer_agent.timeline import FINEST_STEP, TimeRange, clock, instants, seconds
from analyzer_agent.toolbox import SessionVideo
from analyzer_agent.toolbox.answer_check import CheckedAnswer, Outcome
from analyzer_agent.toolbox.citations import renumber
from analyzer_agent.toolbox.cited_frames import LOOK_KIND, keep_sentences, said_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class ShownFrame:
    """A frame shown to the model: its number, its instant and its PTS (both in ms)."""

    number: int
    session_video: SessionVideo
    instant: int
    pts: int

    @property
    def span(self) -> TimeRange:
        """The grain of the frame."""
        start = self.instant // FINEST_STEP * FINEST_STEP
        return TimeRange(start, min(start + FINEST_STEP, self.session_video.video.duration))


@dataclass(frozen=True)
class Frames:
    """Answers from `count` frames per video; `picture` encodes an RGB image for a message."""

    count: int
    picture: "Callable[[NDArray[np.uint8]], Mapping[str, Any]]"

    def answer(self, context: QuestionContext, emit: Emit) -> Outcome:
        """Show the frames, call the model once, and store its sentences on each frame.

        Raises:
            AgentError: no video has a picture in the scope, or the model call fails.
        """
        shown: list[ShownFrame] = []
        parts: list[Mapping[str, Any]] = [{"type": "text", "text": question_message(context.question, context.options)}]
        for session_video in context.toolbox.session_videos.values():
            at = even_instants(session_video, self.count)
            emit(
                ToolStarted(
                    _call_id(session_video), LOOK_KIND, _args(context, session_video, at), [session_video.scope], context.model.model
                )
            )
            for frame in session_video.video.frames(session_video.scope, instants=at) if at else ():
                context.check_cancelled()
                shown.append(ShownFrame(len(shown) + 1, session_video, frame.t, frame.pts))
                parts += [{"type": "text", "text": _label(shown[-1], len(context.toolbox.session_videos) > 1)}, self.picture(frame.image)]
        if not shown:
            raise AgentError("There is no picture to show.", hint="Leave out --mode frames, or widen --from and --to.")
        system = render("frames")
        outcome = ask_and_check(context, system, parts, emit, dict.fromkeys(frame.number for frame in shown))
        ids = _store_cited(context, shown, outcome.answer, system)
        steps = [
            _step(context, session_video, [frame for frame in shown if frame.session_video is session_video], ids)
            for session_video in context.toolbox.session_videos.values()
        ]
        for step in steps:
            emit(ToolFinished(step))
        return replace(outcome, answer=_renumbered(outcome.answer, ids), steps=steps)


def even_instants(session_video: SessionVideo, count: int) -> list[int]:
    """Return the instants (ms) of the finest grid at the middles of `count` equal parts."""
    video = session_video.video
    grid = instants(session_video.scope, FINEST_STEP, video.picture) if video.picture else []
    return list(dict.fromkeys(grid[(2 * n + 1) * len(grid) // (2 * count)] for n in range(count))) if grid else []


def _call_id(session_video: SessionVideo) -> str:
    return f"{LOOK_KIND}-{session_video.name}"


def _args(context: QuestionContext, session_video: SessionVideo, at: Sequence[int]) -> dict[str, JSON]:
    """Return the arguments recorded with a look: the seconds of the frames."""
    video: dict[str, JSON] = {"video": session_video.name} if len(context.toolbox.session_videos) > 1 else {}
    return video | {"frames": [seconds(instant) for instant in at]}


def _label(frame: ShownFrame, several: bool) -> str:
    return f"#{frame.number} {f'{frame.session_video.name} ' if several else ''}{clock(frame.instant)}"


def _step(context: QuestionContext, session_video: SessionVideo, shown: Sequence[ShownFrame], ids: Mapping[int, int]) -> ToolResult:
    notes = tuple(ids[frame.number] for frame in shown if frame.number in ids)
    args = _args(context, session_video, [frame.instant for frame in shown])
    return ToolResult(_call_id(session_video), f"{len(shown)} frames were shown.", notes, session_video.scope, tool=LOOK_KIND, args=args)


def _renumbered(answer: CheckedAnswer, ids: Mapping[int, int]) -> CheckedAnswer:
    """Return the answer with notes in place of the frames' numbers."""
    unsupported = tuple(renumber(claim, ids) for claim in answer.unsupported)
    cited = tuple(ids[number] for number in answer.cited)
    return replace(answer, text=renumber(answer.text, ids), cited=cited, unsupported=unsupported)


# --- notes ----------------------------------------------------------------------------------------------------------


def _store_cited(context: QuestionContext, shown: Sequence[ShownFrame], answer: CheckedAnswer, system: str) -> dict[int, int]:
    """Store the sentences on frames; return the note ids of cited frames by number."""
    said = said_of(answer, {frame.number: clock(frame.instant) for frame in shown})
    asked: Mapping[str, JSON] = {
        "question": context.question,
        "options": list(context.options),
        "frames": [frame.instant for frame in shown],
        "prompt": hashlib.sha256(system.encode()).hexdigest()[:8],
    }
    ids: dict[int, int] = {}
    for session_video in context.toolbox.session_videos.values():
        frames = [frame for frame in shown if frame.session_video is session_video]
        found: dict[int, tuple[TimeRange, str, Mapping[str, JSON]]] = {
            f.span.start: (f.span, said[f.number], {"pts": f.pts, "question": context.question}) for f in frames if f.number in said
        }
        spans = [f.span for f in frames]
        notes = keep_sentences(context.toolbox.store, session_video.video, context.model.model, asked, spans, found, context.cancel)
        ids |= {f.number: notes[f.span.start] for f in frames if f.number in said}
    return ids

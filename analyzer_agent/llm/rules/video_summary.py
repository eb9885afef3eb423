"""Answers to "what is this video about": its parts with their distinctive words.

The parts are those of the overview. Real summaries need a language model.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate, groupby
from typing import Any

from analyzer_agent.llm.rules.answers import arguments
from analyzer_agent.llm.rules.question_parser import content_stems, plain_words, stem
from analyzer_agent.llm.rules.question_state import Call, QuestionState
from analyzer_agent.records import ShownNote
from analyzer_agent.timeline import TimeRange, clock

TOOL = "overview"
SUMMARY_KINDS = ("subtitle", "speech", "caption", "text", "tag")
"""The kinds of notes that show what a video is about, most informative first."""

_FALLBACK_TOOLS = ("read_subtitles", "transcribe_speech", "read_screen_text", "find_scenes")
"""The tools for a video without notes, tried in order until one yields notes of these kinds."""

_STEP_MS = 600_000

NEEDS_A_MODEL = (
    "A summary in words needs a language model: export OPENAI_API_KEY=..., or --base-url http://localhost:11434/v1 --model qwen3"
)

_SUMMARY_REQUESTS = (
    r"\bsummar(?:y|ies|i[sz]e[sd]?|i[sz]ing|i[sz]ation)\b",
    r"\b(?:tl;?dr|overview|gist|synopsis|outline|abstract|recap)\b",
    r"\bwhat\b.*\babout\b",
    r"\bwhat(?:['’]s| is| does| has| did| was)?\s*(?:happen(?:s|ed|ing)?|goes on|going on)\b",
    r"\bdescribe\b",
    r"\btell me\b.*\babout\b",
    r"\b(?:main|key) (?:points?|topics?|ideas?|themes?|message|takeaways?)\b",
    r"\bwhat (?:can|do) (?:i|we|you) see\b",
    r"\bwhat (?:kind|sort|type) of\b",
    r"\bwhat (?:does|do) (?:the|this|these|it)\b.*\b(?:show|contain|cover)\b",
)
_REQUEST_WORDS = frozenset(
    stem(word)
    for word in """
    summary summaries summarize summarise summarized summarised summarizing summarization summarisation tldr dr tl overview gist synopsis
    outline abstract recap describe description takeaway takeaways themes points topics kind sort type contain cover cover going
    meeting meetings interview interviews podcast episode lesson presentation speech webinar conversation call session story
    give brief briefly short shortly quick quickly whole entire complete detail details detailed full content contents topic topics subject
    theme main key point points idea ideas message sentence sentences words paragraph bullet bullets basically generally overall please
    """.split()  # noqa: SIM905
)
_PARTS_SHOWN, _WORDS_SHOWN, _VIDEOS_SHOWN = 6, 5, 10


def asks_for_summary(question: str) -> bool:
    """Return whether a question asks what a video is about, without a more specific topic."""
    return any(re.search(wish, question, re.I) for wish in _SUMMARY_REQUESTS) and set(content_stems(question)) <= _REQUEST_WORDS


def parts_of(overview: Iterable[ShownNote], kinds: Collection[str] = ()) -> list[ShownNote]:
    """Return the most informative note of each part of an overview, with the part's words.

    Parts without notes (of `kinds`, if given) are left out.
    """
    lines = [line for line in overview if line.part and (not kinds or line.kind in kinds)]
    best = [min(part, key=_rank) for _, part in groupby(lines, key=lambda line: line.part)]
    return [replace(line, words=tuple(plain_words(" ".join(line.words)))) for line in best]


def next_calls(talk: QuestionState) -> list[Call]:
    """Return the next calls: overviews, then analyzers for videos without notes, then overviews."""
    named: dict[str, dict[str, Any]] = {video: {"video": video} if len(talk.videos) > 1 else {} for video in talk.videos}
    if first := _left(talk, [(TOOL, args) for args in named.values()]):
        return first
    silent = [video for video in talk.videos if not parts_of(overview_of(talk, video), SUMMARY_KINDS)]
    for tool in _FALLBACK_TOOLS:
        fit = [v for v in silent if not talk.useless(tool, v) and not talk.done(tool, v) and not _has_words(talk, v)]
        calls = [(tool, {"ranges": [_clocks(talk.videos[video].scope)], **named[video]}) for video in fit if tool in talk.tools]
        if left := _left(talk, calls):
            return _first_calls(left, talk)
    return _left(talk, [(TOOL, {"range": _clocks(talk.videos[video].scope), **named[video]}) for video in silent])


def _left(talk: QuestionState, calls: Sequence[Call]) -> list[Call]:
    return [call for call in calls if not talk.is_made(call)]


def overview_of(talk: QuestionState, video: str) -> Sequence[ShownNote]:
    """Return the notes in the latest overview of a video, none if there is no overview."""
    own = (r.shown for r in reversed(talk.results) if r.tool == TOOL and r.args.get("video", video) == video)
    return next(own, ())


def answer(overviews: Mapping[str, Sequence[ShownNote]], left: str = "") -> dict[str, Any]:
    """Return the arguments of finish: the parts of one video, or one line for each of several.

    Args:
        overviews: the notes of the overview by video.
        left: a sentence on unexamined parts, "" if there are none.
    """
    told = {video: parts for video, notes in overviews.items() if (parts := parts_of(notes))}
    if not told:
        text, chosen = "There are no notes yet.", list[ShownNote]()
    elif len(overviews) == 1:
        chosen = _merge_to_few(next(iter(told.values())))
        text = "\n".join(["In parts, by the words that set each apart:", *(f"{n}. {_line(part)}" for n, part in enumerate(chosen, 1))])
    else:
        chosen = [_merged(parts) for parts in [*told.values()][:_VIDEOS_SHOWN]]
        more = [f"... and {len(told) - _VIDEOS_SHOWN} more videos"] if len(told) > _VIDEOS_SHOWN else []
        lines = [f"{video}: {_line(part)}" for video, part in zip(told, chosen, strict=False)]
        text = "\n".join(["By the words that set the parts of each apart:", *lines, *more])
    return arguments("\n".join(part for part in (text, left, NEEDS_A_MODEL) if part), notes=chosen)


def _has_words(talk: QuestionState, video: str) -> bool:
    """Return whether subtitles or speech of a video have been shown for this question."""
    return any(line.kind in ("subtitle", "speech") for line in talk.notes if line.video == video)


def _first_calls(calls: list[Call], talk: QuestionState) -> list[Call]:
    """Return the first calls, up to `_STEP_MS` of video in one step."""
    lengths = accumulate(talk.videos[call[1].get("video", next(iter(talk.videos)))].scope.length for call in calls)
    return [call for at, (call, length) in enumerate(zip(calls, lengths, strict=True)) if not at or length <= _STEP_MS]


def _clocks(span: TimeRange) -> list[str]:
    return [clock(span.start), clock(span.end)]


def _rank(line: ShownNote) -> tuple[int, int]:
    return SUMMARY_KINDS.index(line.kind) if line.kind in SUMMARY_KINDS else len(SUMMARY_KINDS), line.span.start


def _merge_to_few(parts: Sequence[ShownNote]) -> list[ShownNote]:
    """Merge neighbouring parts into at most `_PARTS_SHOWN`."""
    size = -(-len(parts) // _PARTS_SHOWN)
    return [_merged(parts[at : at + size]) for at in range(0, len(parts), size)]


def _merged(parts: Sequence[ShownNote]) -> ShownNote:
    each = max(1, _WORDS_SHOWN // len(parts))
    words = dict.fromkeys(word for part in parts for word in part.words[:each])
    return replace(min(parts, key=_rank), words=tuple(words)[:_WORDS_SHOWN])


def _line(part: ShownNote) -> str:
    return f"{', '.join(part.words[:_WORDS_SHOWN]) or part.kind} [#{part.id}]"

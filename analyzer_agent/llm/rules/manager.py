"""The manager without a language model: keyword routing and extractive answers.

It implements the same protocol as a language model, but reads records instead of messages: the
question, the videos, and the results of the calls. Every answer says that keyword rules found it.
"""

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

from analyzer_agent.errors import AgentError
from analyzer_agent.llm.rules import video_summary
from analyzer_agent.llm.rules.answers import (
    ObjectCount,
    Passage,
    choose_option,
    count_arguments,
    count_tracks,
    finish_arguments,
    group_lines,
    video_arguments,
)
from analyzer_agent.llm.rules.call_schedule import CallSchedule
from analyzer_agent.llm.rules.question_parser import (
    COUNT_TOOL,
    LISTING_TOOLS,
    among_asked,
    asks_for_answer_type,
    asks_for_departure,
    claim_of,
    counts,
    is_open_ended,
    matches_answer_type,
    plain_words,
    route_tools,
    stem_overlap,
    subject_stems,
    topic_stems,
)
from analyzer_agent.llm.rules.question_state import Call, QuestionState
from analyzer_agent.protocols import Reply
from analyzer_agent.records import FEW_VIDEOS, NO_CALLS, QuestionRecord, ShownNote, ToolCall
from analyzer_agent.timeline import clock

STOP_SCORE, QUOTE_SCORE, QUOTE_SCORE_WITHOUT_VERBS = 0.75, 0.6, 0.5
"""Shares of the question's stems that a note must contain: to end the search; to be quoted; to be
quoted if only verbs are missing."""

_SEEN_DEPARTURE = 0.5
"""The score of motion where a question asks when something leaves: less than that of a quotation."""

_CONTEXT_MS = 15_000
_WORDS_KINDS = ("subtitle", "speech", "text")
_WORD_TOOLS = {"read_subtitles": "subtitle", "transcribe_speech": "speech", "read_screen_text": "text"}
_SEARCH_LIMIT = 20
"""The most notes that a search shows; with this many, there may be more."""


_FOUND_ON_A_PAGE, _PAGES = 10, 5


class RulesManager:
    """A `ChatModel` that answers by keyword search and fixed routing."""

    manager = "rules"
    model = "rules"
    reads_records = True

    def complete(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Mapping[str, Any]],
        on_text: Callable[[str], None] | None = None,
        timeout: float | None = None,
        cancel: threading.Event | None = None,
        must_call: bool | str = False,
    ) -> Reply:
        """Return the next planned calls, or a call of finish once the notes answer the question.

        Raises:
            AgentError: there is no record with the system message.
        """
        record = messages[0].get("record")
        if not isinstance(record, QuestionRecord):
            raise AgentError("The rules manager answers only questions that come with their record.", hint="Name a language model.")
        names = frozenset(tool["function"]["name"] for tool in tools)
        plan = AnswerPlan(QuestionState.of(record, names & {must_call} if isinstance(must_call, str) else names))
        following = plan.next_calls() or [("finish", plan.finish())]
        made = 1 + sum(len(message.get("tool_calls") or ()) for message in messages)
        return Reply(
            calls=tuple(ToolCall(f"rules-{n}", name, json.dumps(args)) for n, (name, args) in enumerate(following, made)), usage=NO_CALLS
        )


class AnswerPlan:
    """The next calls and the answer, given the conversation so far."""

    def __init__(self, talk: QuestionState) -> None:
        self.talk = talk
        self.several = len(talk.videos) > 1
        self.library = len(talk.videos) > FEW_VIDEOS
        """Whether there are so many videos that only stored notes are searched."""
        asked = among_asked(talk.question) if self.several and not talk.options else None
        self.among = asked is not None
        """Whether the question asks which of several videos contain something."""
        self.question = talk.question if asked is None else asked
        overviews = video_summary.TOOL in talk.tools or any(result.tool == video_summary.TOOL for result in talk.results)
        self.about = overviews and not talk.options and talk.part is None and video_summary.asks_for_summary(talk.question)
        self.route = [tool for tool in route_tools(self.question, talk.offered) if tool in talk.offered]
        if self.among and not set(self.route) & set(LISTING_TOOLS) and "read_screen_text" not in self.route[:1]:
            self.route = [tool for tool in self.route if tool != "read_screen_text"] or self.route
        self.listed = [tool for tool in self.route if tool in LISTING_TOOLS]
        self.schedule = CallSchedule(talk, self.question, self.route, searched=self.among)

    # --- routing

    def next_calls(self) -> list[Call]:
        """Return the next calls, to be run in parallel; an empty list means finish."""
        if self.talk.tools == {"finish"}:
            return []  # the last step, or a mode that gives all notes with the question
        return self._wanted_calls()

    def _wanted_calls(self) -> list[Call]:
        talk = self.talk
        if self.about:
            return video_summary.next_calls(talk)
        rest = [left for batch in self._batches if (left := [call for call in batch if not talk.is_made(call)])]
        listing = [batch for batch in rest if batch[0][0] in self.listed]
        if listing and talk.results:
            return listing[0]  # a count is correct only with complete coverage
        if not self.among and any(self._settles(unit) for unit in self.units):
            return self._look_around()
        return rest[0] if rest else []

    def _look_around(self) -> list[Call]:
        """After a hit by search alone, read the notes around it to quote whole sentences."""
        if not self.talk.results or self.talk.results[-1].tool != "search_notes":
            return []
        best = max(self.units, key=lambda unit: unit.score).lines[0]
        span = [clock(max(0, best.span.start - _CONTEXT_MS)), clock(best.span.end + _CONTEXT_MS)]
        return [("read_notes", {"range": span, "kinds": [best.kind]} | ({"video": best.video} if self.several else {}))]

    @cached_property
    def _batches(self) -> list[list[Call]]:
        if self.library:
            return [[self._search()], self._find_videos()] if self.among else [[self._search()]]
        plan = [[self._search()], *([self._search_each()] if self.among else [])]
        if not self.schedule.long:
            return [*plan, *self.schedule.batches()]
        for costless in (True, False):
            calls = self.schedule.batches(costless)
            # Results of several windows may be truncated, so search them, too.
            kinds = sorted({_WORD_TOOLS[call[0]] for batch in calls for call in batch if call[0] in _WORD_TOOLS})
            plan += [*calls, [self._search(kinds)]]
        return plan

    def _search(self, kinds: Sequence[str] = ()) -> Call:
        spans = [span for video in self.talk.videos if self.talk.part and (span := self.talk.inside(video))]
        where = {"range": [clock(min(s.start for s in spans)), clock(max(s.end for s in spans))]} if spans else {}
        return "search_notes", {"query": " ".join(plain_words(self.question))} | ({"kinds": list(kinds)} if kinds else {}) | where

    def _find_videos(self) -> list[Call]:
        """Return the pages of the search for videos, as far as their number is known."""
        query = " ".join(plain_words(self.question))
        first = next((result for result in self.talk.results if result.tool == "find_videos"), None)
        pages = 1 if first is None else min(_PAGES, -(-first.found // _FOUND_ON_A_PAGE))
        return [("find_videos", {"query": query, "page": page}) for page in range(1, pages + 1)]

    def _search_each(self) -> list[Call]:
        """After a truncated search of all videos, search each video without a hit separately."""
        first = next((result for result in self.talk.results if result.tool == "search_notes"), None)
        if first is None or len(first.shown) < _SEARCH_LIMIT:
            return []
        shown = {unit.lines[0].video for unit in self.units if unit.enough}
        name, arguments = self._search()
        return [(name, {**arguments, "video": video}) for video in self.talk.videos if video not in shown]

    # --- answering

    @cached_property
    def units(self) -> list[Passage]:
        """The notes shown so far, within the requested part, as scored passages in time order."""
        inside = [line for line in self.talk.notes if self.talk.holds(line)]
        return [self._scored(lines) for lines in group_lines(inside)]

    def _scored(self, lines: Sequence[ShownNote]) -> Passage:
        kind = lines[0].kind
        wanted = topic_stems(self.question, kind)
        text = (" / " if kind == "text" else " ").join(line.text for line in lines)
        kinds = {LISTING_TOOLS[tool] for tool in self.listed}
        if kind in LISTING_TOOLS.values():
            weight = _SEEN_DEPARTURE if kind == "motion" and asks_for_departure(self.question) else 1.0
            return Passage(tuple(lines), text, weight * (kind in kinds), kind in kinds)
        if not wanted:
            good = kind in _WORDS_KINDS and is_open_ended(self.question)
            return Passage(tuple(lines), text, float(good), good)
        score = stem_overlap(wanted, text) * (0.9 if kinds else 1.0)
        enough = score >= QUOTE_SCORE or (score >= QUOTE_SCORE_WITHOUT_VERBS and stem_overlap(subject_stems(self.question), text) == 1.0)
        return Passage(tuple(lines), text, score if self.among or matches_answer_type(self.question, text) else score * 0.7, enough)

    def _settles(self, unit: Passage) -> bool:
        """Return whether a passage answers well enough to end the search.

        It contains most of the stems, or enough of them and the type of answer that is requested.
        """
        return unit.score >= STOP_SCORE or (
            unit.enough and asks_for_answer_type(self.question) and matches_answer_type(self.question, unit.text)
        )

    def finish(self) -> dict[str, Any]:
        """Return the arguments of finish: the best passages with citations, or "not found"; and what they are true of."""
        given = self._finish()
        claimed = given["outcome"] == "answered" and not self.talk.options and not self.about and not self.talk.described
        return {"claim": claim_of(self.question) if claimed else "some"} | given

    def _finish(self) -> dict[str, Any]:
        talk, left = self.talk, self.schedule.sampled
        told = self._count() if counts(self.question) else None
        if talk.options:
            number = told.number(self.question) if told else None
            return choose_option(talk.question, talk.options, self.units, cut=talk.cut, left=left, number=number)
        if self.about:
            return video_summary.answer({video: video_summary.overview_of(talk, video) for video in talk.videos}, left)
        if self.among:
            return video_arguments(self.units, list(talk.videos), self.schedule.unexamined())
        if told:
            return count_arguments(self.question, told, left=left, cut=talk.cut)
        outside = talk.part is not None and not any(talk.inside(video) for video in talk.videos)
        ran = [result.tool for result in talk.results if not result.refused]
        used = ran or ["the description"] * bool(talk.notes)
        return finish_arguments(self.question, self.units, used, cut=talk.cut, outside=outside, left=left, stopped=self._stopped)

    @property
    def _stopped(self) -> bool:
        """Whether a limit leaves only `finish`, although there are calls to make."""
        limited = self.talk.tools == {"finish"} != self.talk.offered and not self.talk.described
        return limited and bool(self._wanted_calls())

    def _count(self) -> ObjectCount | None:
        shown = [result for result in self.talk.results if result.tool == COUNT_TOOL]
        tracks = [line for result in shown for line in result.shown if line.kind == "track" and self.talk.holds(line)]
        clear = [line for result in shown if "min_score" in result.args for line in result.shown]
        return count_tracks(tracks, clear)

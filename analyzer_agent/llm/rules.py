"""The manager without a language model: fixed routing by keywords, answers that only quote notes.

It speaks the same protocol as a language model and sees nothing that one would not see: the question, the tools, their results.
It says what it is in every answer. Knows nothing of the store or of analyzers beyond their tools' names.
"""

import json
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from analyzer_agent.llm.words import asks_for, content, overlap, stem, subjects, suits, tokens
from analyzer_agent.protocols import Reply
from analyzer_agent.records import ToolCall
from analyzer_agent.timeline import TimeRange, clock, parse

SIGNATURE = "(Found by keyword rules, without a language model.)"

GOOD, ENOUGH, HALF = 0.75, 0.6, 0.5
"""Shares of the question's words that a note must hold: to stop looking; to be quoted; to be quoted if only verbs are missing."""

_WINDOW_MS = 600_000
_AROUND_MS = 15_000
_QUOTED_UNITS = 3
_LINES_TOGETHER = 5
_CUE_GAP_MS = 1_000

_LINE = re.compile(
    r"^#(?P<id>\d+) (?:(?P<video>\S+) )?(?P<start>[\d:.]+)-(?P<end>[\d:.]+) (?P<kind>\w+)(?P<marks>(?: \([^)]*\))*) "
    r'"(?P<text>.*)"(?P<again>.*)$',
    re.M,
)
_VIDEO = re.compile(r'^- "(?P<name>.+)": (?P<start>[\d:.]+)-(?P<end>[\d:.]+)', re.M)
_OPTION = re.compile(r"^([A-Z])\. (.+)$", re.M)
_MOMENT = re.compile(r"\b(?:at|around|near)\s+(\d+:\d\d(?::\d\d)?(?:\.\d+)?|\d+(?:\.\d+)?\s*s(?:ec(?:onds?)?)?\b)", re.I)
_BETWEEN = re.compile(r"(\d+:\d\d(?::\d\d)?(?:\.\d+)?)\s*(?:-|to|and|until)\s*(\d+:\d\d(?::\d\d)?(?:\.\d+)?)", re.I)

_SAID = r"\b(?:say|says|said|speak\w*|talk\w*|tell\w*|told|mention\w*|announce\w*|hear\w*|narrat\w*|speech|voice)\b"
_SHOWN = r"\b(?:read|reads|written|writ\w+|text|sign|screen|title|board|display\w*|label|poster|letter\w*|on screen|shown)\b"
_MOVES = r"\b(?:mov(?:e|es|ing|ement)\w*|motion)\b|\bwhen\b.*\b(?:arriv|leav|depart|enter|cross|walk|appear)\w*"
_SEEN = r"\b(?:how many|(?:is|are|was|were) there|visible|appear\w*|see|seen|sees|present|picture|detect\w*|when (?:is|are|do|does|can))\b"
_CUTS = r"\b(?:shots?|scenes?|cuts?)\b"
_VOICED = r"\b(?:when .*(?:speak|talk)\w*|anybody speak\w*|voice activity)\b"

_ROUTES: tuple[tuple[str, tuple[str, ...]], ...] = (
    (_CUTS, ("find_scenes",)),
    (_VOICED, ("find_voice", "read_subtitles", "transcribe_speech")),
    (_SAID, ("read_subtitles", "transcribe_speech")),
    (_SHOWN, ("read_screen_text", "read_subtitles", "transcribe_speech")),
    (_MOVES, ("find_motion",)),
)
_DEFAULT_ROUTE = ("read_subtitles", "transcribe_speech", "read_screen_text")
_LISTED = {"scene", "motion", "voice", "object"}
"""Kinds whose notes answer a question by being there; their texts do not repeat its words."""

_CLASSES = {
    "people": "person", "persons": "person", "person": "person", "man": "person", "men": "person", "woman": "person", "women": "person",
    "child": "person", "children": "person", "somebody": "person", "anyone": "person", "pedestrian": "person", "pedestrians": "person",
    "bike": "bicycle", "bikes": "bicycle", "bicycle": "bicycle", "cyclist": "bicycle", "car": "car", "cars": "car", "bus": "bus",
    "buses": "bus", "truck": "truck", "trucks": "truck", "train": "train", "trains": "train", "boat": "boat", "boats": "boat",
    "ship": "boat", "ships": "boat", "dog": "dog", "dogs": "dog", "cat": "cat", "cats": "cat", "horse": "horse", "bird": "bird",
    "birds": "bird", "bottle": "bottle", "bottles": "bottle", "cup": "cup", "chair": "chair", "laptop": "laptop", "phone": "cell phone",
    "book": "book", "tie": "tie", "umbrella": "umbrella", "motorcycle": "motorcycle", "airplane": "airplane", "plane": "airplane",
}  # fmt: skip


@dataclass(frozen=True)
class Line:
    """A note as a tool result shows it."""

    id: int
    span: TimeRange
    kind: str
    text: str
    uncertain: bool
    video: str = ""


@dataclass(frozen=True)
class Unit:
    """Neighbouring notes that make one sentence, and how well they answer."""

    lines: tuple[Line, ...]
    text: str
    score: float = 0.0
    enough: bool = False


class RulesManager:
    """Answers by keyword search and fixed routing; see the module for what it is and is not."""

    manager = "rules"
    model = "rules"

    def complete(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Mapping[str, Any]],
        on_text: Callable[[str], None] | None = None,
        timeout: float | None = None,
        cancel: threading.Event | None = None,
    ) -> Reply:
        """Return the next planned call, or finish as soon as the notes answer the question."""
        talk = Conversation.read(messages, {t["function"]["name"] for t in tools})
        units = talk.units()
        following = talk.next_call(done=any(talk.settles(u) for u in units))
        if following is not None:
            name, arguments = following
            return Reply(calls=(ToolCall(f"rules-{len(talk.calls) + 1}", name, json.dumps(arguments)),))
        return Reply(calls=(ToolCall("rules-finish", "finish", json.dumps(talk.finish(units))),))


@dataclass(frozen=True)
class Conversation:
    """What the messages of the current question say: the question, the calls made, the notes shown."""

    question: str
    options: Mapping[str, str]
    videos: Mapping[str, TimeRange]
    calls: tuple[tuple[str, Mapping[str, Any]], ...]
    lines: tuple[Line, ...]
    tools: frozenset[str]

    @classmethod
    def read(cls, messages: Sequence[Mapping[str, Any]], tools: set[str]) -> "Conversation":
        """Read the state of the question off the messages."""
        system = next((str(m["content"]) for m in messages if m["role"] == "system"), "")
        called = [n for n, m in enumerate(messages) if m["role"] == "assistant" and m.get("tool_calls")]
        asked = [n for n, m in enumerate(messages) if m["role"] == "user" and (not called or n < called[0] or n < _turn_start(messages))]
        posed = str(messages[asked[-1]]["content"])
        turn = messages[asked[-1] + 1 :]
        calls = [
            (c["function"]["name"], json.loads(c["function"]["arguments"]))
            for m in turn
            for c in m.get("tool_calls") or ()
            if m["role"] == "assistant"
        ]
        found = {line.id: line for m in turn if m["role"] == "tool" for line in _lines(str(m["content"]))}
        videos = {m["name"]: TimeRange(parse(m["start"]), parse(m["end"])) for m in _VIDEO.finditer(system)}
        options = dict(_OPTION.findall(posed))
        question = posed.split("\n\nOptions:\n")[0] if options else posed
        return cls(question, options, videos, tuple(calls), tuple(found.values()), frozenset(tools))

    # --- routing --------------------------------------------------------------------------------------------------

    def next_call(self, *, done: bool) -> tuple[str, Mapping[str, Any]] | None:
        """Return the next call that the plan holds, or None when it is time to finish."""
        if self.tools == {"finish"}:
            return None
        if done:
            return self._look_around()
        made = [(name, json.dumps(args, sort_keys=True)) for name, args in self.calls]
        for name, args in self._plan():
            if (name, json.dumps(args, sort_keys=True)) not in made:
                return name, args
        return None

    def _look_around(self) -> tuple[str, Mapping[str, Any]] | None:
        """After a hit by search alone: read what stands beside it, so that whole sentences can be quoted."""
        if not self.calls or self.calls[-1][0] != "search_notes":
            return None
        best = max(self.units(), key=lambda unit: unit.score).lines[0]
        span = [clock(max(0, best.span.start - _AROUND_MS)), clock(best.span.end + _AROUND_MS)]
        return "read_notes", {"range": span, "kinds": [best.kind]} | ({"video": best.video} if best.video else {})

    def _plan(self) -> list[tuple[str, Mapping[str, Any]]]:
        route = self._route()
        plan: list[tuple[str, Mapping[str, Any]]] = []
        if words := self._words():
            plan.append(("search_notes", {"query": " ".join(words)}))
        several = len(self.videos) > 1
        for tool in route:
            for video, scope in self.videos.items():
                for window in self._windows(scope):
                    args: dict[str, Any] = {"ranges": [[clock(window.start), clock(window.end)]]}
                    if tool == "detect_objects":
                        args["classes"] = self._classes()
                    plan.append((tool, args | ({"video": video} if several else {})))
        return [(name, args) for name, args in plan if name in self.tools]

    def _route(self) -> list[str]:
        route: list[str] = []
        if self._classes():
            route.append("detect_objects")
        for pattern, tools in _ROUTES:
            if re.search(pattern, self.question, re.I):
                route += tools
        listed = {"find_scenes", "find_motion", "detect_objects", "find_voice"}
        if not route or (set(route) <= listed and not set(route) & self.tools):
            route += _DEFAULT_ROUTE
        elif not set(route) <= listed:
            route += [tool for tool in _DEFAULT_ROUTE if tool not in route]
        return list(dict.fromkeys(route))

    def _classes(self) -> list[str]:
        """Return the classes of objects whose presence or number is asked for."""
        if not re.search(_SEEN, self.question, re.I):
            return []
        return list(dict.fromkeys(_CLASSES[word] for word in tokens(self.question) if word in _CLASSES))

    def _words(self) -> list[str]:
        return [word for word in tokens(self.question) if stem(word) in set(self._topic())]

    def _topic(self) -> list[str]:
        """Return the stems of the question without the times it names: those say where to look, not what for."""
        return content(_MOMENT.sub(" ", _BETWEEN.sub(" ", self.question)))

    def _windows(self, scope: TimeRange) -> list[TimeRange]:
        if match := _BETWEEN.search(self.question):
            asked = TimeRange(*sorted((parse(match[1]), parse(match[2]))))
        elif match := _MOMENT.search(self.question):
            at = parse(re.sub(r"\s*s.*", "", match[1]))
            asked = TimeRange(max(0, at - 1000), at + 1000)
        else:
            asked = scope
        inside = asked.within(scope) or scope
        return [TimeRange(at, min(at + _WINDOW_MS, inside.end)) for at in range(inside.start, inside.end, _WINDOW_MS)]

    # --- answering ------------------------------------------------------------------------------------------------

    def units(self) -> list[Unit]:
        """Return the notes shown so far as sentences, each with how well it answers, in time order."""
        wanted = self._topic()
        route = self._route()
        listed = {"find_scenes": "scene", "find_motion": "motion", "find_voice": "voice", "detect_objects": "object"}
        kinds = {listed[tool] for tool in route if tool in listed}
        names = subjects(self.question)
        units = []
        for lines in _groups(self.lines):
            text = (" / " if lines[0].kind == "text" else " ").join(line.text for line in lines)
            if lines[0].kind in _LISTED:
                there = lines[0].kind in kinds
                units.append(Unit(tuple(lines), text, float(there), there))
                continue
            score = overlap(wanted, text) * (0.9 if kinds else 1.0)
            enough = score >= ENOUGH or (score >= HALF and overlap(names, text) == 1.0)
            units.append(Unit(tuple(lines), text, score if suits(self.question, text) else score * 0.7, enough))
        return units

    def settles(self, unit: Unit) -> bool:
        """Tell whether a unit answers well enough to stop looking: most of the words, or half of them and the kind of answer asked for."""
        return unit.score >= GOOD or (unit.enough and asks_for(self.question) and suits(self.question, unit.text))

    def finish(self, units: Sequence[Unit]) -> dict[str, Any]:
        """Return the arguments of finish: the best units, quoted and cited, or that nothing was found."""
        good = sorted((u for u in units if u.enough), key=lambda u: (-u.score, u.lines[0].span.start))
        if self.options:
            return self._choose(units)
        if not good:
            looked = ", ".join(dict.fromkeys(name for name, _ in self.calls)) or "nothing"
            text = f"Not found: no note holds enough of the question's words. Used: {looked}. {SIGNATURE}"
            return {"answer": text, "notes": [], "confidence": "low", "found": False}
        top = [u for u in good if u.score == good[0].score]
        if top[0].lines[0].kind in _LISTED:
            return self._listing(top)
        chosen = sorted(top[:_QUOTED_UNITS], key=lambda u: u.lines[0].span.start)
        quotes = " ".join(_quote(u) for u in chosen)
        return _finished(f"{quotes} {SIGNATURE}", chosen)

    def _listing(self, units: Sequence[Unit]) -> dict[str, Any]:
        in_time = sorted(units, key=lambda u: u.lines[0].span.start)
        kind = in_time[0].lines[0].kind
        noun = {"scene": "shot", "motion": "movement", "voice": "stretch of speech", "object": "sighting"}[kind]
        texts = [f"{u.text} [#{u.lines[0].id}]" for u in in_time]
        count = f"{len(in_time)} {noun}{'s' if len(in_time) != 1 and kind != 'voice' else ''}"
        most = ""
        if kind == "object" and re.search(r"how many", self.question, re.I):
            top = max(in_time, key=lambda u: int(u.text.split()[0]) if u.text.split()[0].isdigit() else 0)
            most = f"At most {top.text} at the same time [#{top.lines[0].id}]. "
        return _finished(f"{most}{count}: {', '.join(texts)}. {SIGNATURE}", in_time)

    def _choose(self, units: Sequence[Unit]) -> dict[str, Any]:
        wanted = self._topic()
        scored = [
            (overlap(content(text) or tokens(text), unit.text) + 0.5 * overlap(wanted, unit.text), letter, unit)
            for letter, text in self.options.items()
            for unit in units
            if overlap(content(text) or tokens(text), unit.text) >= HALF
        ]
        scored.sort(key=lambda s: -s[0])
        if not scored or any(s[0] == scored[0][0] and s[1] != scored[0][1] for s in scored):
            text = f"Undecided: the notes do not favour one option. {SIGNATURE}"
            return {"answer": text, "notes": [], "confidence": "low", "found": False}
        _, letter, unit = scored[0]
        return _finished(f"{letter}: {self.options[letter]}. {_quote(unit)} {SIGNATURE}", [unit]) | {"choice": letter}


def _turn_start(messages: Sequence[Mapping[str, Any]]) -> int:
    """Return where the current question's own messages begin: after the last answer that was given without a call."""
    plain = [n for n, m in enumerate(messages) if m["role"] == "assistant" and not m.get("tool_calls")]
    return plain[-1] + 2 if plain else 0


def _lines(text: str) -> list[Line]:
    found = []
    for m in _LINE.finditer(text):
        span = TimeRange(parse(m["start"]), parse(m["end"]))
        found.append(Line(int(m["id"]), span, m["kind"], m["text"], "uncertain" in m["marks"], m["video"] or ""))
    return found


def _groups(lines: Sequence[Line]) -> list[list[Line]]:
    """Group notes that are read together: subtitle cues that run on into a sentence, lines of text on screen at the same time."""
    ordered = sorted(lines, key=lambda n: (n.video, n.kind, n.span.start))
    groups: list[list[Line]] = []
    for line in ordered:
        last = groups[-1][-1] if groups else None
        if last and line.kind == "subtitle" == last.kind and line.video == last.video and _runs_on(last, line):
            groups[-1].append(line)
        elif line.kind == "text":
            together = [n for n in ordered if n.kind == "text" and n.video == line.video and n.span.overlaps(line.span)]
            if together[:_LINES_TOGETHER] not in groups:
                groups.append(together[:_LINES_TOGETHER])
        else:
            groups.append([line])
    return groups


def _runs_on(last: Line, line: Line) -> bool:
    return line.span.start - last.span.end <= _CUE_GAP_MS and not last.text.rstrip().endswith((".", "!", "?"))


def _quote(unit: Unit) -> str:
    marks = "".join(f"[#{line.id}]" for line in unit.lines)
    where = {"text": "On screen", "speech": "Said", "subtitle": "Subtitle"}.get(unit.lines[0].kind, unit.lines[0].kind.capitalize())
    doubt = " (recognised by a weak engine, uncertain)" if any(line.uncertain for line in unit.lines) else ""
    return f'{where}{doubt}: "{unit.text.strip()}" {marks}.'


def _finished(text: str, units: Sequence[Unit]) -> dict[str, Any]:
    lines = [line for u in units for line in u.lines]
    unsure = any(line.uncertain for line in lines)
    score = min(u.score for u in units)
    confidence = "low" if unsure or score < GOOD else "medium"
    return {"answer": text, "notes": [line.id for line in lines], "confidence": confidence, "found": True}

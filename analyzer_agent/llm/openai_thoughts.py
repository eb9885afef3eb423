"""Thoughts in the text of a reply, in the spellings of the common models, told apart while it streams."""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple


class _Spelling(NamedTuple):
    """How thoughts are written; `anywhere`: the opening is a special token, which never is part of a sentence."""

    opening: str
    closings: tuple[str, ...]
    anywhere: bool = False


def _tags() -> Iterator[_Spelling]:
    for name in ("think", "thinking", "thought", "thoughts", "reasoning", "reflection", "scratchpad", "analysis", "inner_monologue"):
        yield _Spelling(f"<{name}>", (f"</{name}>",))


_SPELLINGS = (
    *_tags(),
    _Spelling("<seed:think>", ("</seed:think>",), True),  # Seed-OSS
    _Spelling("[think]", ("[/think]",), True),  # Magistral
    _Spelling("◁think▷", ("◁/think▷",), True),  # Kimi-VL
    _Spelling("<|think|>", ("<|/think|>", "<|end_think|>"), True),
    _Spelling("<|begin_of_thought|>", ("<|end_of_thought|>",), True),  # OpenThinker, Sky-T1
    _Spelling("<|start_thinking|>", ("<|end_thinking|>",), True),  # Command A
    _Spelling("<|inner_prefix|>", ("<|inner_suffix|>",), True),  # Apertus
    _Spelling("<unused94>thought", ("<unused95>",), True),  # MedGemma
    _Spelling("<|channel>thought", ("<channel|>",), True),  # Gemma 4
    # gpt-oss; what follows the last two belongs to the next part
    _Spelling("<|channel|>analysis", ("<|end|>", "<|return|>", "<|start|>", "<|channel|>"), True),
    _Spelling("<|start|>assistant<|channel|>analysis", ("<|end|>", "<|return|>", "<|start|>", "<|channel|>"), True),
    _Spelling("here is my thought process:", ("here is my response:",)),  # Granite 3.2
    _Spelling("here's my thought process:", ("here's my response:",)),
)

_KEPT = ("<|start|>", "<|channel|>", "assistantcommentary")
"""Closings that belong to what follows."""

_SILENT = (
    *(f"{start}<|channel|>{name}<|message|>" for start in ("", "<|start|>assistant") for name in ("final", "commentary")),
    *("<|return|>", "<|end|>", "<|begin_of_solution|>", "<|end_of_solution|>", "<|start_response|>", "<|end_response|>"),
)
"""Special tokens around an answer, which say nothing."""

_STRIPPED = _Spelling("analysis", ("assistantfinal", "assistantcommentary"))
"""gpt-oss behind a server that drops the special tokens: "analysisWe look.assistantfinalForty."."""

_CLOSINGS = tuple({close for one in _SPELLINGS for close in one.closings if "/" in close or "end_" in close})
_LONE_CLOSING = re.compile("|".join(map(re.escape, _CLOSINGS)), re.IGNORECASE)
_LEAD = re.compile(r"\s*")
_CANDIDATE = re.compile(r"(?:(?<=\n)|^)(?=\S)|[<\[◁]", re.MULTILINE)
_THINKING_MODEL = re.compile(r"(?<![a-z])r1(?![0-9])|qwq|think|reason", re.IGNORECASE)
_QUOTING = frozenset("\"'`“‘«„")


def begins_in_thoughts(model: str) -> bool:
    """Return whether a model of this name may begin in thoughts that its template has opened."""
    return bool(_THINKING_MODEL.search(model))


class ThinkingFilter:
    """Removes thoughts from streamed text.

    Args:
        inside: whether the text may begin in thoughts whose opening the template has swallowed.
    """

    def __init__(self, inside: bool = False) -> None:
        self._held = ""
        self._closings: Sequence[str] = _CLOSINGS if inside else ()
        self._presumed = inside
        self._started = False
        self._skips_space = False
        self._at_line_start = True
        self.seen = False
        """Whether there were thoughts."""

    def feed(self, piece: str) -> str:
        """Add a piece; return the text that can be shown now."""
        self._held += piece
        shown: list[str] = []
        while self._leave() if self._closings else self._scan(shown):
            pass
        return "".join(shown)

    def rest(self) -> str:
        """Return text that was held back as a possible beginning of a tag, at the end of the stream."""
        held, self._held = self._held, ""
        if self._closings and not self._presumed:
            return ""
        # Only "analysis" in front of a word is left then; see `_stripped`.
        return held

    def _leave(self) -> bool:
        """Drop thoughts as far as they go; return whether their end was found."""
        folded = _fold(self._held)
        found = min(((at, close) for close in self._closings if (at := folded.find(close)) >= 0), default=None)
        if found is None:
            if not self._presumed:
                # Keep only what can be the beginning of a closing.
                self._held = self._held[-max(map(len, self._closings)) :]
            return False
        at, close = found
        self._held = self._held[at + (0 if close in _KEPT else len(close)) :].removeprefix("assistant" if close == _KEPT[2] else "")
        self._closings, self._presumed, self.seen = (), False, True
        self._started = self._skips_space = self._at_line_start = True
        return True

    def _scan(self, shown: list[str]) -> bool:
        """Show text up to thoughts, or to what can be their beginning; return whether there is more to do."""
        if self._skips_space or not self._started:
            lead = _LEAD.match(self._held)
            space = lead.end() if lead else 0
            if space == len(self._held):
                self._held = "" if self._skips_space else self._held
                return False
            if self._skips_space:
                self._held, space = self._held[space:], 0
            opened = self._open(space, line_start=True)
            if opened is None:
                return False
            if opened:
                return True
            if self._held[space:].lower().startswith(_SILENT):
                self._held = self._held[space:]
        self._started, self._skips_space = True, False
        for candidate in _CANDIDATE.finditer(self._held):
            at = candidate.start()
            line_start = self._at_line_start if at == 0 else not self._held[self._held.rfind("\n", 0, at) + 1 : at].strip()
            opened = self._open(at, line_start, shown)
            if opened is None:
                return False
            if opened:
                return True
        if self._held:
            shown.append(self._held)
            self._note_line(self._held)
        self._held = ""
        return False

    def _open(self, at: int, line_start: bool, shown: list[str] | None = None) -> bool | None:
        """Return whether thoughts or a silent token begin at `at`; None if more text must tell."""
        folded = _fold(self._held[at:])
        spellings = [one for one in _SPELLINGS if one.anywhere or line_start]
        for one in spellings:
            if folded.startswith(one.opening):
                self._show(at, shown)
                self._held, self._closings, self.seen = self._held[len(one.opening) :], one.closings, True
                return True
        if shown is None and self._stripped(folded, at):
            self._held, self._closings, self.seen = self._held[at + len(_STRIPPED.opening) :], _STRIPPED.closings, True
            return True
        for token in _SILENT:
            if folded.startswith(token):
                self._show(at, shown)
                self._held = self._held[len(token) :]
                self._started = True
                return True
        openings = (*(one.opening for one in spellings), *_SILENT, *((_STRIPPED.opening + " ",) if shown is None else ()))
        if any(len(folded) < len(opening) and opening.startswith(folded) for opening in openings):
            if shown is not None:
                self._show(at, shown)
            return None
        return False

    def _stripped(self, folded: str, at: int) -> bool:
        after = self._held[at + len(_STRIPPED.opening) :][:1]
        return folded.startswith(_STRIPPED.opening) and (after.isupper() or (after in ("'", '"') and bool(after)))

    def _show(self, at: int, shown: list[str] | None) -> None:
        """Show the held text in front of `at`; without `shown` it is space, and dropped."""
        if shown is not None and at:
            shown.append(self._held[:at])
            self._note_line(self._held[:at])
        self._held = self._held[at:]

    def _note_line(self, text: str) -> None:
        _, newline, last = text.rpartition("\n")
        self._at_line_start = not last.strip() and (bool(newline) or self._at_line_start)


def _fold(text: str) -> str:
    # Only letters of ASCII, so that no position moves.
    return text.translate(_LOWER)


_LOWER = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)} | {ord("\u2019"): ord("'")}


def strip_thinking(text: str) -> str:
    """Remove thoughts from `text`, also if their opening is missing."""
    thoughts = ThinkingFilter()
    shown = thoughts.feed(text) + thoughts.rest()
    if thoughts.seen:
        return shown
    for closing in _LONE_CLOSING.finditer(shown):
        before = shown[: closing.start()]
        opening = closing.group().lower().replace("/", "").replace("end_", "begin_")
        if opening not in before.lower() and before[-1:] not in _QUOTING:
            return shown[closing.end() :].lstrip()
    return shown

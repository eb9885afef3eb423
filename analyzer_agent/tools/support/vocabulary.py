"""Read the labels for tags from a text file: the one in this package or a user's own.

A line `[name] a photo of {}` starts a group, with the sentence that turns a label into a prompt
(default: `a photo of {}`). Every other line is a label; `#` starts a comment.
"""

import hashlib
import json
import re
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from analyzer_agent.errors import AgentError, near

_GROUP = re.compile(r"\[(?P<name>[^\]]+)\]\s*(?P<sentence>.*)")
_SENTENCE = "a photo of {}"
_MAX_LABELS = 1_000
_HINT = "Begin each group with a line like '[scene] a photo of {}', then one label per line."


@dataclass(frozen=True, slots=True)
class Group:
    """Labels of which one should fit, and the sentence for each, with `{}` for the label."""

    name: str
    sentence: str
    labels: tuple[str, ...]

    def prompts(self) -> list[str]:
        """Return the sentence of each label."""
        return [self.sentence.replace("{}", label) for label in self.labels]


def read_vocabulary(path: Path | None = None) -> tuple[Group, ...]:
    """Return the groups of the file at `path`, or of the package's file.

    Raises:
        AgentError: the file cannot be read or is invalid; the message names the line.
    """
    if path is None:
        return parse_vocabulary((files("analyzer_agent.tools.support") / "vocabulary.txt").read_text(encoding="utf-8"), "vocabulary.txt")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise AgentError(f"The vocabulary {str(path)!r} cannot be read: {error.strerror}.", hint=near(path)) from error
    except UnicodeDecodeError as error:
        raise AgentError(f"The vocabulary {str(path)!r} is not UTF-8 text.", hint=_HINT) from error
    return parse_vocabulary(text, str(path))


def parse_vocabulary(text: str, source: str) -> tuple[Group, ...]:
    """Parse a vocabulary; `source` names it in messages.

    Raises:
        AgentError: a label is duplicate or precedes all groups, a sentence has no `{}`, a group has
            fewer than two labels, or there are too many labels.
    """
    groups: dict[str, tuple[str, list[str]]] = {}
    seen: set[str] = set()
    name = ""
    for number, line in enumerate(text.splitlines(), 1):
        words = " ".join(line.partition("#")[0].split())
        if match := _GROUP.fullmatch(words):
            name, sentence = match["name"].strip(), match["sentence"] or _SENTENCE
            if name in groups or "{}" not in sentence:
                raise _wrong(source, number, f"the group {name!r} " + ("comes twice" if name in groups else "has a sentence without '{}'"))
            groups[name] = sentence, []
        elif words:
            if not name or words.casefold() in seen:
                raise _wrong(source, number, f"{words!r} " + ("comes twice" if name else "stands before any group"))
            seen.add(words.casefold())
            groups[name][1].append(words)
    small = [name for name, (_, labels) in groups.items() if len(labels) < 2]
    if not groups or small or len(seen) > _MAX_LABELS:
        why = f"the group {small[0]!r} has fewer than two labels" if small else f"it has {len(seen)} labels"
        raise AgentError(f"The vocabulary {source!r} is of no use: {why}.", hint=f"{_HINT} {_MAX_LABELS} labels at most.")
    return tuple(Group(name, sentence, tuple(labels)) for name, (sentence, labels) in groups.items())


def _wrong(source: str, line: int, what: str) -> AgentError:
    return AgentError(f"The vocabulary {source!r} is not valid in line {line}: {what}.", hint=_HINT)


def vocabulary_digest(groups: tuple[Group, ...]) -> str:
    """Hash names, sentences and labels; comments and layout do not count."""
    content = [[group.name, group.sentence, group.labels] for group in groups]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:12]

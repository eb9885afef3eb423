"""The answer file: JSON lines that survive a crash. Each line is on disk before the next question's is written.

Knows nothing of what an answer holds beyond its `id`, whether it is an `error`, and how it was made.
"""

import json
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO, TypeAlias

from filelock import BaseFileLock, FileLock, Timeout

from analyzer_agent.errors import AgentError
from analyzer_agent.records import made_by
from analyzer_agent.wording import option_letter

Lock: TypeAlias = BaseFileLock

_LINE_BREAKS = re.compile(r"[\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""What some readers end a line at, terminals act on, or UTF-8 cannot hold: it is written as JSON escapes."""


@dataclass(frozen=True)
class AnswerFileContents:
    """What an answer file holds from earlier runs.

    Attributes:
        answered: the ids that it answers, with the session of each.
        right: for ids with a choice whose gold is known, whether it was right.
        made: the ways in which its answers were made, each once: see `answer_settings`.
        whole: its lines without a torn last line and without the failures of questions that were asked again since.
        changed: whether that is less than what the file holds.
    """

    answered: dict[str, str]
    right: dict[str, bool]
    made: list[dict[str, Any]]
    whole: bytes
    changed: bool


def read_answer_file(out: Path) -> AnswerFileContents:
    """Return what an answer file holds; changes nothing.

    Raises:
        AgentError: it cannot be read, or is no answer file.
    """
    try:
        data = out.read_bytes() if out.exists() else b""
    except OSError as error:
        raise _not_written(out, error) from error
    kept: list[tuple[str, bytes, bool]] = []
    last: dict[str, int] = {}
    answered: dict[str, str] = {}
    right: dict[str, bool] = {}
    made: list[dict[str, Any]] = []
    lines = data.split(b"\n")
    for number, line in enumerate(lines, 1):
        record = _record(line, out, number, last=number == len(lines))
        if record is None:
            continue
        name = str(record["id"])
        last[name] = len(kept)
        kept.append((name, line + b"\n", "error" in record))
        if "error" in record:
            continue
        answered[name] = str(record.get("session", ""))
        if (chosen := chosen_right(record.get("gold"), record)) is not None:
            right[name] = chosen
        if (how := answer_settings(record)) not in made:
            made.append(how)
    current = [line for at, (name, line, failed) in enumerate(kept) if not failed or (name not in answered and last[name] == at)]
    whole = b"".join(current)
    return AnswerFileContents(answered, right, made, whole, whole != data)


def repair(out: Path, held: AnswerFileContents) -> None:
    """Take a torn last line out of the file, and the failures of questions that were asked again since."""
    if held.changed:
        _replace(out, held.whole)


def answer_settings(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return how an answer was made, as far as its line tells: what must be the same for all answers of a table."""
    return {name: record[name] for name in ("mode", "manager", "model", "made_with") if name in record}


def refuse_mixing(out: Path, held: AnswerFileContents, mine: Mapping[str, Any]) -> None:
    """Refuse to add answers to those that were made in another way, as far as both tell.

    Raises:
        AgentError: names both ways.
    """
    for how in held.made:
        if any(how[name] != mine[name] for name in how if name in mine):
            raise AgentError(
                f"{out.name} holds answers of {_settings_text(how, mine)}; this run is {_settings_text(mine, how)}.",
                hint="Give another --out, or --mix.",
            )


def _settings_text(how: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """Return how answers were made, for people: by whom, and what of the analyzers differs from another way."""
    ours, theirs = how.get("made_with") or {}, other.get("made_with") or {}
    differ = [name for name in sorted({*ours, *theirs}) if ours.get(name) != theirs.get(name)]
    return ", ".join([made_by(how), *(f"{name} {ours.get(name, 'none')}" for name in differ)])


def chosen_right(gold: Any, record: Mapping[str, Any]) -> bool | None:
    """Return whether a choice was right, which a failed question is not; None where there are no options or the right one is unknown."""
    if not isinstance(gold, Mapping) or not gold.get("options"):
        return None
    answer = gold.get("answer")
    return record.get("choice") == option_letter(answer) if isinstance(answer, int) else None


def _record(line: bytes, out: Path, number: int, *, last: bool) -> Mapping[str, Any] | None:
    if not line.strip():
        return None
    try:
        record = json.loads(line)
        if isinstance(record, dict) and "id" in record and ("finished" in record or "error" in record):
            return record
    except ValueError:
        pass
    if last:
        return None
    raise AgentError(f"{str(out)!r} is not an answer file of this program: line {number} is wrong.", hint="Choose another --out FILE.")


def _replace(out: Path, data: bytes) -> None:
    part = out.with_name(f"{out.name}.part")
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(out)
    except OSError as error:
        raise _not_written(out, error) from error


def lock(out: Path) -> Lock | None:
    """Keep the file from other runs until `unlock`; the system ends the lock of a process that died.

    Raises:
        AgentError: another run has it, or nothing can be written there.
    """
    if out.exists() and not out.is_file():
        return None  # such as a device
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        path = out.with_name(f".{out.name}.lock")
        path.touch()  # where this fails, FileLock would report that another process holds the lock
        lock = FileLock(path, blocking=False, thread_local=False)
        lock.acquire()
    except Timeout as error:
        raise AgentError(f"Another batch is writing to {str(out)!r}.", hint="Wait until it is done, or give another --out.") from error
    except OSError as error:
        raise _not_written(out, error) from error
    return lock


def unlock(lock: Lock | None) -> None:
    """Let others have the file."""
    if lock is not None and lock.is_locked:
        with suppress(OSError):  # Windows deletes no file that is open
            os.unlink(lock.lock_file)
        lock.release()


def open_for_append(out: Path) -> TextIO:
    """Open the file for further lines, making it and its folder where there is none."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        return out.open("a", encoding="utf-8")
    except OSError as error:
        raise _not_written(out, error) from error


def append(file: TextIO, record: Mapping[str, Any], out: Path) -> None:
    """Add a line, and return when it is on disk."""
    try:
        line = json.dumps(record, ensure_ascii=False)
        file.write(_LINE_BREAKS.sub(lambda found: f"\\u{ord(found[0]):04x}", line) + "\n")
        file.flush()
        os.fsync(file.fileno())
    except OSError as error:
        raise _not_written(out, error) from error


def _not_written(out: Path, error: OSError) -> AgentError:
    return AgentError(f"The answer file {str(out)!r} cannot be used: {error.strerror}.", hint="Choose another --out FILE, or make room.")

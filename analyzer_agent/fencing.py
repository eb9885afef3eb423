"""Fence untrusted text (from videos, file names, earlier answers) in prompts.

The fence is `<notes>` ... `</notes>`; prompts tell the model that everything inside is data. Fenced
text cannot close the fence, imitate its end, or contain a token of a chat template.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from analyzer_agent.sanitize import truncated

MAX_TEXT_CHARS = 400
"""Length of a quotation unless a caller has room for more, in characters."""
_MAX_NAME_CHARS = 80
_MAX_WORD_CHARS = 60
_MIN_ECHO_WORDS = 2

# Unicode categories Cc and Cs, property Default_Ignorable_Code_Point, and the blank Braille cell.
_INVISIBLE = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u2800\u3164"
    "\ud800-\udfff\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_OPENING_BRACKET = r"(?:[<\u02c2\u1438\u2039\u2329\u276e\u27e8\u3008\ufe64\uff1c]|&(?:lt|#0*60|#x0*3c);?)"
_CLOSING_BRACKET = r"(?:[>\u02c3\u1433\u203a\u232a\u276f\u27e9\u3009\ufe65\uff1e]|&(?:gt|#0*62|#x0*3e);?)"
_SLASH = r"(?:[/\\\u2044\u2215\u29f8\uff0f]|&(?:sol|#0*47|#x0*2f);?)"
_CLOSING_TAG = re.compile(rf"{_OPENING_BRACKET}\s*{_SLASH}\s*(\w+)\s*{_CLOSING_BRACKET}?", re.I)
_TOKEN = re.compile(r"<(?=\S)|\[(?=/?(?:INST|SYSTEM_PROMPT|TOOL_CALLS|TOOL_RESULTS|AVAILABLE_TOOLS)\])")
_MARK = re.compile(r"([\[(\u3010]\s*(?:notes?\s*)?)#(?=\s*\d)", re.I)


def neutralized(text: str) -> str:
    """Return text without invisible characters and markup; lines are preserved.

    `</b>` becomes `(/b)`, whatever kind of brackets it has; `<b>` and `<|im_start|>` become `< b>`
    and `< |im_start|>`.
    """
    seen = _INVISIBLE.sub("", "\n".join(text.splitlines()).replace("\t", " "))
    return _TOKEN.sub(lambda found: f"{found[0]} ", _CLOSING_TAG.sub(r"(/\1)", seen))


def fenced(text: str) -> str:
    """Return `text` in a fence, on lines of its own."""
    return f"<notes>\n{neutralized(text)}\n</notes>"


def unfenced(text: str) -> str:
    """Return a model's text without fences, which it may have copied from its prompt."""
    return re.sub(r"[^\S\n]*</?notes>\n?", "", text).strip()


def quoted(text: str, longest: int = MAX_TEXT_CHARS) -> str:
    """Return text from a video as a quotation on one line, truncated to `longest` characters.

    The `#` of a citation such as `[#12]` is replaced, so that the text cannot cite a note.
    """
    flat = _flat(text).replace('"', "'")
    return f'"{truncated(flat, longest)}"'


def inline(text: str) -> str:
    """Return `text` as a fenced quotation for use within a sentence."""
    return f"<notes>{quoted(text)}</notes>"


def as_name(text: str) -> str:
    """Return a file name as one word, so that it cannot read as a sentence.

    The middle of a name beyond 80 characters is replaced by an ellipsis.
    """
    name = "_".join(_flat(text).split()).replace('"', "'") or "_"
    half = _MAX_NAME_CHARS // 2
    return name if len(name) <= _MAX_NAME_CHARS else f"{name[: half - 1]}…{name[-half:]}"


def echoes_fenced(text: str, given: Any) -> str:
    """Return `text` with each longer quote from the model's own call fenced.

    The model may have copied it from a video. Values of one or two words stay as they are.

    Args:
        text: the refusal of a tool call.
        given: the arguments of the call.
    """
    said = {value for value in _strings(given) if len(value.split()) > _MIN_ECHO_WORDS or len(value) > _MAX_WORD_CHARS}
    forms = {form: value for value in said for form in (repr(value), repr(value)[1:-1], value)}
    if not forms:
        return text
    longest_first = sorted(forms, key=len, reverse=True)
    return re.sub("|".join(map(re.escape, longest_first)), lambda found: inline(forms[found[0]]), text)


def _flat(text: str) -> str:
    return " ".join(_MARK.sub("\\1\uff03", neutralized(" ".join(text.split()))).split())


def _strings(given: Any) -> Iterator[str]:
    if isinstance(given, str):
        yield given
        yield from (part.strip() for part in given.split(",") if "," in given)  # lists may be written with commas
    elif isinstance(given, Mapping):
        for name, value in given.items():
            yield from (*_strings(name), *_strings(value))
    elif isinstance(given, Sequence):
        for value in given:
            yield from _strings(value)

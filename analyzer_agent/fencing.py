"""Text from videos, file names and earlier answers made safe for a prompt: data that cannot pass for anything else.

The fence is `<notes>` ... `</notes>`: what models are told that everything between these is data. Nothing inside can end it, look like its
end, or be a token of a model's chat template. Knows nothing of notes.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_MAX_TEXT_CHARS = 400
_MAX_NAME_CHARS = 80
_MAX_WORD_CHARS = 60
_MIN_ECHO_WORDS = 2

# Source: Unicode's general categories Cc and Cs, its property Default_Ignorable_Code_Point, and the blank Braille pattern.
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
    """Return text, its lines kept, without invisible characters and without anything that models may take for markup.

    `</b>` becomes `(/b)`, in whatever brackets it was written; `<b>` and `<|im_start|>` become `< b>` and `< |im_start|>`.
    """
    seen = _INVISIBLE.sub("", "\n".join(text.splitlines()).replace("\t", " "))
    return _TOKEN.sub(lambda found: f"{found[0]} ", _CLOSING_TAG.sub(r"(/\1)", seen))


def fenced(text: str) -> str:
    """Return lines of data in the fence."""
    return f"<notes>\n{neutralized(text)}\n</notes>"


def unfenced(text: str) -> str:
    """Return what a model wrote without the fence, which it may have copied from what it was shown."""
    return re.sub(r"[^\S\n]*</?notes>\n?", "", text).strip()


def quoted(text: str) -> str:
    """Return text from a video on one line in quotation marks, so that it cannot pass for anything but a quotation.

    It holds no mark that would cite a note: `[#12]` is written with another sign. What is very long is cut.
    """
    flat = _flat(text).replace('"', "'")
    return f'"{flat if len(flat) <= _MAX_TEXT_CHARS else flat[: _MAX_TEXT_CHARS - 1] + "…"}"'


def inline(text: str) -> str:
    """Return text as a fenced quotation within a sentence."""
    return f"<notes>{quoted(text)}</notes>"


def as_name(text: str) -> str:
    """Return a file's name as one word, so that it does not read as a sentence; the middle of a very long one is left out."""
    name = "_".join(_flat(text).split()).replace('"', "'") or "_"
    half = _MAX_NAME_CHARS // 2
    return name if len(name) <= _MAX_NAME_CHARS else f"{name[: half - 1]}…{name[-half:]}"


def echoes_fenced(text: str, given: Any) -> str:
    """Return a refusal with the words fenced that a model wrote in its call: it may have copied them from a video.

    One or two words stay as they are.
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
    elif isinstance(given, Mapping):
        for name, value in given.items():
            yield from (*_strings(name), *_strings(value))
    elif isinstance(given, Sequence):
        for value in given:
            yield from _strings(value)

"""Text from videos, files and models made safe to print.

Such text may hold escape sequences that move the cursor, change the title or hide what follows. Knows nothing of what is printed.
"""

import re

# Control characters but tab and line break, the marks that turn the direction of writing, and lone surrogates.
_UNSAFE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
UNSAFE_OR_BREAK = re.compile(rf"{_UNSAFE.pattern}|[\u2028\u2029]")
_SEQUENCE = re.compile(r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[@-Z\\-_]")


def sanitize(text: str) -> str:
    """Return text without escape sequences and control characters; line breaks stay."""
    return _UNSAFE.sub("", _SEQUENCE.sub("", text.replace("\r\n", "\n").replace("\r", "\n")))


def one_line(text: str) -> str:
    """Return plain text on one line."""
    return " ".join(sanitize(text).split())

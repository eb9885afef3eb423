"""The keyboard while something is drawn: what is typed ahead is not echoed into it, and stays for the next prompt.

Without a terminal, or in the background, where changing it would stop the process, everything here does nothing.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

_before: Any = None
"""The attributes of the terminal as they were before `hush`, None while it echoes."""


def hush() -> None:
    """Stop echoing what is typed."""
    global _before
    if _before is not None or not _ours():
        return
    import termios

    with suppress(termios.error):
        was = termios.tcgetattr(sys.stdin)
        silent = [*was]
        silent[3] &= ~termios.ECHO
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, silent)
        _before = was


def restore() -> None:
    """Echo again, if `hush` stopped it. Safe to call at any time, from any thread."""
    global _before
    was, _before = _before, None
    if was is None or not _ours():
        return
    import termios

    with suppress(termios.error):
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, was)


@contextmanager
def answering() -> Iterator[None]:
    """Echo while the block runs, and drop what was typed before: it was not meant as an answer."""
    hushed = _before is not None
    restore()
    if _ours():
        import termios

        with suppress(termios.error):
            termios.tcflush(sys.stdin, termios.TCIFLUSH)
    try:
        yield
    finally:
        if hushed:
            hush()


def _ours() -> bool:
    """Tell whether stdin is a terminal that this process may change."""
    try:
        return os.name == "posix" and sys.stdin.isatty() and os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (OSError, ValueError):
        return False

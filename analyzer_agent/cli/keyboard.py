"""Switch off the terminal's echo while progress is drawn; type-ahead is preserved.

Does nothing without a terminal, or in a background process, which a change of the terminal would
stop.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

_before: Any = None
"""The terminal's attributes before `echo_off`; None while it echoes."""


def echo_off() -> None:
    """Stop echoing typed text."""
    global _before
    if _before is not None or not _is_own_terminal():
        return
    import termios

    with suppress(termios.error):
        was = termios.tcgetattr(sys.stdin)
        silent = [*was]
        silent[3] &= ~termios.ECHO
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, silent)
        _before = was


def echo_on() -> None:
    """Echo again, if `echo_off` stopped it. Safe to call at any time, from any thread."""
    global _before
    was, _before = _before, None
    if was is None or not _is_own_terminal():
        return
    import termios

    with suppress(termios.error):
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, was)


@contextmanager
def echo_while_answering() -> Iterator[None]:
    """Echo while the block runs; first drop typed-ahead text, which was not meant as an answer."""
    hushed = _before is not None
    echo_on()
    if _is_own_terminal():
        import termios

        with suppress(termios.error):
            termios.tcflush(sys.stdin, termios.TCIFLUSH)
    try:
        yield
    finally:
        if hushed:
            echo_off()


def _is_own_terminal() -> bool:
    """Tell whether stdin is a terminal that this process may change."""
    try:
        return os.name == "posix" and sys.stdin.isatty() and os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (OSError, ValueError):
        return False

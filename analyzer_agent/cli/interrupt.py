"""Ctrl-C: stop at the next safe point; a second Ctrl-C quits at once.

Quitting at once loses nothing: finished grains are in the store already.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from analyzer_agent.cli import keyboard
from analyzer_agent.cli.errors import INTERRUPTED

GRACE_S = 2.0
"""Seconds that a command may take to stop by itself."""


@contextmanager
def interruptible(
    cancel: Callable[[], None], *, on_stop: Callable[[], None] = lambda: None, grace: float | None = GRACE_S
) -> Iterator[None]:
    """Run the block so that Ctrl-C calls `cancel` and raises KeyboardInterrupt.

    Args:
        cancel: requests a stop after the current grain.
        on_stop: called at the first Ctrl-C, to tidy up the terminal.
        grace: seconds until the process is ended; None waits for the grain or a second Ctrl-C.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ended = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, lambda *_: _quit())
        on_stop()
        cancel()
        if grace is not None:
            threading.Thread(target=_quit_later, args=(ended, grace), daemon=True).start()
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        ended.set()
        signal.signal(signal.SIGINT, before)


def _quit_later(ended: threading.Event, grace: float) -> None:
    if not ended.wait(grace):
        _quit()


def _quit() -> None:
    keyboard.echo_on()
    sys.stdout.flush()
    sys.stderr.write("\nInterrupted. Finished work is stored.\n")
    sys.stderr.flush()
    os._exit(INTERRUPTED)

"""Iteration over a blocking iterator in a separate thread, for asyncio."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import suppress
from typing import Generic, TypeVar

T = TypeVar("T")


class _End(Generic[T]):
    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


async def iterate_in_thread(read: Callable[[], Iterator[T]], stop: Callable[[], None]) -> AsyncGenerator[T, None]:
    """Iterate over `read()` in a separate thread; yield its items in order and raise its errors.

    Args:
        read: returns the iterator.
        stop: called once when iteration ends, such as when the task is cancelled; it must make the
            iterator end, and with it the thread.
    """
    loop = asyncio.get_running_loop()
    lines: asyncio.Queue[T | _End[T]] = asyncio.Queue()

    def put(line: T | _End[T]) -> None:
        with suppress(RuntimeError):  # the loop is closed: there is no reader any more
            loop.call_soon_threadsafe(lines.put_nowait, line)

    def work() -> None:
        try:
            for item in read():
                put(item)
        except BaseException as error:
            put(_End(error))
        else:
            put(_End())

    threading.Thread(target=work, name="asyncio", daemon=True).start()
    try:
        while not isinstance(line := await lines.get(), _End):
            yield line
    finally:
        stop()
    if line.error is not None:
        raise line.error

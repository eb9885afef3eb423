"""Working ahead: the same items in the same order, bounded, and nothing left behind however it ends."""

import _thread
import gc
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import pytest

from analyzer_agent.prefetch import parallel_map, prefetch
from patience import PATIENCE_S, wait_for


class Watched:
    """Numbers from a generator that keeps how many were fetched, by which thread, and whether it was closed."""

    def __init__(self, count: int = 100, seconds: float = 0.0) -> None:
        self.count, self.seconds, self.fetched = count, seconds, 0
        self.threads: set[int] = set()
        self.closed = False

    def numbers(self) -> Iterator[int]:
        try:
            for number in range(self.count):
                time.sleep(self.seconds)
                self.fetched += 1
                self.threads.add(threading.get_ident())
                yield number
        finally:
            self.closed = True


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) == before


def reached(watched: Watched, count: int) -> bool:
    return watched.fetched >= count


def a_little_later(watched: Watched) -> int:
    """Return how many are fetched by the time that one too many would have been."""
    time.sleep(0.1)
    return watched.fetched


@pytest.mark.parametrize("depth", [1, 2, 7, 500])
def test_all_items_come_in_order_from_another_thread(depth: int) -> None:
    watched = Watched()
    assert list(prefetch(watched.numbers(), depth)) == list(range(100))
    assert watched.closed and len(watched.threads) == 1 and threading.get_ident() not in watched.threads
    assert list(prefetch(iter(()), depth)) == []
    assert list(prefetch(iter([None, 0, ""]), depth)) == [None, 0, ""]


def test_nothing_is_fetched_before_the_first_is_asked_for() -> None:
    watched = Watched()
    numbers = prefetch(watched.numbers(), 3)
    assert a_little_later(watched) == 0
    numbers.close()


@pytest.mark.parametrize("depth", [1, 3])
def test_at_most_so_many_are_fetched_ahead(depth: int) -> None:
    watched = Watched()
    numbers = prefetch(watched.numbers(), depth)
    for taken in (1, 2, 3):
        next(numbers)
        wait_for(partial(reached, watched, taken + depth))
        assert a_little_later(watched) == taken + depth
    numbers.close()


def test_fetching_and_working_overlap() -> None:
    watched = Watched(10)
    for number in prefetch(watched.numbers(), 2):
        wait_for(partial(reached, watched, min(number + 2, 10)))  # the next comes while this one is worked on


def test_an_error_comes_in_its_place() -> None:
    def failing() -> Iterator[int]:
        yield 1
        yield 2
        raise ValueError("the file ends here")

    seen = []
    with pytest.raises(ValueError, match="the file ends here"):
        for number in prefetch(failing(), 8):
            seen.append(number)
    assert seen == [1, 2]


@pytest.mark.parametrize("how", ["close", "drop", "raise", "cycle"])
def test_stopping_early_ends_the_thread_and_closes_the_items(how: str) -> None:
    watched = Watched(seconds=0.001)
    numbers: Any = prefetch(watched.numbers(), 4)
    assert next(numbers) == 0
    if how == "close":
        numbers.close()
    elif how == "drop":
        del numbers
    elif how == "cycle":
        holder: dict[str, Any] = {"numbers": numbers}
        holder["self"] = holder
        del numbers, holder
        gc.collect()
    else:
        with suppress(ValueError):
            for _ in numbers:
                raise ValueError
        del numbers
    assert watched.closed and watched.fetched < 50


def test_an_interrupt_while_waiting_stops_it_at_once() -> None:
    class Interrupting(Watched):
        def numbers(self) -> Iterator[int]:
            for number in super().numbers():
                yield number
                _thread.interrupt_main()
                time.sleep(0.05)

    watched = Interrupting()
    numbers = prefetch(watched.numbers(), 1)
    with pytest.raises(KeyboardInterrupt):
        list(numbers)
    assert watched.closed and watched.fetched <= 2


def test_garbage_collected_in_its_own_thread_it_still_ends() -> None:
    class Collecting(Watched):
        def numbers(self) -> Iterator[int]:
            for number in super().numbers():
                if number == 2:
                    dropped.wait()
                    gc.collect()
                yield number

    watched, dropped = Collecting(), threading.Event()
    numbers: Any = prefetch(watched.numbers(), 2)
    assert next(numbers) == 0
    gc.disable()
    try:
        holder: dict[str, Any] = {"numbers": numbers}
        holder["self"] = holder
        del numbers, holder
        dropped.set()
        wait_for(lambda: not any(thread.name.startswith("ahead") for thread in threading.enumerate()))
    finally:
        gc.enable()
    assert watched.fetched < 5


def test_a_program_can_end_with_it_half_used() -> None:
    program = (
        "from analyzer_agent.prefetch import prefetch; import itertools; numbers = prefetch(itertools.count(), 3); print(next(numbers))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=PATIENCE_S, check=True)
    assert (done.stdout, done.stderr) == ("0\n", "")


def test_parallel_results_come_in_order_from_as_many_threads_as_asked_for() -> None:
    meet, begun = threading.Barrier(3, timeout=PATIENCE_S), []

    def work(number: int) -> int:
        begun.append(number)
        if number < 3:
            meet.wait()
        time.sleep(0.02 * (5 - number % 5))
        return number * number

    found = parallel_map(work, range(9), 3)
    assert next(found) == 0
    assert len(begun) <= 6, "no further ahead than needed"
    assert list(found) == [n * n for n in range(1, 9)]


def test_what_parallel_work_raises_is_raised_in_its_place() -> None:
    def work(number: int) -> int:
        if number == 3:
            raise ValueError("three")
        return number

    found = parallel_map(work, range(100), 2)
    assert [next(found) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="three"):
        next(found)


def test_parallel_work_that_is_stopped_begins_nothing_more() -> None:
    begun: list[int] = []

    def work(number: int) -> int:
        begun.append(number)
        time.sleep(0.05)
        return number

    found = parallel_map(work, range(100), 2)
    next(found)
    found.close()
    assert len(begun) <= 5
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("parallel")]

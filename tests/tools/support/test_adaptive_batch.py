"""Batches that shrink when memory runs out and grow back: everything is done once, in order, and memory that stays short costs little."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer_agent.errors import Unavailable
from analyzer_agent.tools.engines.adaptive_batch import BATCHES_BEFORE_GROWTH, AdaptiveBatch, is_out_of_memory, retry_with_room


class OutOfMemoryError(RuntimeError):
    """Named as torch names its own."""


class Card:
    """Memory for `room` items at a time, and for as many more as each of the `idle` engines gives up."""

    def __init__(self, room: int, idle: tuple[int, ...] = ()) -> None:
        self.room, self.idle, self.sizes, self.released = room, list(idle), list[int](), 0

    def work(self, batch: list[int]) -> list[int]:
        self.sizes.append(len(batch))
        if len(batch) > self.room:
            raise OutOfMemoryError(f"no room for {len(batch)}")
        return [-item for item in batch]

    def release(self) -> None:
        self.released += 1

    def make_room(self) -> bool:
        if not self.idle:
            return False
        self.room += self.idle.pop()
        return True


@given(count=st.integers(0, 40), size=st.integers(1, 20), room=st.integers(1, 20), fill=st.booleans())
def test_every_item_is_done_once_in_order_whatever_fits(count: int, size: int, room: int, fill: bool) -> None:
    card = Card(room)
    batches = AdaptiveBatch(size, fill=fill, release=card.release)
    assert batches.run(range(count), card.work) == [-item for item in range(count)]
    assert sum(tried > room for tried in card.sizes) == card.released
    if count:
        assert min(size, (room + 1) // 2) <= batches.size <= size == batches.limit
    if count <= BATCHES_BEFORE_GROWTH:
        assert card.sizes == sorted(card.sizes, reverse=True), "nothing larger than what fitted is tried again so soon"
        assert not fill or len({tried for tried in card.sizes if tried <= room}) <= 1, "filled batches have one size"


@given(size=st.integers(1, 20), room=st.integers(1, 20), idle=st.lists(st.integers(0, 10), max_size=4))
def test_batches_shrink_only_when_no_more_room_can_be_made(size: int, room: int, idle: list[int]) -> None:
    card = Card(room, tuple(idle))
    batches = AdaptiveBatch(size, make_room=card.make_room, release=card.release)
    assert batches.run(range(20), card.work) == [-item for item in range(20)]
    if batches.size < size:
        assert card.idle == [] and batches.size <= room + sum(idle)
        # The first size is tried once more for each engine that was thrown out.
        assert card.sizes[: len(idle) + 1] == [size] * (len(idle) + 1)
    elif room >= size:
        assert card.idle == idle, "nobody is thrown out without need"


def test_batches_grow_back_when_there_is_room_again() -> None:
    card = Card(5)
    batches = AdaptiveBatch(16, fill=True)
    batches.run(range(16), card.work)
    assert (card.sizes, batches.size) == ([16, 8, 4, 4, 4, 4], 4)
    card.room, card.sizes = 16, []
    batches.run(range(16), card.work)
    assert card.sizes == [4] * 4, "so far, as many as are asked for were seen to fit"
    card.sizes = []
    for _ in range(20):
        assert batches.run(range(16), card.work) == [-item for item in range(16)]
    assert card.sizes == [8] * BATCHES_BEFORE_GROWTH + [16] * 16, "as soon as twice as many have fitted for a while, twice as many of these"
    assert batches.size == batches.limit == 16


def test_memory_that_stays_short_is_tried_ever_more_rarely_and_throws_nobody_out() -> None:
    card = Card(8)
    batches = AdaptiveBatch(16, make_room=card.make_room, release=card.release)
    batches.run(range(16), card.work)
    card.sizes, card.idle = [], [0] * 100
    for _ in range(100):
        assert batches.run(range(16), card.work) == [-item for item in range(16)]
    failed = [place for place, size in enumerate(card.sizes) if size == 16]
    assert failed == [6, 23, 56, 121], "after 8, 16, 32 and 64 that fitted"
    assert len(card.idle) == 100
    card.room = 16
    for _ in range(100):
        batches.run(range(16), card.work)
    assert batches.size == 16
    card.room = 8
    batches.run(range(16), card.work)
    card.sizes = []
    for _ in range(10):
        batches.run(range(16), card.work)
    assert batches.size == 8 and 16 in card.sizes, "what could grow once is patient as in the beginning"


def test_larger_batches_are_not_tried_for_fewer_items() -> None:
    card = Card(1)
    batches = AdaptiveBatch(4, fill=True)
    batches.run(range(1), card.work)
    card.room, card.sizes = 4, []
    for _ in range(3 * BATCHES_BEFORE_GROWTH):
        batches.run(range(1), card.work)
    assert card.sizes == [1] * 3 * BATCHES_BEFORE_GROWTH


def test_work_that_cannot_be_split_is_tried_as_long_as_there_is_room_to_make() -> None:
    card = Card(0, idle=(0, 1, 0))
    assert retry_with_room(lambda: card.work([7]), make_room=card.make_room, release=card.release) == [-7]
    assert (card.sizes, card.released, card.idle) == ([1, 1, 1], 2, [0])
    with pytest.raises(Unavailable, match="Memory ran out"):
        retry_with_room(lambda: Card(0).work([7]), make_room=card.make_room)
    assert card.idle == []


def test_memory_that_is_too_short_for_one_is_told_with_a_way_out() -> None:
    with pytest.raises(Unavailable, match="even with one at a time") as caught:
        AdaptiveBatch(8).run([1, 2, 3], Card(0).work)
    assert "--device cpu" in caught.value.hint


def test_the_failed_try_holds_no_memory_when_what_is_left_is_given_back() -> None:
    import gc
    import weakref

    class Tensor:
        pass

    alive: list[weakref.ref[Tensor]] = []
    counted: list[int] = []

    def work(batch: list[int]) -> list[int]:
        tensor = Tensor()
        alive.append(weakref.ref(tensor))
        if len(batch) > 1:
            raise OutOfMemoryError("CUDA out of memory")
        return batch

    gc.disable()
    try:
        AdaptiveBatch(2, release=lambda: counted.append(sum(ref() is not None for ref in alive))).run([1, 2], work)
    finally:
        gc.enable()
    assert counted == [0]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (MemoryError(), True),
        (RuntimeError("CUDA failed with error out of memory"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (
            RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
            True,
        ),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_running_out_of_memory_is_told_from_other_failures(error: Exception, told: bool) -> None:
    assert is_out_of_memory(error) is told


def test_other_failures_are_not_swallowed() -> None:
    def work(batch: list[int]) -> list[int]:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="mat1"):
        AdaptiveBatch(4).run([1], work)


def test_torchs_own_error_is_known() -> None:
    torch = pytest.importorskip("torch", reason="the extra 'gpu' is not installed")
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB"))
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 60, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)

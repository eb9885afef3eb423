"""The pool: engines load once, the least recently used idle ones make room, and running out of memory is survived where it can be."""

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from analyzer_agent.errors import AgentError, Unavailable
from analyzer_agent.protocols import Availability, EngineConfig, EngineSpec
from analyzer_agent.tools.engines import memory
from analyzer_agent.tools.support.engine_pool import EnginePool, WarmEngine, choose_engines

GB = 1 << 30


class OutOfMemoryError(RuntimeError):
    """Named as torch names its own."""


class Machine:
    """Devices with so much memory, and engines that take some of it when they load."""

    def __init__(self, **room: int) -> None:
        self.room, self.taken, self.loads = room, dict.fromkeys(room, 0), list[str]()
        self.pool = EnginePool(self, spare=GB)

    def free(self, device: str) -> int | None:
        return self.room[device] - self.taken[device] if device in self.room else None

    def used(self, device: str) -> int | None:
        return self.taken.get(device)

    def engine(self, name: str, size: int, device: str = "cuda", on_disk: int = 0, config: EngineConfig | None = None) -> WarmEngine:
        machine = self

        class Loaded:
            def __init__(self) -> None:
                machine.loads.append(name)
                if machine.taken[device] + size > machine.room[device]:
                    raise OutOfMemoryError("CUDA out of memory")
                machine.taken[device] += size
                self.name, self.device = name, device

            def close(self) -> None:
                machine.taken[device] -= size

        spec = EngineSpec(name, 0, lambda _: Availability(), lambda _: Loaded())
        return self.pool.engine("fake", spec, config or EngineConfig(), Availability(weights=name, device=device, size=on_disk))


def test_engines_load_once_and_stay_warm() -> None:
    machine = Machine(cuda=10 * GB)
    one = machine.engine("one", 2 * GB)
    assert not one.loaded and one.device == "cuda"
    first = one.get()
    assert one.get() is first and machine.loads == ["one"] and one.size == 2 * GB


def test_sessions_that_share_a_pool_share_engines_of_the_same_weights_and_settings() -> None:
    machine = Machine(cuda=10 * GB)
    one = machine.engine("one", GB)
    assert machine.engine("one", GB) is one
    assert machine.engine("one", GB, config=EngineConfig(vocabulary=Path("other.txt"))) is not one


def test_the_least_recently_used_makes_room_by_measured_size() -> None:
    machine = Machine(cuda=10 * GB)
    a, b, c = machine.engine("a", 4 * GB), machine.engine("b", 3 * GB), machine.engine("c", 4 * GB, on_disk=3 * GB)
    for engine in (a, b, a, c):
        engine.get()
    assert (a.loaded, b.loaded, c.loaded) == (True, False, True)
    b.get()  # known to take 3 GB by now: the room is made before it is tried
    assert (a.loaded, b.loaded, c.loaded) == (False, True, True) and machine.loads == ["a", "b", "c", "b"]


def test_running_out_while_loading_makes_room_until_it_fits() -> None:
    machine = Machine(cuda=10 * GB)
    small = [machine.engine(f"small{i}", 2 * GB) for i in range(4)]
    for engine in small:
        engine.get()
    large = machine.engine("large", 7 * GB)
    large.get()
    assert [engine.loaded for engine in small] == [False, False, False, True] and large.loaded
    assert machine.taken["cuda"] == 9 * GB


def test_one_that_is_in_use_is_never_thrown_out() -> None:
    machine = Machine(cuda=10 * GB)
    busy, idle, large = machine.engine("busy", 4 * GB), machine.engine("idle", 4 * GB), machine.engine("large", 5 * GB)
    with busy.held():
        busy.get()
        idle.get()
        large.get()
        assert (busy.loaded, idle.loaded) == (True, False)
        with pytest.raises(Unavailable, match="Memory ran out while 'huge'") as told, large.held():
            machine.engine("huge", 9 * GB).get()
        assert "--device cpu" in told.value.hint and busy.loaded and large.loaded


def test_a_gpu_that_is_full_costs_nothing_on_the_cpu() -> None:
    machine = Machine(cuda=4 * GB, cpu=8 * GB)
    on_cpu, on_gpu, next_on_gpu = machine.engine("a", 2 * GB, "cpu"), machine.engine("b", 2 * GB), machine.engine("c", 3 * GB)
    for engine in (on_cpu, on_gpu, next_on_gpu):
        engine.get()
    assert (on_cpu.loaded, on_gpu.loaded, next_on_gpu.loaded) == (True, False, True)


def test_where_nothing_tells_how_much_memory_there_is() -> None:
    pool = EnginePool(Machine())  # no device that it knows
    engine = pool.engine("fake", EngineSpec("e", 0, lambda _: Availability(), lambda _: object()), EngineConfig(), Availability())
    engine.get()
    assert engine.size is None and engine.loaded and engine.device == "cpu"


def test_work_that_runs_out_of_memory_can_have_others_make_room() -> None:
    machine = Machine(cuda=10 * GB)
    working, other = machine.engine("working", GB), machine.engine("other", GB)
    working.get()
    other.get()
    with working.held():
        assert working.config.make_room() and not other.loaded
        assert not working.config.make_room() and working.loaded


def test_other_failures_are_not_taken_for_a_lack_of_memory() -> None:
    def load(_: EngineConfig) -> Any:
        raise Unavailable("weights are broken", hint="get others")

    pool = EnginePool(Machine(cpu=GB * 9))
    with pytest.raises(Unavailable, match="weights are broken"):
        pool.engine("fake", EngineSpec("e", 0, lambda _: Availability(), load), EngineConfig(), Availability()).get()


def test_closing_gives_everything_back() -> None:
    machine = Machine(cuda=10 * GB)
    engine = machine.engine("a", GB)
    engine.get()
    machine.pool.close()
    assert machine.taken["cuda"] == 0 and not engine.loaded
    engine.get()
    assert engine.loaded


def test_threads_load_once() -> None:
    machine, start = Machine(cuda=10 * GB), threading.Barrier(8)
    engine = machine.engine("a", GB)

    def work() -> None:
        start.wait()
        engine.get()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert machine.loads == ["a"]


# --- choosing -----------------------------------------------------------------------------------------------------------


def engines(*names: str) -> list[EngineSpec]:
    def finder(name: str) -> Callable[[EngineConfig], Availability]:
        return lambda _: Availability(missing=None if name.isupper() else "not here", fix="get it")

    return [EngineSpec(name, tier, finder(name), lambda _: object()) for tier, name in enumerate(names)]


def test_all_that_can_run_are_kept_best_first() -> None:
    chosen = choose_engines("fake", engines("a", "B", "C"), EngineConfig())
    assert [e.name for e in chosen.engines] == ["B", "C"] and chosen.engine is chosen.engines[0]
    assert chosen.reason() == "a: not here (get it)"


def test_a_pinned_engine_has_no_stand_in() -> None:
    assert [e.name for e in choose_engines("fake", engines("A", "B"), EngineConfig(), "B").engines] == ["B"]
    with pytest.raises(Unavailable, match="cannot run with 'a': not here"):
        choose_engines("fake", engines("a", "B"), EngineConfig(), "a")
    with pytest.raises(AgentError, match="'x' is not an engine of 'fake'") as told:
        choose_engines("fake", engines("A", "B"), EngineConfig(), "x")
    assert told.value.hint == "Its engines are: A, B."


# --- measuring ----------------------------------------------------------------------------------------------------------


HOLDER = """
import mmap
from analyzer_agent.tools.engines import memory

before = memory.used("cpu")
block = mmap.mmap(-1, 200 << 20)
for page in range(0, len(block), mmap.PAGESIZE):
    block[page] = 1
print(memory.used("cpu") - before)
"""
"""Takes 200 MB. In a process of its own and straight from the system: what others freed in this one may be handed out again."""


def test_what_this_process_holds_is_measured() -> None:
    grown = int(subprocess.run([sys.executable, "-c", HOLDER], capture_output=True, text=True, check=True).stdout)
    assert (190 << 20) < grown < (260 << 20)
    left = memory.free("cpu")
    assert left and left > 0


def test_devices_that_are_not_here() -> None:
    assert memory.free("network") is None and memory.used("mps") is None
    assert memory.free("cuda:99") is None and memory.used("cuda:99") is None


@pytest.mark.parametrize("version", [1, 2])
def test_a_container_has_what_it_is_allowed(tmp_path: Path, version: int) -> None:
    folder = tmp_path / "sys/fs/cgroup" / ("memory" if version == 1 else "")
    folder.mkdir(parents=True)
    limit, usage = ("memory.limit_in_bytes", "memory.usage_in_bytes") if version == 1 else ("memory.max", "memory.current")
    (folder / usage).write_text(f"{3 * GB}\n")
    (folder / "memory.stat").write_text(f"inactive_anon 5\n{'total_' * (version == 1)}inactive_file {GB}\nactive_file 7\n")
    (folder / limit).write_text(f"{4 * GB}\n")
    assert memory._allowed(tmp_path) == 2 * GB
    (folder / limit).write_text("max\n")
    assert memory._allowed(tmp_path) is None

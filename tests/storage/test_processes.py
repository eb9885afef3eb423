"""Eight processes at once on one store that does not exist yet: all succeed, nothing is done or stored twice."""

import collections
import itertools
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from analyzer_agent.timeline import TimeRange, instants, sample_end
from patience import PATIENCE_S
from places import ROOT

PROCESSES = 8
DURATION = 400_000
GRAIN = 8_000

CHILD = """
import random, sys, time
from pathlib import Path
from analyzer_agent.events import discard
from analyzer_agent.evidence.gap_runner import GapRunner
from analyzer_agent.evidence.provenance import BoundAnalyzer, make_provenance
from analyzer_agent.storage import Store
from analyzer_agent.testing import FakeAnalyzer, FakeVideo, fake_spec
from analyzer_agent.timeline import TimeRange

folder, number, step = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])

class Telling(FakeAnalyzer):
    def analyze(self, video, grains):
        for grain in grains:
            with (folder / "log").open("a") as log:
                log.write(f"{number} {grain.span.start} {grain.span.end} {','.join(map(str, grain.instants))};\\n")
            time.sleep(0.002)
            yield from super().analyze(video, [grain])

print("ready", flush=True)
sys.stdin.readline()
video = FakeVideo(400_000)
analyzer = Telling([(TimeRange(n, n + 9_000), f"event {n}") for n in range(0, 400_000, 10_000)])
spec = fake_spec(analyzer, step=step, grain=8_000)
pick = random.Random(number)
with Store(folder / "new" / "s.db") as store:
    store.notes.add_video(video.id, video.name, str(video.path), video.duration)
    job = BoundAnalyzer(spec, analyzer, make_provenance(spec, analyzer, video))
    for turn in range(4):
        start = pick.randrange(0, 300_000) if turn < 3 else 0
        end = start + 100_000 if turn < 3 else 400_000
        gap_runner = GapRunner(store, video, job)
        plan = gap_runner.plan([TimeRange(start, end)], step * 2 ** pick.randrange(3) if turn < 3 else step)
        gap_runner.run(plan, "call", discard)
        assert not plan.given_up
print("done", flush=True)
"""


@pytest.mark.parametrize("step", [0, 1_000])
def test_eight_processes_at_once(tmp_path: Path, step: int) -> None:
    command = [sys.executable, "-c", CHILD, str(tmp_path)]
    children = [
        subprocess.Popen(
            [*command, str(n), str(step)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
        )
        for n in range(PROCESSES)
    ]
    for child in children:
        assert child.stdout and child.stdout.readline() == "ready\n", child.stderr and child.stderr.read()
    for child in children:
        assert child.stdin
        child.stdin.write("go\n")
        child.stdin.flush()
    told = [child.communicate(timeout=PATIENCE_S) for child in children]
    assert [(out, err, child.returncode) for (out, err), child in zip(told, children, strict=True)] == [("done\n", "", 0)] * PROCESSES

    log = [line.rstrip(";").split(" ") for line in (tmp_path / "log").read_text().splitlines()]
    work = collections.Counter((start, t) for _, start, _, times in log for t in (times.split(",") if step else [""]))
    assert work and set(work.values()) == {1}, "a grain was analyzed twice"
    assert len({who for who, *_ in log}) > 1, "one process did it all; the test shows nothing"

    with sqlite3.connect(tmp_path / "new" / "s.db") as db:
        rows = sorted(db.execute("SELECT start_ms, end_ms, text FROM notes"))
        assert db.execute("SELECT count(*) FROM claims").fetchone() == (0,)
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    db.close()
    assert rows == sorted(expected(step))


def expected(step: int) -> list[tuple[int, int, str]]:
    events = [(TimeRange(n, n + 9_000), f"event {n}") for n in range(0, DURATION, 10_000)]
    whole = TimeRange(0, DURATION)
    if step:
        times = instants(whole, step, whole)
        return [(t, sample_end(t, step, DURATION), text) for t, (e, text) in itertools.product(times, events) if e.start <= t < e.end]
    cut = [(piece, text) for e, text in events for grain in whole.grains(GRAIN, DURATION) if (piece := e.within(grain))]
    return [(piece.start, piece.end, text) for piece, text in cut]

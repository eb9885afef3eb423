"""Moments: what is kept of frames, what a search of it finds, that searching again costs nothing, and whose weights may serve."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlite_utils import Database

import tiny_clip
from analyzer_agent import tools as registry
from analyzer_agent.config import Settings
from analyzer_agent.errors import Unavailable
from analyzer_agent.evals.modes import describe
from analyzer_agent.events import discard
from analyzer_agent.protocols import EngineConfig
from analyzer_agent.sample import sample_path
from analyzer_agent.session import EnginePool, Session, available_tools, engine_config
from analyzer_agent.storage import Store
from analyzer_agent.storage.migrations import migrations
from analyzer_agent.testing import FakeEngine, FakeVideo, call
from analyzer_agent.timeline import TimeRange
from analyzer_agent.toolbox import SessionVideo, Tool, Toolbox
from analyzer_agent.tools.engines import open_clip as door
from analyzer_agent.tools.moments import SPEC, peaks
from analyzer_agent.tools.support.engine_pool import choose_engines
from cli_kit import Cli, talk

RISES = {10: 0.25, 12: 0.3, 14: 0.29, 16: 0.27, 40: 0.28, 42: 0.27, 50: 0.26}
"""How alike the pictures of these seconds are to a description; all others 0.1."""


def alike(second: int) -> float:
    return RISES.get(second, 0.1)


class Embedder:
    """Turns a picture into a vector by its second, so that its product with that of any text is what `likeness` says."""

    batch = 3

    def __init__(self, likeness: Callable[[int], float] = alike) -> None:
        self.likeness, self.images, self.texts = likeness, 0, list[str]()

    def image_features(self, images: Sequence[Any]) -> Any:
        self.images += len(images)
        cosines = np.array([self.likeness(int(image[0, 0, 0])) for image in images], np.float32)
        return np.stack([cosines, np.sqrt(1 - cosines**2)], axis=1)

    def text_features(self, texts: Sequence[str]) -> Any:
        self.texts += texts
        return np.array([[1, 0]] * len(texts), np.float32)


def film(name: str = "film", duration: int = 64_000) -> FakeVideo:
    return FakeVideo(duration, video_id=name, picture_at=lambda pts: np.full((4, 4, 3), (0, 0, pts // 1000 % 256), np.uint8))


class Desk:
    """A toolbox with `find_moments` alone."""

    def __init__(self, store: Store, embedder: Any, *films: FakeVideo, weights: str = "w") -> None:
        self.store, self.embedder, self.films = store, embedder, films or (film(),)
        for one in self.films:
            store.notes.add_video(one.id, one.name, str(one.path), one.duration)
        session_videos = [SessionVideo(one.id, one, TimeRange(0, one.duration)) for one in self.films]
        self.box = Toolbox(store, session_videos, {"moments": Tool(SPEC, FakeEngine(embedder, "clip", weights=weights))})

    def run(self, made: Any) -> Any:
        return self.box.run(made, discard)

    def find(self, description: str = "a ferry", **more: Any) -> Any:
        return self.run(call("find_moments", description=description, **more))

    def notes(self, result: Any) -> list[tuple[int, int, float]]:
        known = self.store.notes.get(result.note_ids)
        shown = [known[n] for n in result.note_ids]
        return [(note.span.start // 1000, note.span.end // 1000, round(note.observation.score or 0, 2)) for note in shown]


@pytest.fixture
def store(tmp_path: Path) -> Any:
    with Store(tmp_path / "store.db") as opened:
        yield opened


# --- what is found ------------------------------------------------------------------------------------------------------


def spans(*starts: int) -> list[TimeRange]:
    return [TimeRange(start, start + 2) for start in starts]


@pytest.mark.parametrize(
    ("at", "scores", "found"),
    [
        (spans(0, 2, 4), (0.1, 0.3, 0.1), [((2, 4), 1)]),
        (spans(0, 2, 4, 6), (0.29, 0.3, 0.285, 0.27), [((0, 6), 1)]),
        (spans(0, 2, 4), (0.3, 0.1, 0.29), [((0, 2), 0), ((4, 6), 2)]),
        (spans(0, 2, 8), (0.3, 0.29, 0.295), [((0, 4), 0), ((8, 10), 2)]),
        (spans(0, 2, 4), (0.2, 0.2, 0.2), [((0, 6), 0)]),
        (spans(0, 2, 4, 6), (0.3, 0.25, 0.2, 0.1), [((0, 2), 0)]),
        (spans(0, 2, 4, 6), (0.1, 0.1, 0.25, 0.3), [((6, 8), 3), ((0, 4), 0)]),
        ((), (), []),
    ],
    ids=["one", "neighbours-join", "valley", "hole", "flat", "slope", "shoulder", "nothing"],
)
def test_moments_are_peaks_with_the_neighbours_that_are_nearly_as_alike(at: Any, scores: Any, found: Any) -> None:
    assert [((span.start, span.end), peak) for span, peak in peaks(at, scores)] == found


def test_the_best_moments_come_first_as_notes_that_say_what_they_are(store: Store) -> None:
    desk = Desk(store, Embedder())
    result = desk.find(limit=3)
    assert desk.notes(result) == [(12, 16, 0.3), (40, 44, 0.28), (50, 52, 0.26)]
    first = store.notes.get(result.note_ids)[result.note_ids[0]]
    assert (first.kind, first.text) == ("moment", 'looks like "a ferry"')
    assert first.observation.detail == {"description": "a ferry", "peak": 12_000}
    a, b, c = result.note_ids
    assert result.text == (
        "find_moments (clip) analyzed 0:00-1:04.\n"
        f"Likeness, best first: #{a} 0.300, #{b} 0.280, #{c} 0.260. This is not proof: confirm with another tool:\n"
        "<notes>\n"
        f"#{a} 0:12-0:16 moment \"looks like 'a ferry'\"\n"
        f"#{b} 0:40-0:44 moment \"looks like 'a ferry'\"\n"
        f"#{c} 0:50-0:52 moment \"looks like 'a ferry'\"\n"
        "</notes>"
    )


def test_searching_again_looks_at_nothing_and_gives_the_same_notes(store: Store) -> None:
    desk = Desk(store, Embedder())
    first = desk.find(limit=3)
    assert desk.embedder.images == 32 and first.analyzed_ms == 64_000
    desk.films[0].reads.clear()
    again = desk.find("  a  ferry ", limit=3)
    other = desk.find("a whale", limit=3)
    assert (desk.embedder.images, desk.films[0].reads) == (32, [])
    assert desk.embedder.texts == ["a ferry", "a ferry", "a whale"]
    assert again.note_ids == first.note_ids and not set(other.note_ids) & set(first.note_ids)
    assert desk.find(limit=1).note_ids == first.note_ids[:1]
    refused = desk.find(limit=-1)
    assert refused.refusal and not refused.note_ids


def test_a_range_gives_what_touches_it_cut_nowhere(store: Store) -> None:
    desk = Desk(store, Embedder())
    whole = desk.find()
    assert desk.find(ranges=[[15, 41]], limit=2).note_ids == whole.note_ids[:2]
    assert desk.find(ranges=[[52, 53]], limit=1).note_ids != whole.note_ids[2:3], "the end is not within"
    part = Desk(store, Embedder(), film("other"))
    assert part.notes(part.find(ranges=[[12, 14]], limit=1)) == [(12, 16, 0.3)]
    assert part.embedder.images == 4, "one grain"


def test_the_default_step_finds_the_same_after_a_finer_one(store: Store) -> None:
    plain = Desk(store, Embedder())
    expected = plain.notes(plain.find())
    fine = Desk(store, Embedder(), film("other"))
    assert fine.notes(fine.find(every=0.5)) != expected
    assert fine.embedder.images == 64, "pictures that are the same are looked at once"
    assert fine.notes(fine.find()) == expected and fine.embedder.images == 64


def test_looking_finer_takes_the_new_instants_only(store: Store) -> None:
    desk = Desk(store, Embedder())
    desk.find()
    desk.films[0].reads.clear()
    desk.find(every=1)
    assert len(desk.films[0].reads) == 32
    key = next(provenance.key for provenance in store.notes.provenances() if not provenance.lane)
    assert [t for t, _ in store.vectors.read("film", key)] == list(range(0, 64_000, 1000))


def test_all_videos_are_searched_unless_one_is_named(store: Store) -> None:
    silent = FakeVideo(10_000, video_id="sound")
    silent.picture = None
    desk = Desk(store, Embedder(), film("one"), film("two", 20_000), silent)
    both = desk.find(limit=1)
    assert [store.notes.get([n])[n].video for n in both.note_ids] == ["one", "two"]
    assert both.text.count("analyzed") == 2 and "on two analyzed 0:00-0:20" in both.text
    assert (both.analyzed_ms, both.span) == (84_000, None)
    assert desk.find(limit=1, video="two").note_ids == both.note_ids[1:]
    assert desk.find(video="sound").refused


@pytest.mark.parametrize(
    ("arguments", "told"),
    [({"description": " "}, "'description' is empty"), ({"description": "x", "ranges": [[90, 99]]}, "lies outside")],
)
def test_what_cannot_be_searched_is_refused(store: Store, arguments: dict[str, Any], told: str) -> None:
    result = Desk(store, Embedder()).run(call("find_moments", **arguments))
    assert result.refused and told in result.text


def test_without_a_description_it_only_looks(store: Store) -> None:
    desk = Desk(store, Embedder())
    result = desk.run(desk.box.whole_scope_call(desk.box.offered[0], desk.box.session_videos["film"], "c"))
    assert result.text.endswith("Nothing was searched for: there is no 'description'.") and result.note_ids == ()
    assert desk.embedder.images == 32 and desk.embedder.texts == []
    (tool,) = (tool["function"] for tool in desk.box.schemas() if tool["function"]["name"] == "find_moments")
    assert tool["parameters"]["required"] == ["description"]
    assert desk.box.unexamined() == [] and desk.box.usable_without_query == []


def test_the_words_of_a_search_are_not_found_as_if_they_were_in_the_video(store: Store) -> None:
    desk = Desk(store, Embedder())
    found = desk.find(limit=1)
    assert "No note matches 'ferry'" in desk.run(call("search_notes", query="ferry")).text
    assert desk.run(call("search_notes", query="ferry", kinds=["moment"])).note_ids == found.note_ids
    assert desk.run(call("read_notes", range=[0, 60])).note_ids == found.note_ids
    assert describe(desk.box, covered=True).lines == ()


# --- what is kept -------------------------------------------------------------------------------------------------------


def vectors(store: Store) -> list[Any]:
    with store.connections.read() as db:
        return list(db.execute("SELECT video, key, t_ms, vector FROM vectors ORDER BY t_ms"))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a forked child")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_killed_between_grains_nothing_is_doubled_or_looked_at_again(tmp_path: Path) -> None:
    class Deadly(Embedder):
        def image_features(self, images: Sequence[Any]) -> Any:
            if self.images >= 12:
                os._exit(9)
            return super().image_features(images)

    child = os.fork()
    if not child:
        try:
            with Store(tmp_path / "store.db") as broken:
                Desk(broken, Deadly()).find()
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    with Store(tmp_path / "store.db") as store, Store(tmp_path / "whole.db") as other:
        kept = len(vectors(store))
        assert kept % 4 == 0 and 0 < kept <= 12, "whole grains"
        desk, whole = Desk(store, Embedder()), Desk(other, Embedder())
        assert desk.notes(desk.find()) == whole.notes(whole.find())
        assert desk.embedder.images == 32 - kept and vectors(store) == vectors(other)


def test_refreshing_takes_the_place_of_what_was_kept(store: Store) -> None:
    desk = Desk(store, Embedder())
    first = desk.find(limit=1)
    before = vectors(store)
    desk.embedder.likeness = lambda second: 0.5 if second == 20 else 0.1
    desk.box.force = True
    assert desk.notes(desk.find(limit=1)) == [(20, 22, 0.5)]
    assert len(vectors(store)) == len(before) and vectors(store) != before
    assert store.notes.get(first.note_ids), "what was cited stays"


def test_vectors_of_other_weights_never_serve(store: Store) -> None:
    Desk(store, Embedder(), weights="one").find()
    other = Desk(store, Embedder(), weights="two")
    other.find()
    assert other.embedder.images == 32 and len(vectors(store)) == 64


def test_clearing_clears_vectors_as_well_and_stats_count_them(store: Store) -> None:
    desk = Desk(store, Embedder(), film("one"), film("two"))
    desk.find(limit=2)
    shares = {share.video.id: share for share in store.maintenance.shares()}
    assert [(shares[name].notes, shares[name].vectors, shares[name].covered_ms) for name in ("one", "two")] == [(2, 32, 64_000)] * 2
    assert store.maintenance.clear(video="one").notes == 2
    assert {row[0] for row in vectors(store)} == {"two"}
    desk.find(limit=2, video="one")
    assert desk.embedder.images == 96


def test_a_store_of_an_earlier_version_gets_the_table(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    old = Database(path)
    migrations.apply(old, stop_before="m003_vectors")
    assert "vectors" not in old.table_names()
    old.close()
    with Store(path) as store:
        assert Desk(store, Embedder()).find().note_ids


# --- through the real library -------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def nobodys_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("open_clip", reason="the extra 'gpu' is not installed")
    return tiny_clip.make(tmp_path_factory.mktemp("clip"), tiny_clip.CLIP)


def plain_scores(weights: Path, images: Sequence[Any], text: str) -> Any:
    """Return the cosine of each RGB picture with a text, by open_clip alone."""
    import open_clip
    import torch
    from PIL import Image

    model, _, prepare = open_clip.create_model_and_transforms(f"local-dir:{weights}")
    with torch.inference_mode():
        pictures = model.eval().encode_image(torch.stack([prepare(Image.fromarray(image)) for image in images]))
        words = model.encode_text(open_clip.get_tokenizer(f"local-dir:{weights}")([text]))
        return torch.nn.functional.cosine_similarity(pictures, words).numpy()


def test_likeness_is_what_plain_open_clip_says_of_the_same_frames(weights: Path, tmp_path: Path) -> None:
    base = Settings(store=tmp_path / "store.db", manager="rules", weights={"tags": weights}, device="cpu")
    with Session(sample_path(), settings=base) as session:
        video = session.session_videos[0].video
        result = session.toolbox.run(call("find_moments", description="a boat in a harbour", limit=20), discard)
        notes = session.store.notes.get(result.note_ids).values()
        at = [int(str(note.observation.detail["peak"])) for note in notes]
        order = sorted(at)
        frames = {frame.t: frame.image for frame in video.frames(TimeRange(0, video.duration), instants=order)}
        expected = dict(zip(order, plain_scores(weights, [frames[t] for t in order], "a boat in a harbour"), strict=True))
        found = {t: note.observation.score for t, note in zip(at, notes, strict=True)}
        all_at = list(range(0, video.duration, 2000))
        every = list(video.frames(TimeRange(0, video.duration), instants=all_at))
        best = max(plain_scores(weights, [frame.image for frame in every], "a boat in a harbour"))
    assert len(found) >= 2
    assert found == pytest.approx({t: max(0.0, float(score)) for t, score in expected.items()}, abs=1e-3)
    assert max(score or 0 for score in found.values()) == pytest.approx(float(best), abs=1e-3)


def test_vectors_can_be_made_ahead_of_questions(weights: Path, tmp_path: Path) -> None:
    cli, video = Cli(tmp_path), talk(tmp_path / "talk.mp4")
    flags = ["--with", "moments", "--weights", f"tags={weights}", "--device", "cpu"]
    (row,) = cli.json("index", video, *flags, "--json")["indexed"]
    assert (row["analyzer"], row["new_seconds"], row["notes"], row["not_examined"]) == ("moments", 2.0, 0, [])
    assert cli.json("index", video, *flags, "--json")["indexed"][0]["new_seconds"] == 0
    head, row = cli("cache", "stats").stdout.splitlines()[:2]
    assert head.split()[-2:] == ["notes", "vectors"] and row.split()[-2:] == ["0", "1"]
    assert cli.json("cache", "stats", "--json")["covered"][0]["vectors"] == 1
    assert "0 notes" in cli("cache", "clear", "--yes", "--analyzer", "moments").stdout
    assert cli.json("cache", "stats", "--json")["covered"] == []


def test_features_are_unit_vectors_that_do_not_depend_on_the_batch(weights: Path) -> None:
    clip = door.FEATURES.load(EngineConfig(weights=weights, device="cpu"))
    images = [np.random.default_rng(seed).integers(0, 255, (40 + seed, 60, 3), np.uint8) for seed in range(6)]
    whole = clip.image_features(images)
    assert np.linalg.norm(whole, axis=1) == pytest.approx(1, abs=1e-5)
    assert all(np.array_equal(clip.image_features([image])[0], one) for image, one in zip(images, whole, strict=True))
    assert np.linalg.norm(clip.text_features(["a", "two words"]), axis=1) == pytest.approx(1, abs=1e-5)


def test_tags_and_moments_load_their_weights_once(weights: Path) -> None:
    settings, pool = Settings(weights={"tags": weights}, device="cpu"), EnginePool()
    ready, _ = available_tools(settings, pool)
    assert ready["moments"].engine is ready["tags"].engine is not None
    other = weights.parent / "other"
    assert engine_config("moments", Settings(weights={"tags": weights, "moments": other})).weights == other
    assert engine_config("captions", settings).weights is None
    pool.close()


def test_it_says_what_is_missing_and_needs_no_vocabulary(weights: Path, tmp_path: Path) -> None:
    engines = registry.load("moments")[1]
    assert "no CLIP weights" in choose_engines("moments", engines, EngineConfig()).reason()
    assert choose_engines("moments", engines, EngineConfig(weights=weights, vocabulary=tmp_path / "gone.txt")).engine is not None
    with pytest.raises(Unavailable):
        SPEC.bind({})

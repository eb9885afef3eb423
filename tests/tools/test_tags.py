"""Tags: which labels are stored and shown, and whose vocabulary they come from."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import tiny_clip
from analyzer_agent import tools as registry
from analyzer_agent.config import Settings
from analyzer_agent.errors import AgentError, Unavailable
from analyzer_agent.evidence.provenance import make_provenance
from analyzer_agent.protocols import EngineConfig
from analyzer_agent.records import Observation
from analyzer_agent.sample import sample_path
from analyzer_agent.session import Session, available_tools
from analyzer_agent.testing import FakeEngine, FakeVideo
from analyzer_agent.timeline import TimeRange
from analyzer_agent.tools.captions import SPEC as CAPTIONS
from analyzer_agent.tools.engines import open_clip as door
from analyzer_agent.tools.support import vocabulary
from analyzer_agent.tools.support.engine_pool import choose_engines
from analyzer_agent.tools.tags import SHOWN_SCORE, SPEC, selected
from engines import LoadedEngine, look_with

ENGINES = registry.load("tags")[1]
OWN = "[place] a picture of a {}\nshed # mine\nbarn\n\n[mood]\ncalm\nwild\n"


@pytest.fixture(autouse=True)
def nobodys_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "labels.txt"
    path.write_text(OWN)
    return path


class Sure(LoadedEngine):
    """A tagger that gives the scores it was made with, to every group as many as fit."""

    name, weights, uncertain, batch = "sure", "w", False, 4

    def __init__(self, scores: Sequence[float], path: Path | None = None) -> None:
        self.scores, self.config, self.groups = scores, EngineConfig(vocabulary=path), list[Any]()

    def get(self) -> "Sure":
        return self

    def probabilities(self, images: Sequence[Any], groups: Sequence[Sequence[str]]) -> Sequence[Sequence[Sequence[float]]]:
        self.groups.append([list(group) for group in groups])
        return [[[*self.scores, *[0.0] * len(group)][: len(group)] for group in groups] for _ in images]


def look(engine: Any, video: Any, step: int = 2_000) -> list[Observation]:
    return look_with(SPEC, engine, video, step)


def test_each_label_that_fits_is_a_note_with_its_group_the_surest_first(own: Path) -> None:
    engine = Sure([0.04, 0.9601], own)
    found = look(engine, FakeVideo(3_000))
    assert [(seen.span, seen.kind, seen.text, seen.score, seen.detail) for seen in found] == [
        (TimeRange(t, end), "tag", label, 0.96, {"group": group, "pts": t})
        for t, end in ((0, 2_000), (2_000, 3_000))
        for group, label in (("place", "barn"), ("mood", "wild"))
    ]
    assert engine.groups[0] == [["a picture of a shed", "a picture of a barn"], ["a photo of calm", "a photo of wild"]]


def test_no_more_than_a_few_labels_are_stored_per_group_and_none_that_is_unlikely() -> None:
    found = look(Sure([0.3, 0.2, 0.1, 0.06, 0.06, 0.06, 0.06, 0.0499]), FakeVideo(1_000))
    assert [(seen.detail["group"], seen.score) for seen in found] == [
        (group, score) for group in ("scene", "action", "activity") for score in (0.3, 0.2, 0.1, 0.06, 0.06)
    ]


def test_reading_hides_what_is_doubtful_or_of_other_groups(own: Path) -> None:
    seen = look(Sure([0.15, 0.85], own), FakeVideo(1_000))

    def shown(**filters: Any) -> list[str]:
        return [one.text for one in seen if selected(one, filters)]

    assert SHOWN_SCORE > 0.15
    assert shown() == ["barn", "wild"]
    assert shown(min_score=0.1) == ["barn", "shed", "wild", "calm"]
    assert shown(groups=["Mood"]) == ["wild"]
    assert shown(min_score=0.9) == []


def test_another_vocabulary_is_another_key_and_no_coverage_of_the_old_one_serves(own: Path, tmp_path: Path) -> None:
    video = FakeVideo(1_000)

    def provenance(path: Path | None) -> Any:
        return make_provenance(SPEC, SPEC.bind({}, Sure([], path)), video, weights="w")

    shipped, mine = provenance(None), provenance(own)
    assert shipped.key != mine.key and shipped.params != mine.params
    own.write_text("# only a comment more\n" + OWN.replace("barn\n\n", "barn\n"))
    assert provenance(own).key == mine.key, "comments and layout do not matter"
    for change in (OWN.replace("barn", "hut"), OWN.replace("picture", "photo"), OWN.replace("[mood]", "[feel]")):
        own.write_text(change)
        assert provenance(own).key != mine.key


def test_no_model_can_name_a_file() -> None:
    assert not SPEC.options_schema and set(SPEC.filters_schema) == {"groups", "min_score"}


def test_facts_name_the_vocabulary_without_loading(own: Path) -> None:
    assert SPEC.bind({}, Sure([], own)).facts() == {"groups": {"place": ["shed", "barn"], "mood": ["calm", "wild"]}}
    with pytest.raises(Unavailable):
        SPEC.bind({}, None)


# --- vocabularies -------------------------------------------------------------------------------------------------------


def test_the_vocabulary_that_ships_has_three_groups_of_labels_that_are_told_apart() -> None:
    groups = {group.name: group for group in vocabulary.read_vocabulary()}
    assert list(groups) == ["scene", "action", "activity"]
    for group in groups.values():
        assert 60 <= len(group.labels) <= 110
        assert all(prompt.count(label) == 1 for prompt, label in zip(group.prompts(), group.labels, strict=True))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("shed\n[place]\na\nb", "line 1: 'shed' stands before any group"),
        ("[place]\nshed\n\nbarn\nSHED", "line 5: 'SHED' comes twice"),
        ("[a]\nx\ny\n[a]\nz\nw", "line 4: the group 'a' comes twice"),
        ("[a] a photo\nx\ny", "line 1: the group 'a' has a sentence without '{}'"),
        ("[a]\nx", "the group 'a' has fewer than two labels"),
        ("# nothing", "it has 0 labels"),
        ("[a]\n" + "\n".join(map(str, range(1_001))), "it has 1001 labels"),
    ],
)
def test_what_is_wrong_with_a_vocabulary_is_told_with_its_line(text: str, told: str) -> None:
    with pytest.raises(AgentError) as caught:
        vocabulary.parse_vocabulary(text, "mine.txt")
    assert told in str(caught.value) and "'mine.txt'" in str(caught.value) and caught.value.hint


def test_a_vocabulary_that_cannot_be_used_is_told_before_anything_runs(tmp_path: Path) -> None:
    gone = EngineConfig(vocabulary=tmp_path / "gone.txt")
    assert "gone.txt' cannot be read" in (door.find_clip(gone).missing or "")
    (tmp_path / "bytes.txt").write_bytes(b"\xff\xfe\x00")
    assert "is not UTF-8" in (door.find_clip(EngineConfig(vocabulary=tmp_path / "bytes.txt")).missing or "")
    assert "gone.txt" in choose_engines("tags", ENGINES, gone).reason()
    with pytest.raises(AgentError, match=r"gone\.txt' cannot be read"):
        available_tools(Settings(vocabulary=tmp_path / "gone.txt"))


# --- through the real library -------------------------------------------------------------------------------------------


def test_real_tags_of_a_video_are_kept_and_a_new_vocabulary_looks_anew(tmp_path: Path, own: Path) -> None:
    pytest.importorskip("open_clip", reason="the extra 'gpu' is not installed")
    weights = tiny_clip.make(tmp_path / "clip", tiny_clip.CLIP)
    base = Settings(store=tmp_path / "store.db", manager="rules", weights={"tags": weights}, device="cpu", end_ms=12_000)

    def index(**changes: Any) -> tuple[int, list[tuple[str, int, str, float | None]]]:
        with Session(sample_path(), settings=base, **changes) as session:
            (result,) = session.index(["tags"])
            video = session.session_videos[0].video.id
            notes = session.store.notes.read(video, TimeRange(0, 12_000))
        return result.analyzed_ms, [(n.key, n.span.start, n.text, n.observation.score) for n in notes]

    analyzed, shipped = index()
    assert analyzed == 16_000 and shipped, "whole grains"
    assert index() == (0, shipped)
    analyzed, both = index(vocabulary=own)
    assert analyzed == 16_000
    assert {text for key, _, text, _ in both if key != shipped[0][0]} <= {"shed", "barn", "calm", "wild"}
    assert index()[0] == 0, "the notes of the old vocabulary stay"


def test_how_small_things_are_not_seen_is_told_from_the_side_that_the_model_looks_at(tmp_path: Path) -> None:
    usual, own = door.CLIP.input_side, door.load_clip(EngineConfig(weights=tiny_clip.make(tmp_path, tiny_clip.CLIP))).input_side
    assert (usual, own) == (224, 32)
    for spec in (SPEC, CAPTIONS):
        told = spec.bind({}, FakeEngine(None, input_side=usual)).limits(FakeVideo(1_000, size=(3840, 2160)))
        assert told == "things smaller than about 155 pixels of this picture are not seen"
        assert spec.bind({}, FakeEngine(None)).limits(FakeVideo(1_000)) == ""

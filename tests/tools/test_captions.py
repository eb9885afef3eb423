"""Captions: what is stored of them, which engine writes them, and that a vision model is asked only if the user named it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tiny_clip
from analyzer_agent import tools as registry
from analyzer_agent.config import Settings, load
from analyzer_agent.doctor import analyzers
from analyzer_agent.errors import AgentError, Unavailable
from analyzer_agent.protocols import EngineConfig, Grain, Vision
from analyzer_agent.records import Observation
from analyzer_agent.sample import sample_path
from analyzer_agent.session import Session, available_tools, choose_vision, engine_config
from analyzer_agent.testing import FakeVideo
from analyzer_agent.timeline import TimeRange, instants
from analyzer_agent.tools.captions import MAX_CAPTION_CHARS, SPEC, tidy
from analyzer_agent.tools.engines import installed
from analyzer_agent.tools.engines import vision as vision_door
from analyzer_agent.tools.support.engine_pool import choose_engines
from engines import LoadedEngine, look_with
from openai_server import OpenAIServer

ENGINES = registry.load("captions")[1]


@pytest.fixture(autouse=True)
def nobodys_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")


class Fixed(LoadedEngine):
    """A captioner that tells the brightness of a picture, and counts how many it was shown."""

    name, weights, uncertain, config = "fixed", "", False, EngineConfig()

    def __init__(self, batch: int = 4) -> None:
        self.batch, self.sizes, self.loaded = batch, list[int](), 0

    def get(self) -> "Fixed":
        self.loaded += 1
        return self

    def caption(self, images: Sequence[Any]) -> Sequence[str]:
        self.sizes.append(len(images))
        return [f" brightness  {image.mean():.0f} , as such .\n" if image.any() else " " for image in images]


class Eyes(Vision):
    """A vision model that answers with the mean red of a picture."""

    model = "eyes-1"

    def __init__(self) -> None:
        self.prompts: list[str] = []

    def describe(self, images: Sequence[Any], prompt: str, labels: Sequence[str] = ()) -> str:
        self.prompts.append(prompt)
        (image,) = images
        return f"Red {image[..., 0].mean():.0f}."


def look(engine: Any, video: Any, step: int = 4_000) -> list[Observation]:
    return look_with(SPEC, engine, video, step)


def test_a_caption_lasts_until_the_next_sample_and_is_tidied() -> None:
    video = FakeVideo(9_000, picture_at=lambda pts: np.full((4, 4, 3), pts // 1_000, np.uint8))
    found = look(Fixed(), video)
    assert [(seen.span, seen.kind, seen.text, seen.detail) for seen in found] == [
        (TimeRange(4_000, 8_000), "caption", "brightness 4, as such", {"pts": 4_000}),
        (TimeRange(8_000, 9_000), "caption", "brightness 8, as such", {"pts": 8_000}),
    ], "a frame with nothing to say has no caption"


def test_equal_frames_side_by_side_are_asked_about_once_also_across_batches() -> None:
    video = FakeVideo(40_000, picture_at=lambda pts: np.full((4, 4, 3), 1 + pts // 16_000, np.uint8))
    engine = Fixed(batch=3)
    assert [seen.text for seen in look(engine, video)] == [f"brightness {1 + t // 16_000}, as such" for t in range(0, 40_000, 4_000)]
    assert sum(engine.sizes) == 3


def test_nothing_is_loaded_for_grains_without_instants() -> None:
    engine, grain = Fixed(), Grain(TimeRange(0, 8_000), 4_000)
    assert list(SPEC.bind({}, engine).analyze(FakeVideo(8_000), [grain])) == [(grain, [])]
    assert engine.loaded == 0
    with pytest.raises(Unavailable):
        SPEC.bind({}, None)


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("a cat , and a dog .", "a cat, and a dog"),
        ("  Two\nlines.  ", "Two lines"),
        (" . ", ""),
        ("What is it?", "What is it?"),
        ("x" * 900, "x" * 900),
        ("x" * 9_000, "x" * (MAX_CAPTION_CHARS - 1) + "…"),
    ],
)
def test_captions_are_tidied(said: str, kept: str) -> None:
    assert tidy(said) == kept


# --- which engine -------------------------------------------------------------------------------------------------------


def test_a_vision_model_comes_first_then_coca_then_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = choose_engines("captions", ENGINES, EngineConfig())
    assert nothing.engine is None
    assert "vision: no vision model is named (--vision-model NAME" in nothing.reason()
    assert "open_clip: no CoCa weights on this machine (about 1.01 GB: analyzer-agent weights pull captions" in nothing.reason()

    monkeypatch.setattr(installed, "is_installed", lambda name: True)
    folder = tmp_path / "open_clip" / "mscoco_finetuned_CoCa-ViT-B-32-laion2B-s13B-b90k"
    folder.mkdir(parents=True)
    (folder / "open_clip_model.safetensors").write_bytes(b"1")
    here = EngineConfig(weights_dir=tmp_path)
    weak = choose_engines("captions", ENGINES, here).engine
    assert weak is not None and (weak.name, weak.tier, weak.resource) == ("open_clip", 1, "")

    strong = choose_engines("captions", ENGINES, EngineConfig(weights_dir=tmp_path, vision=Eyes())).engine
    assert strong is not None and (strong.name, strong.tier, strong.resource) == ("vision", 0, "network")
    pinned = choose_engines("captions", ENGINES, EngineConfig(weights_dir=tmp_path, vision=Eyes()), "open_clip").engine
    assert pinned is not None and pinned.name == "open_clip"

    monkeypatch.setattr(installed, "is_installed", lambda name: False)
    assert "'open_clip' is not installed" in choose_engines("captions", ENGINES, here).reason()


def test_own_weights_are_coca_s_also_when_a_vision_model_is_named(tmp_path: Path) -> None:
    pytest.importorskip("open_clip", reason="the extra 'gpu' is not installed")
    (tmp_path / "open_clip_model.safetensors").write_bytes(b"1")
    (tmp_path / "open_clip_config.json").write_text("{}")
    chosen = choose_engines("captions", ENGINES, EngineConfig(weights=tmp_path, vision=Eyes()))
    assert chosen.engine is not None and chosen.engine.name == "open_clip" and chosen.pinned
    with pytest.raises(Unavailable, match="does not exist"):
        choose_engines("captions", ENGINES, EngineConfig(weights=tmp_path / "gone.bin", vision=Eyes()))


def test_the_vision_model_sees_rgb_and_its_name_and_prompt_are_part_of_what_is_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    eyes = Eyes()
    config = EngineConfig(vision=eyes)
    image = np.zeros((4, 4, 3), np.uint8)
    image[..., 2] = 200  # red, in BGR
    assert vision_door.ENGINE.load(config).caption([image]) == ["Red 200."]
    assert eyes.prompts == [vision_door.PROMPT]
    first = vision_door.find(config).weights
    assert vision_door.find(config).device == vision_door.load(config).device == "network"
    assert first.startswith("eyes-1 prompt-")
    monkeypatch.setattr(vision_door, "PROMPT", "Say it in verse.")
    assert vision_door.find(config).weights != first
    with pytest.raises(Unavailable, match="no vision model is named"):
        vision_door.load(EngineConfig())


# --- what the user says -------------------------------------------------------------------------------------------------


def test_the_vision_model_is_read_from_flags_environment_and_file(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text('vision_model = "from-file"\nvocabulary = "~/labels.txt"')
    settings = load({}, {}, file)
    assert settings.vision_model == "from-file" and settings.vocabulary == Path("~/labels.txt").expanduser()
    assert load({}, {"ANALYZER_AGENT_VISION_MODEL": "from-env"}, file).vision_model == "from-env"
    assert load({"vision_model": "from-flag"}, {"ANALYZER_AGENT_VISION_MODEL": "from-env"}, file).vision_model == "from-flag"


@pytest.mark.parametrize(
    ("said", "asked"),
    [
        ({}, False),
        ({"api_key": "k", "base_url": "http://127.0.0.1:1/v1"}, False),
        ({"vision_model": "m"}, False),
        ({"vision_model": "m", "base_url": "https://api.openai.com/v1"}, False),
        ({"vision_model": "m", "api_key": "k"}, True),
        ({"vision_model": "m", "base_url": "http://127.0.0.1:1/v1"}, True),
        ({"vision_model": "m", "api_key": "k", "offline": True}, False),
        ({"vision_model": "m", "base_url": "https://elsewhere.example/v1", "offline": True}, False),
        ({"vision_model": "m", "base_url": "http://localhost:1/v1", "offline": True}, True),
    ],
)
def test_a_vision_model_is_asked_only_when_it_is_named_and_can_be_reached(said: dict[str, Any], asked: bool) -> None:
    settings = Settings(**said)
    vision = choose_vision(settings)
    assert (vision is not None) is asked
    found = vision_door.find(engine_config("captions", settings))
    assert bool(found.weights) is asked
    told = {finding.name: finding for finding in analyzers(settings)}["captions: vision"]
    assert (told.state == "works") is asked
    if settings.offline and not asked:
        assert "--offline" in (found.missing or "")


def test_a_session_captions_through_the_vision_model_as_a_network_tool(tmp_path: Path) -> None:
    with OpenAIServer() as server:
        for _ in range(4):
            server.says("A harbour , seen from above .")
        settings = Settings(store=tmp_path / "store.db", manager="rules", vision_model="m", base_url=server.url, start_ms=0, end_ms=16_000)
        tools, _ = available_tools(settings)
        assert tools["captions"].spec.resource == "network" and tools["tags" if "tags" in tools else "text"].spec.resource != "network"
        with Session(sample_path(), settings=settings) as session:
            list(session.index_stream(["captions"]))
            (run,) = session.toolbox.reader.merged_notes(session.session_videos[0].video.id, TimeRange(0, 16_000), kinds=["caption"])
        asked = len(server.requests)
        with Session(sample_path(), settings=settings) as session:
            list(session.index_stream(["captions"]))
        assert len(server.requests) == asked, "what was told is not asked again"
    assert run.text == "A harbour, seen from above" and run.span == TimeRange(0, 16_000)
    assert asked == 4, "one request per frame"
    assert all(vision_door.PROMPT in str(request.body) and "data:image/jpeg" in str(request.body) for request in server.requests)


def test_a_vision_model_that_fails_ends_the_question_with_a_way_out(tmp_path: Path) -> None:
    with OpenAIServer() as server:
        url = server.url
    settings = Settings(store=tmp_path / "store.db", manager="rules", vision_model="m", base_url=url)
    with Session(sample_path(), settings=settings) as session, pytest.raises(AgentError) as caught:
        list(session.index_stream(["captions"]))
    assert caught.value.hint


# --- through the real library -------------------------------------------------------------------------------------------


def test_real_captions_of_a_video_are_the_engine_s_own_frame_by_frame(tmp_path: Path) -> None:
    pytest.importorskip("open_clip", reason="the extra 'gpu' is not installed")
    from analyzer_agent.media import open_video

    weights = tiny_clip.make(tmp_path / "coca", tiny_clip.COCA)
    chosen = choose_engines("captions", ENGINES, EngineConfig(weights=weights, device="cpu")).engine
    assert chosen is not None
    with open_video(sample_path()) as video:
        found = look(chosen, video)
        assert video.picture
        at = instants(TimeRange(0, video.duration), 4_000, video.picture)
        frames = list(video.frames(TimeRange(0, video.duration), instants=at, order="bgr"))
    told = {frame.t: tidy(chosen.get().caption([frame.image])[0]) for frame in frames}
    assert {seen.span.start: seen.text for seen in found} == {t: text for t, text in told.items() if text}
    assert len(set(told.values())) > 2

"""Weights for open_clip: where they are found, and how they are told apart."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from analyzer_agent.installing import VISION, install_extra
from analyzer_agent.protocols import EngineConfig
from analyzer_agent.tools.engines import installed, open_clip_files, open_clip_loading
from analyzer_agent.tools.engines import open_clip as door
from analyzer_agent.tools.support.engine_pool import EngineChoice
from analyzer_agent.tools.weights.catalog import PUBLISHED
from tiny_clip import lay

open_clip = pytest.importorskip("open_clip", reason="the extra 'gpu' is not installed")


@pytest.fixture(autouse=True)
def nobodys_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")


def test_published_weights_are_found_in_the_cache_by_revision(tmp_path: Path) -> None:
    found = door.find_coca(EngineConfig())
    assert (found.missing, found.fix) == (
        "no CoCa weights on this machine",
        "analyzer-agent weights pull captions, or --weights captions=FILE",
    )
    hub = tmp_path / "home" / ".cache" / "huggingface" / "hub"
    small = hub / "models--laion--mscoco_finetuned_CoCa-ViT-B-32-laion2B-s13B-b90k"
    lay(small / "snapshots" / "aaaaaaaaaaaaaaaa", "open_clip_pytorch_model.bin")
    lay(small / "snapshots" / "bbbbbbbbbbbbbbbb")
    assert door.find_coca(EngineConfig()).weights == "mscoco_finetuned_CoCa-ViT-B-32-laion2B-s13B-b90k aaaaaaaaaaaa"
    (small / "refs").mkdir()
    (small / "refs" / "main").write_text("bbbbbbbbbbbbbbbb")
    assert door.find_coca(EngineConfig()).weights.endswith(" bbbbbbbbbbbb")
    lay(hub / "models--laion--mscoco_finetuned_CoCa-ViT-L-14-laion2B-s13B-b90k" / "snapshots" / "cc")
    assert "ViT-L-14" in door.find_coca(EngineConfig()).weights, "the best comes first"
    assert "no CLIP weights" in (door.find_clip(EngineConfig()).missing or ""), "captioners are not taken for tags unasked"
    lay(hub / "models--laion--CLIP-ViT-B-32-laion2B-s34B-b79K" / "snapshots" / "dd")
    assert door.find_clip(EngineConfig()).weights == "CLIP-ViT-B-32-laion2B-s34B-b79K dd"


def test_the_weights_folder_comes_before_the_cache_and_may_be_laid_out_like_it(tmp_path: Path) -> None:
    config = EngineConfig(weights_dir=tmp_path / "carried")
    lay(tmp_path / "home/.cache/huggingface/hub/models--laion--CLIP-ViT-B-32-laion2B-s34B-b79K/snapshots/cached")
    assert door.find_clip(config).weights.endswith(" cached")
    lay(tmp_path / "carried/open_clip/models--laion--CLIP-ViT-B-32-laion2B-s34B-b79K/snapshots/carried")
    assert door.find_clip(config).weights.endswith(" carried")
    plain = lay(tmp_path / "carried/open_clip/CLIP-ViT-B-32-laion2B-s34B-b79K")
    first = door.find_clip(config).weights
    assert first.startswith("CLIP-ViT-B-32-laion2B-s34B-b79K ") and "carried" not in first
    lay(plain, content=b"2")
    assert door.find_clip(config).weights != first, "a plain folder is told apart by its content"


def test_own_weights_are_told_apart_by_content_and_configuration(tmp_path: Path) -> None:
    lay(tmp_path, "mine.safetensors", b"1" * 5_000_000)
    config = EngineConfig(weights=tmp_path / "mine.safetensors")
    unknown = door.find_clip(config)
    assert "does not tell which model" in (unknown.missing or "") and "open_clip_config.json" in (unknown.fix or "")
    (tmp_path / open_clip_files.CONFIG).write_text("{}")
    first = door.find_clip(config).weights
    assert first.startswith("mine.safetensors ")
    (tmp_path / "mine.safetensors").write_bytes(b"1" * 4_999_999 + b"2")
    second = door.find_clip(config).weights
    (tmp_path / open_clip_files.CONFIG).write_text("{ }")
    assert len({first, second, door.find_clip(config).weights}) == 3
    assert "does not exist" in (door.find_clip(EngineConfig(weights=tmp_path / "no.bin")).missing or "")
    assert "holds no weights" in (door.find_clip(EngineConfig(weights=tmp_path.parent)).missing or "")


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("ViT-B-32.safetensors", "ViT-B-32"),
        ("mscoco_finetuned_CoCa-ViT-L-14-laion2B-s13B-b90k", "coca_ViT-L-14"),
        ("CLIP-ViT-B-32-laion2B-s34B-b79K", "ViT-B-32"),
        ("vit_l_14_336.bin", "ViT-L-14-336"),
        ("vit-b-320.bin", ""),
        ("something.pt", ""),
    ],
)
def test_the_model_is_told_by_the_name_where_no_configuration_lies_beside(name: str, model: str, tmp_path: Path) -> None:
    assert open_clip_files._model(tmp_path / name, name) == model


def test_pictures_are_prepared_as_published_weights_want_them() -> None:
    def looks(model: str, label: str) -> Any:
        return open_clip_loading._preprocessing(open_clip, open_clip_files.Checkpoint(Path("x"), model, label, ""))

    assert looks("ViT-L-14", "CLIP-ViT-L-14-laion2B-s32B-b82K")["image_mean"] == (0.5, 0.5, 0.5)
    assert looks("ViT-B-32", "CLIP-ViT-B-32-laion2B-s34B-b79K")["image_mean"] == open_clip.OPENAI_DATASET_MEAN
    assert looks("ViT-B-32", "mine") == {"force_quick_gelu": False}
    assert looks("ViT-B-32", "ViT-B-32-openai")["force_quick_gelu"] is True


def test_every_published_captioner_and_clip_is_a_model_that_open_clip_knows() -> None:
    for repository in (weights.source for weights in PUBLISHED if weights.engine == "open_clip"):
        model = open_clip_files._model(Path("x"), repository)
        assert open_clip.get_model_config(model), repository
        hubs = {open_clip.get_pretrained_cfg(model, tag)["hf_hub"] for tag in open_clip.list_pretrained_tags_by_model(model)}
        assert any(repository.casefold() in hub.casefold() for hub in hubs), repository


@pytest.mark.parametrize("package", ["open_clip", "torch"])
def test_a_missing_package_is_named(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installed, "is_installed", lambda name: name != package)
    found = door.find_coca(EngineConfig())
    assert repr(package) in (found.missing or "") and found.fix == install_extra(VISION)
    choice = EngineChoice((), {"clip": found})
    assert choice.reason() == f"clip: the package {package!r} is not installed (extra vision)", (
        "models and files name no folder of this machine"
    )
    assert install_extra(VISION) in choice.reason(commands=True)


def test_finding_takes_milliseconds_and_imports_nothing(coca_weights: Path, tmp_path: Path) -> None:
    code = """
        import sys, time
        from pathlib import Path
        from analyzer_agent.protocols import EngineConfig
        from analyzer_agent.tools.engines import open_clip as door
        door.find_clip(EngineConfig())
        began = time.process_time()
        assert door.find_coca(EngineConfig(weights=Path(sys.argv[1]))).weights and door.find_clip(EngineConfig()).missing
        assert time.process_time() - began < 0.25
        assert not {"torch", "open_clip", "PIL", "huggingface_hub"} & set(sys.modules)
    """
    run = [sys.executable, "-c", textwrap.dedent(code), str(coca_weights)]
    done = subprocess.run(run, env=os.environ | {"HOME": str(tmp_path)}, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")

"""Captions: whole sentences against `generate` of open_clip.

Nothing is downloaded: a published architecture gets random weights. Their captions are nonsense and
nearly always of maximum length, so both ways compute the same number of tokens.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analyzer_agent.media import open_video
from analyzer_agent.protocols import EngineConfig
from analyzer_agent.timeline import TimeRange
from analyzer_agent.tools.engines import open_clip as door
from benchmarks.made import made_once
from benchmarks.speed.clips import clip
from benchmarks.speed.measure import Figure, Work, speedup

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_SECONDS, _FRAMES = 60, 8
_MODEL = "coca_ViT-B-32"
_WHAT = f"captions of {_FRAMES} frames, {_MODEL}"
_GREEDY = {"generation_type": "top_k", "top_k": 1}
_WANTED = "4.56"


def figures(work: Work) -> Iterator[Figure]:
    """Yield the speed of captioning."""
    against = {"open_clip's generate with its defaults (beam search)": (5.0, {}), "open_clip's generate, top_k=1": (1.0, _GREEDY)}
    if missing := _missing():
        yield from (Figure(_WHAT, other, target=target, why=missing) for other, (target, _) in against.items())
        return
    images = _images(clip(work.folder, _SECONDS))
    engine = door.load_coca(EngineConfig(weights=random_coca(work.folder), device="cpu"))
    same = _same_words(engine, images)
    for other, (target, how) in against.items():
        often = work if how else replace(work, runs=1)  # beam search takes minutes
        plain = partial(_generate, engine, images, **how)
        yield speedup(often, _WHAT, other, partial(engine.caption, images), plain, target, same if how else "")


def _images(file: Path) -> "list[NDArray[np.uint8]]":
    instants = range(0, _SECONDS * 1_000, _SECONDS * 1_000 // _FRAMES)
    with open_video(file) as video:
        return [frame.image for frame in video.frames(TimeRange(0, video.duration), instants=instants, order="bgr")]


def _missing() -> str:
    """Return why `generate` of open_clip cannot run here, or ""."""
    if find_spec("open_clip") is None:
        return "pip install 'analyzer-agent[gpu]'"
    try:
        found = version("transformers")
    except PackageNotFoundError:
        found = "none"
    how = f"pip install 'transformers=={_WANTED}.*' in an environment apart"
    return "" if found.startswith(f"{_WANTED}.") else f"`generate` needs transformers {_WANTED}, and here is {found}: {how}"


def _generate(engine: door.CoCa, images: "Sequence[NDArray[np.uint8]]", **how: Any) -> Any:
    return engine._model.generate(engine._pixels([engine.prepare(image) for image in images]), **how)


def _same_words(engine: door.CoCa, images: "Sequence[NDArray[np.uint8]]") -> str:
    """Check that the captions are equal, except for the last token, which `generate` replaces."""
    rows = _generate(engine, images, **_GREEDY).tolist()
    plain = [engine._words(row[: door.MAX_CAPTION_TOKENS - 1]).rstrip(" \N{REPLACEMENT CHARACTER}") for row in rows]
    if not all(ours.startswith(words) for ours, words in zip(engine.caption(images), plain, strict=True)):
        raise AssertionError("captions are not those of open_clip's generate")
    return f"{len(plain)} sentences"


def random_coca(folder: Path) -> Path:
    """Return a folder with random weights of the architecture, created on first use."""
    return made_once(folder / f"random-{_MODEL}", _save_random)


def _save_random(folder: Path) -> None:
    import open_clip
    import torch
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    model = open_clip.create_model(_MODEL, load_weights=False)
    torch.manual_seed(1)
    for label, value in model.named_parameters():
        if value.ndim > 1:
            torch.nn.init.normal_(value, std=0.5 if "embedding" in label else value.shape[-1] ** -0.5)
        # One-dimensional weights belong to norms and stay 1.
        elif value.ndim == 1 and not label.endswith(".weight"):
            torch.nn.init.normal_(value, std=0.2)
    torch.nn.init.constant_(model.logit_scale, 4.6052)  # log(100), typical after training
    save_file({label: value.contiguous() for label, value in model.state_dict().items()}, folder / "open_clip_model.safetensors")
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": open_clip.get_model_config(_MODEL), "preprocess_cfg": {}}))

"""Captions: whole sentences against open_clip's own `generate`; labels of frames, and how much of them is preparing pictures.

No weights are downloaded: the published architectures are filled with random ones. These say nonsense, and nearly always up to the
limit, at the price at which trained ones speak.
"""

import json
from collections.abc import Iterator, Sequence
from functools import partial
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analyzer_agent.protocols import EngineConfig
from analyzer_agent.tools.engines import open_clip as door
from benchmarks.speed.clips import RATE, pictures
from benchmarks.speed.measure import Figure, Work, paired, ratios, timed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_FRAMES = 8
_COCA, _CLIP = "coca_ViT-B-32", "ViT-B-32"
_WHAT = f"captions of {_FRAMES} frames, {_COCA}"
_GREEDY = {"generation_type": "top_k", "top_k": 1}
_WANTED = "4.56."


def figures(work: Work) -> Iterator[Figure]:
    """Yield what captions and tags come to."""
    if find_spec("open_clip") is None:
        yield Figure(_WHAT, "open_clip", why="pip install 'analyzer-agent[gpu]'")
        return
    images = [picture[..., ::-1] for picture in islice(pictures(_FRAMES * 6 * RATE, (1280, 720)), 0, None, 6 * RATE)]
    yield from _captions(work, images)
    yield _preparing(work, images)


def _captions(work: Work, images: "Sequence[NDArray[np.uint8]]") -> Iterator[Figure]:
    against = {"open_clip's generate with its defaults (beam search)": (5.0, {}), "open_clip's generate, top_k=1": (1.0, _GREEDY)}
    if missing := _missing():
        yield from (Figure(_WHAT, other, target=target, why=missing) for other, (target, _) in against.items())
        return
    engine = door.load_coca(EngineConfig(weights=_random(work.folder, _COCA), device="cpu"))
    same = _same_tokens(engine, images)
    for other, (target, how) in against.items():
        runs = 1 if not how else work.runs  # beam search takes minutes
        pairs = paired(partial(engine.caption, images), partial(_generate, engine, images, **how), runs)
        yield Figure(_WHAT, other, ratios(pairs), target=target, same=same if how else "", seconds=pairs)


def _missing() -> str:
    """Return why open_clip's `generate` cannot run here, or ""."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        found = version("transformers")
    except PackageNotFoundError:
        found = "none"
    return (
        ""
        if found.startswith(_WANTED)
        else f"`generate` needs transformers {_WANTED}*, here is {found}; install it in an environment apart"
    )


def _generate(engine: door.CoCa, images: "Sequence[NDArray[np.uint8]]", **how: Any) -> Any:
    return engine._model.generate(engine._pixels(images), **how)


def _same_tokens(engine: door.CoCa, images: "Sequence[NDArray[np.uint8]]") -> str:
    """Compare the sentences, and say so. `generate` puts an end in the place of the last token."""
    rows = _generate(engine, images, **_GREEDY).tolist()
    plain = [engine._words(row[: door.LONGEST - 1]).strip() for row in rows]
    if not all(ours.startswith(words) for ours, words in zip(engine.caption(images), plain, strict=True)):
        raise AssertionError("captions are not those of open_clip's generate")
    return f"{len(plain)} sentences, {sum(map(len, rows))} tokens"


def _preparing(work: Work, images: "Sequence[NDArray[np.uint8]]") -> Figure:
    """Return how much of looking at frames is preparing them, which can be done while others are looked at."""
    engine = door.load_clip(EngineConfig(weights=_random(work.folder, _CLIP), device="cpu"))
    prepared = [engine.prepare(image) for image in images]
    engine.image_features(prepared)
    shares = []
    for _ in range(work.runs):
        whole = timed(lambda: engine.image_features(images))
        shares.append(100 * timed(lambda: [engine.prepare(image) for image in images]) / whole)
    return Figure(f"preparing 720p frames, of all of {_CLIP} on a CPU", "", shares, unit="%", target=100, at_most=True)


def _random(folder: Path, name: str) -> Path:
    """Return a folder with random weights of a published architecture, made when it is not there yet."""
    import open_clip
    import torch
    from safetensors.torch import save_file

    found = folder / f"random-{name}"
    if (found / "open_clip_config.json").exists():
        return found
    found.mkdir(parents=True, exist_ok=True)
    model = open_clip.create_model(name, load_weights=False)
    torch.manual_seed(1)
    for label, value in model.named_parameters():
        if value.ndim > 1:
            torch.nn.init.normal_(value, std=0.5 if "embedding" in label else value.shape[-1] ** -0.5)
        elif value.ndim == 1 and not label.endswith(".weight"):  # weights of one dimension are those of norms, which stay 1
            torch.nn.init.normal_(value, std=0.2)
    torch.nn.init.constant_(model.logit_scale, 4.6052)  # 100, where trained ones end up
    save_file({label: value.contiguous() for label, value in model.state_dict().items()}, found / "open_clip_model.safetensors")
    (found / "open_clip_config.json").write_text(json.dumps({"model_cfg": open_clip.get_model_config(name), "preprocess_cfg": {}}))
    return found

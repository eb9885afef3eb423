"""Locate open_clip weights: a user's file or folder, the weights folder, the Hugging Face cache.

Imports no library and uses no network; reads only a few blocks of a user's file for its digest.
"""

import hashlib
import re
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import NamedTuple

from analyzer_agent.protocols import Availability, EngineConfig
from analyzer_agent.tools.engines.huggingface import snapshots
from analyzer_agent.tools.engines.installed import package_folder
from analyzer_agent.tools.weights.files import sampled_blocks

CONFIG = "open_clip_config.json"
"""Model configuration (towers, preprocessing) that publishers put next to the weights."""

_PUBLISHED = ("open_clip_model.safetensors", "open_clip_pytorch_model.safetensors", "open_clip_pytorch_model.bin")
_WEIGHT_PATTERNS = ("*.safetensors", "*.bin", "*.pt", "*.pth")


class Checkpoint(NamedTuple):
    """Weights on disk.

    `model` is open_clip's name of the architecture, "" if a `CONFIG` is next to the weights;
    `label` the publisher's name; `weights` the label with a revision or, for a user's file, digest.
    """

    path: Path
    model: str
    label: str
    weights: str


def locate(config: EngineConfig, repositories: Sequence[str], noun: str, fix: str) -> Checkpoint | Availability:
    """Return the weights to use, or the reason for having none.

    A user's weights come first, then the first of `repositories` that is on disk.

    Args:
        config: the engine's configuration.
        repositories: published weights ("org/name"), best first; searched in
            `weights_dir/open_clip` (plain folders or the cache layout) and the Hugging Face cache.
        noun: noun for the weights in the message.
        fix: command that obtains the weights.
    """
    if config.weights is not None:
        return _user_weights(config.weights, fix)
    own = [config.weights_dir / "open_clip"] if config.weights_dir else []
    for repository, root in product(repositories, [*own, config.caches.hub]):
        label = repository.partition("/")[2]
        if path := _published(root / label):
            return Checkpoint(path, _model(path, label), label, f"{label} {_digest(path)}")
        if path := next((p for at in snapshots(root / f"models--{repository.replace('/', '--')}") if (p := _published(at))), None):
            return Checkpoint(path, _model(path, label), label, f"{label} {path.parent.name[:12]}")
    return Availability(missing=f"no {noun} weights on this machine", fix=fix)


def _user_weights(wanted: Path, fix: str) -> Checkpoint | Availability:
    path = wanted
    if wanted.is_dir():
        path = _published(wanted) or next((found for form in _WEIGHT_PATTERNS for found in sorted(wanted.glob(form))), wanted)
    if not path.is_file():
        return Availability(missing=f"{str(wanted)!r} {'holds no weights' if wanted.is_dir() else 'does not exist'}", fix=fix)
    label = wanted.absolute().name
    model = _model(path, label)
    if not model and not (path.parent / CONFIG).is_file():
        what = f"{str(wanted)!r} does not tell which model it is for"
        return Availability(missing=what, fix=f"put its {CONFIG} beside it, or name it after the model: ViT-B-32.safetensors")
    return Checkpoint(path, model, label, f"{label} {_digest(path)}")


def _published(folder: Path) -> Path | None:
    return next((folder / name for name in _PUBLISHED if (folder / name).is_file()), None)


def _model(path: Path, label: str) -> str:
    """Return the longest open_clip model name in the label, or "" if none or with a `CONFIG`."""
    if (path.parent / CONFIG).is_file():
        return ""
    known = (file.stem for file in Path(package_folder("open_clip") or "").glob("model_configs/*.json"))
    return max((name for name in known if f"-{normalized_name(name)}-" in f"-{normalized_name(label)}-"), key=len, default="")


def normalized_name(name: str) -> str:
    """Lower-case a name and join its parts by "-": file and model names differ in both."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def _digest(path: Path) -> str:
    """Hash a file's size and 32 evenly spaced blocks, and the `CONFIG` next to it."""
    digest = hashlib.blake2b(str(path.stat().st_size).encode(), digest_size=6)
    for block in sampled_blocks([path], 32):
        digest.update(block)
    beside = path.parent / CONFIG
    digest.update(beside.read_bytes() if beside.is_file() else b"")
    return digest.hexdigest()

"""Where open_clip's weights lie: a user's own file or folder, the weights folder, the Hugging Face cache.

Looks at names and files only: imports no library, touches no network, reads a few blocks of a user's file to tell it from others.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import NamedTuple

from analyzer_agent.protocols import Availability, EngineConfig

CONFIG = "open_clip_config.json"
"""What a model is (its towers, how pictures are prepared); publishers put it beside the weights."""

_PUBLISHED = ("open_clip_model.safetensors", "open_clip_pytorch_model.safetensors", "open_clip_pytorch_model.bin")
_WEIGHT_PATTERNS = ("*.safetensors", "*.bin", "*.pt", "*.pth")
_BLOCK, _BLOCKS = 1 << 16, 32


class Checkpoint(NamedTuple):
    """Weights on disk. `model` is the name by which open_clip knows what they are for, "" where a `CONFIG` lies beside them.

    `label` is what their publisher calls them; `weights` names them with their revision, or a digest for a user's own.
    """

    path: Path
    model: str
    label: str
    weights: str


def locate(config: EngineConfig, repositories: Sequence[str], noun: str, fix: str) -> Checkpoint | Availability:
    """Return the weights to use, or what is missing: the user's own, else the first of `repositories` ("org/name") that is here.

    Args:
        config: what the user said.
        repositories: published weights, best first; looked for in `weights_dir/open_clip` (plain folders by name, or laid out like the
            cache) and in the Hugging Face cache.
        noun: what the weights are, for the message.
        fix: the line that changes that they are missing.
    """
    if config.weights is not None:
        return _user_weights(config.weights, fix)
    own = [config.weights_dir / "open_clip"] if config.weights_dir else []
    for repository, root in product(repositories, [*own, config.caches.hub]):
        label = repository.partition("/")[2]
        if path := _published(root / label):
            return Checkpoint(path, _model(path, label), label, f"{label} {_digest(path)}")
        if path := next((p for at in _snapshots(root / f"models--{repository.replace('/', '--')}") if (p := _published(at))), None):
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


def _snapshots(folder: Path) -> Iterator[Path]:
    """Yield the snapshot that `main` points to, then the others."""
    main = folder / "refs" / "main"
    if main.is_file():
        yield folder / "snapshots" / main.read_text(encoding="utf-8").strip()
    yield from sorted(folder.glob("snapshots/*"))


def _model(path: Path, label: str) -> str:
    """Return the longest of open_clip's model names that the label holds; "" where a `CONFIG` says more, or none is held."""
    spec = find_spec("open_clip")
    roots = (spec.submodule_search_locations if spec else None) or []
    if (path.parent / CONFIG).is_file():
        return ""
    known = (file.stem for root in roots for file in Path(root).glob("model_configs/*.json"))
    return max((name for name in known if f"-{normalized_name(name)}-" in f"-{normalized_name(label)}-"), key=len, default="")


def normalized_name(name: str) -> str:
    """Return a name in lower case with only "-" between its parts, as file names and model names differ in both."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def _digest(path: Path) -> str:
    """Return a digest of a file's size and evenly spaced blocks, first and last included, and of the `CONFIG` beside it."""
    size = path.stat().st_size
    digest = hashlib.blake2b(str(size).encode(), digest_size=6)
    with path.open("rb") as stream:
        for place in range(_BLOCKS):
            stream.seek(max(size - _BLOCK, 0) * place // (_BLOCKS - 1))
            digest.update(stream.read(_BLOCK))
    beside = path.parent / CONFIG
    digest.update(beside.read_bytes() if beside.is_file() else b"")
    return digest.hexdigest()

"""Where detector weights lie: a user's own, the weights folder, the folder that ultralytics itself is set up to use.

Looks at names and files only: imports no library, touches no network.
"""

import contextlib
import hashlib
import json
from collections.abc import Iterable
from itertools import product
from pathlib import Path

from analyzer_agent.errors import Unavailable
from analyzer_agent.protocols import EngineConfig

_MODEL_NAMES = tuple(
    f"{family}{size}{kind}"
    for families, kind in ((("yolo26", "yolo11", "yolov8"), ""), (("yolov8",), "-worldv2"))
    for family, size in product(families, "nsmlx")
)
_MODEL_SUFFIXES = (".pt", ".onnx", "_openvino_model", "_int8_openvino_model", "_int8.onnx")
ENCODERS = {"clip": "clip/ViT-B-32.pt", "mobileclip": "mobileclip_blt.ts", "mobileclip2": "mobileclip2_b.ts"}
"""The encoders of words, and where below a folder of weights ultralytics keeps them."""
_BLOCK, _BLOCKS = 1 << 16, 32


def folders(config: EngineConfig) -> list[Path]:
    """Return where weights may lie: the weights folder, and the one that ultralytics itself is set up to use."""
    found = [config.weights_dir] if config.weights_dir else []
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):  # the file is not ours: whatever is wrong with it, look elsewhere
        own = Path(json.loads(config.caches.ultralytics.read_text(encoding="utf-8"))["weights_dir"])
        found += [own] if own.is_absolute() else []
    return found


def locate(config: EngineConfig) -> Path | None:
    """Return the weights to use, or None where there are none."""
    candidates = (folder / f"{stem}{form}" for folder, stem, form in product(folders(config), _MODEL_NAMES, _MODEL_SUFFIXES))
    return config.weights or next((path for path in candidates if path.exists()), None)


def encoder(kind: str, weights: Path, config: EngineConfig) -> Path:
    """Return where the encoder of words lies: beside the weights that need it, or in one of the folders for weights.

    Raises:
        Unavailable: it is nowhere.
    """
    places = [folder / name for folder in (weights.parent, *folders(config)) for name in (ENCODERS[kind], Path(ENCODERS[kind]).name)]
    for place in places:
        if place.is_file() and "'" not in str(place):  # ultralytics takes quotes out of a path, and would fetch what is left
            return place
    missing = f"Detecting objects by name: {weights.name!r} needs {ENCODERS[kind]!r}, the encoder of words."
    raise Unavailable(missing, hint=f"Put it at {places[0]}")


def files(path: Path) -> list[Path]:
    """Return the files that weights consist of: one, or all of a folder."""
    return sorted(part for part in path.rglob("*") if part.is_file()) if path.is_dir() else [path]


def weights_digest(path: Path) -> str:
    """Return a digest of a file, or of all files of a folder: sizes and evenly spaced blocks, first and last included."""
    digest = hashlib.sha256()
    for file in files(path):
        size = file.stat().st_size
        digest.update(f"{file.name if path.is_dir() else ''}:{size};".encode())
        with file.open("rb") as stream:
            for start in _block_offsets(size):
                stream.seek(start)
                digest.update(stream.read(_BLOCK))
    return digest.hexdigest()[:16]


def _block_offsets(size: int) -> Iterable[int]:
    if size <= _BLOCK * _BLOCKS:
        return range(0, size, _BLOCK)
    return (place * (size - _BLOCK) // (_BLOCKS - 1) for place in range(_BLOCKS))

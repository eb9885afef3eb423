"""Locate Whisper weights in CTranslate2 form: a user's, the weights folder's, the hub cache's.

Imports no library and uses no network; reads only a few blocks of plain folders for their digest.
"""

from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

from analyzer_agent.protocols import Availability, EngineConfig
from analyzer_agent.tools.engines.huggingface import snapshots
from analyzer_agent.tools.weights.catalog import ALIASES, published, usual_size
from analyzer_agent.tools.weights.files import sampled_blocks

SIZES = tuple(weights.name for weights in published("speech"))
"""Model names, best first: by size, multilingual models before English ones."""

_REQUIRED_FILES = ("model.bin", "tokenizer.json")
INSTALL_HINT = "analyzer-agent weights pull speech, or --weights speech=FOLDER, a Whisper model in CTranslate2 form"


class Model(NamedTuple):
    """Whisper weights on disk; `weights` is their name with a revision or digest."""

    name: str
    folder: Path
    weights: str


def folders(config: EngineConfig) -> list[Path]:
    """Return the folders to search: the weights folder and the hub's cache."""
    own = [config.weights_dir, config.weights_dir / "speech"] if config.weights_dir else []
    return [*own, config.caches.hub]


def models(roots: Sequence[Path]) -> list[Model]:
    """Return the Whisper models in `roots`, best first.

    Finds the Hugging Face cache layout (`models--ORG--faster-whisper-NAME/snapshots/REVISION/`)
    and plain folders (`faster-whisper-NAME/` or `NAME/`).
    """
    found: list[Model] = []
    for root in roots:
        for folder in sorted(root.iterdir()) if root.is_dir() else ():
            name = name_of(folder.name)
            if name not in SIZES:
                continue
            if _is_complete(folder):
                found.append(Model(name, folder, f"faster-whisper-{name} {_digest(folder)}"))
            elif snapshot := next(filter(_is_complete, snapshots(folder)), None):
                found.append(Model(name, snapshot, f"faster-whisper-{name} {snapshot.name[:12]}"))
    return sorted(found, key=lambda model: SIZES.index(model.name))


def locate(config: EngineConfig) -> Model | Availability:
    """Return the weights to use, or the reason for having none.

    A user's weights come first, then the best ones in `weights_dir` and the hub's cache.
    """
    wanted = config.weights
    if wanted is not None and wanted.is_dir():
        if absent := [name for name in _REQUIRED_FILES if not (wanted / name).is_file()]:
            return Availability(missing=f"{str(wanted)!r} has no {' and no '.join(absent)}", fix="--weights speech=FOLDER")
        return Model(wanted.name, wanted, f"{wanted.resolve().name} {_digest(wanted)}")
    found = models(folders(config))
    if wanted is None:
        return (
            found[0] if found else Availability(missing="no Whisper weights on this machine", fix=INSTALL_HINT, size=usual_size("speech"))
        )
    name = ALIASES.get(str(wanted), str(wanted))
    if name not in SIZES:
        return Availability(missing=f"{str(wanted)!r} is neither a folder nor one of {', '.join(SIZES)}", fix="--weights speech=FOLDER")
    match = next((model for model in found if model.name == name), None)
    return match or Availability(missing=f"no weights of Whisper {name!r} on this machine", fix=INSTALL_HINT)


def name_of(folder: str) -> str:
    """Return the model for a folder name: `small` for `models--Systran--faster-whisper-small`."""
    name = folder.split("--")[-1].removeprefix("faster-").replace("whisper-", "").removesuffix("-ct2")
    return ALIASES.get(name, name)


def _is_complete(folder: Path) -> bool:
    return all((folder / name).is_file() for name in _REQUIRED_FILES)


def _digest(folder: Path) -> str:
    """Hash the size and 16 evenly spaced blocks of model.bin."""
    path = folder / "model.bin"
    digest = blake2b(str(path.stat().st_size).encode(), digest_size=6)
    for block in sampled_blocks(path, 16):
        digest.update(block)
    return digest.hexdigest()

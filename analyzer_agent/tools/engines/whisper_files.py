"""Locate Whisper weights in CTranslate2 form: a user's, the weights folder's, the hub cache's, installed packages'.

Imports no library and no package that carries weights, and uses no network; reads only a few blocks
of a model for its digest.
"""

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

from analyzer_agent.errors import Unavailable
from analyzer_agent.installing import pip_install
from analyzer_agent.protocols import Availability, EngineConfig
from analyzer_agent.tools.engines.huggingface import snapshots
from analyzer_agent.tools.engines.installed import package_folder
from analyzer_agent.tools.weights.catalog import ALIASES, PACKAGED, Packaged, published, usual_size
from analyzer_agent.tools.weights.files import Digest, sampled_blocks

SIZES = tuple(weights.name for weights in published("speech"))
"""Model names, best first: by size, multilingual models before English ones."""

_REQUIRED_FILES = ("model.bin", "tokenizer.json")
INSTALL_HINT = "analyzer-agent weights pull speech, or --weights speech=FOLDER, a Whisper model in CTranslate2 form"


class Model(NamedTuple):
    """Whisper weights on disk; `weights` is their name with a revision or digest.

    `parts` are the files that make up model.bin, in order: several where packages carry it in parts.
    `packaged` are the files of the packages, which are verified; none where a library reads the folder.
    """

    name: str
    folder: Path
    weights: str
    parts: tuple[Path, ...]
    packaged: tuple[Packaged, ...] = ()

    @property
    def size(self) -> int:
        """The size of model.bin in bytes."""
        return sum(path.stat().st_size for path in self.parts)

    def read(self) -> dict[str, bytes] | None:
        """Return the content of each file where packages carry the weights, or None where a library reads the folder.

        Raises:
            Unavailable: a file is not the published one.
        """
        return _read(self.packaged) if self.packaged else None


def folders(config: EngineConfig) -> list[Path]:
    """Return the folders to search: the weights folder and the hub's cache."""
    own = [config.weights_dir, config.weights_dir / "speech"] if config.weights_dir else []
    return [*own, config.caches.hub]


def models(roots: Sequence[Path], packages: bool = False) -> list[Model]:
    """Return the Whisper models in `roots` and, if asked for, in installed packages, best first.

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
                found.append(_model(name, folder, folder / "model.bin"))
            elif snapshot := next(filter(_is_complete, snapshots(folder)), None):
                found.append(Model(name, snapshot, f"faster-whisper-{name} {snapshot.name[:12]}", (snapshot / "model.bin",)))
    found += _installed() if packages else ()
    return sorted(found, key=lambda model: SIZES.index(model.name))


def locate(config: EngineConfig) -> Model | Availability:
    """Return the weights to use, or the reason for having none.

    A user's weights come first, then the best ones in `weights_dir` and the hub's cache.
    """
    wanted = config.weights
    if wanted is not None and wanted.is_dir():
        if absent := [name for name in _REQUIRED_FILES if not (wanted / name).is_file()]:
            return Availability(missing=f"{str(wanted)!r} has no {' and no '.join(absent)}", fix="--weights speech=FOLDER")
        return Model(wanted.name, wanted, f"{wanted.resolve().name} {_digest([file := wanted / 'model.bin'])}", (file,))
    found = models(folders(config), config.caches.packages)
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


def _installed() -> Iterator[Model]:
    """Yield the published weights that installed packages carry whole."""
    for (analyzer, name), files in PACKAGED.items():
        found = [_parts(file) for file in files] if analyzer == "speech" else []
        if found and all(found):
            yield _model(name, found[-1][0].parent, *found[-1])._replace(packaged=files)


def _parts(file: Packaged) -> tuple[Path, ...]:
    """Return where installed packages have the parts of a file, or nothing unless they have its size."""
    packages = [(package_folder(top), rest) for _, path in file.parts for top, _, rest in [path.partition("/")]]
    parts = tuple(folder / rest for folder, rest in packages if folder)
    there = len(parts) == len(file.parts) and all(part.is_file() for part in parts)
    return parts if there and sum(part.stat().st_size for part in parts) == file.size else ()


def _read(files: Sequence[Packaged]) -> dict[str, bytes]:
    read: dict[str, bytes] = {}
    for file in files:
        read[file.name] = b"".join(part.read_bytes() for part in _parts(file))
        if not Digest("sha256", file.sha256).matches(read[file.name]):
            names = [requirement for requirement, _ in file.parts]
            told = f"The {file.name} in {' and '.join(names)} does not have the sha256 sum that its publisher gives."
            raise Unavailable(told, hint=pip_install("--force-reinstall", *names))
    return read


def _model(name: str, folder: Path, *parts: Path) -> Model:
    return Model(name, folder, f"faster-whisper-{name} {_digest(parts)}", parts)


def _digest(parts: Sequence[Path]) -> str:
    """Hash the size and 16 evenly spaced blocks of model.bin."""
    digest = blake2b(str(sum(path.stat().st_size for path in parts)).encode(), digest_size=6)
    for block in sampled_blocks(parts, 16):
        digest.update(block)
    return digest.hexdigest()

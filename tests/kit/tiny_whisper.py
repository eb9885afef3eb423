"""Makes a tiny, randomly initialised Whisper that the real loader accepts: CTranslate2 weights and a tokenizer, nothing downloaded.

It hears nonsense, but the same nonsense for the same sound.
"""

from functools import cache
from pathlib import Path
from shutil import copytree
from tempfile import mkdtemp

from benchmarks.speed import whispers

_SIZE = whispers.Size(layers=1, width=16, heads=2, inner=32, aligning=((0, 0),))


def make(folder: Path, seed: int = 0, stop: float = 8.0) -> Path:
    """Write model.bin, config.json, vocabulary.json and tokenizer.json; `stop` is how readily it ends a sentence."""
    return whispers.make(folder, _SIZE, seed=seed, stop=stop)


def install(home: Path, name: str = "tiny") -> None:
    """Put such weights under a published name where the user whose folders lie in `home` has weights; silence and tones give no words."""
    copytree(made(), home / "xdg_data_home" / "analyzer-agent" / "weights" / "speech" / f"faster-whisper-{name}")


@cache
def made() -> Path:
    """Return a folder with such weights, made once."""
    return make(Path(mkdtemp(prefix="tiny-whisper-", dir=Path.home())) / "tiny")

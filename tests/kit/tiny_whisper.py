"""Makes a tiny, randomly initialised Whisper that the real loader accepts: CTranslate2 weights and a tokenizer, nothing downloaded.

It hears nonsense, but the same nonsense for the same sound.
"""

from pathlib import Path

from benchmarks.speed import whispers

_SIZE = whispers.Size(layers=1, width=16, heads=2, inner=32, aligning=((0, 0),))


def make(folder: Path, seed: int = 0, stop: float = 8.0) -> Path:
    """Write model.bin, config.json, vocabulary.json and tokenizer.json; `stop` is how readily it ends a sentence."""
    return whispers.make(folder, _SIZE, seed=seed, stop=stop)

"""pocketsphinx: a small English recognizer whose model ships in its wheel.

Much weaker than Whisper, hence *uncertain*: a fallback until better weights are installed.
Stretches of voice are decoded one at a time.
"""

import importlib.metadata
import re
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analyzer_agent.errors import require
from analyzer_agent.installing import pip_install
from analyzer_agent.protocols import Availability, EngineConfig, EngineSpec
from analyzer_agent.tools.engines.faster_whisper import Silero, find_silero
from analyzer_agent.tools.engines.installed import missing_package, package_folder
from analyzer_agent.tools.languages import code_of

_RATE = 16_000
_MIN_SILENCE_MS, _VOICE_PAD_MS = 700, 250
"""Minimum silence between stretches of voice, and their padding, in ms.

Measured on two clips of 53 words: 9 wrong, as with 2 s; with 0.5 s 10, with 0.3 s 12 to 14, and 10
with whole clips.
"""

_FILLER = re.compile(r"[<\[+]")
_VARIANT = re.compile(r"\(\d+\)$")


class Pocketsphinx:
    """American English recognizer through `pocketsphinx.Decoder`; `Segment.prob` is a posterior."""

    device = "cpu"
    languages: Sequence[str] = ("en",)
    takes_hotwords = False

    def __init__(self, silero: Silero) -> None:
        library: Any = require("pocketsphinx", "", "Speech recognition")
        self._decoder = library.Decoder(samprate=_RATE, loglevel="FATAL")
        self._frame = 1000 // self._decoder.config["frate"]
        self._silero = silero
        self._lock = threading.Lock()

    def windows(self, samples: NDArray[np.float32]) -> list[list[tuple[int, int]]]:
        """Return each stretch of voice as a window, in ms."""
        return [[stretch] for stretch in self._silero.voiced(samples, _MIN_SILENCE_MS, _VOICE_PAD_MS)]

    def language(self, samples: NDArray[np.float32]) -> tuple[str, float]:
        return "en", 1.0

    def words(self, samples: NDArray[np.float32], language: str, hotwords: str) -> list[tuple[str, int, int, float]]:
        """Transcribe a window without fillers and noise; language and hotwords are ignored."""
        pcm = (np.clip(samples, -1.0, 1.0) * 32767).astype(np.int16)
        with self._lock:
            # Otherwise the noise filter would carry its state over from the previous stretch.
            self._decoder.reinit_feat()
            self._decoder.start_utt()
            self._decoder.process_raw(pcm.tobytes(), full_utt=True)
            self._decoder.end_utt()
            # The decoder owns the segments' memory, so read them before the next utterance.
            found = [(s.word, s.start_frame, s.end_frame + 1, min(float(s.prob), 1.0)) for s in self._decoder.seg() or ()]
        return [
            (" " + _VARIANT.sub("", word), start * self._frame, end * self._frame, prob)
            for word, start, end, prob in found
            if not _FILLER.match(word)
        ]


def find(config: EngineConfig) -> Availability:
    """Check whether pocketsphinx can run here, without importing it."""
    if missing := missing_package("pocketsphinx"):
        return missing
    if not Path(package_folder("pocketsphinx") or "", "model", "en-us").is_dir():
        return Availability(missing="pocketsphinx is installed without its model", fix=pip_install("--force-reinstall", "pocketsphinx"))
    silero = find_silero(config)
    if silero.missing:
        return silero
    return Availability(weights=f"en-us (pocketsphinx {importlib.metadata.version('pocketsphinx')})")


def unsupported_reason(config: EngineConfig, options: Mapping[str, Any]) -> str | None:
    """Return why the language or the hotwords of `options` are not supported, or None."""
    if (language := code_of(options.get("language", "auto"))) not in ("auto", "en"):
        return f"knows English alone, not {language!r}"
    return "cannot use hotwords" if options.get("hotwords") else None


def load(config: EngineConfig) -> Pocketsphinx:
    """Load the decoder with the model from its wheel, and the voice detector."""
    return Pocketsphinx(Silero())


ENGINE = EngineSpec(
    name="pocketsphinx",
    tier=1,
    find=find,
    load=load,
    unsupported_reason=unsupported_reason,
    uncertain=True,
)

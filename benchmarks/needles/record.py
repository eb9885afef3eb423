"""Record the spoken needles with the `flite` command: `python -m benchmarks.needles.record`.

Rejects a sentence if Whisper mishears its key word; tiny.en will do: what a small model understands,
any larger one can be asked about.
"""

import json
import re
import subprocess
import tempfile
import wave
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from analyzer_agent.protocols import EngineConfig
from analyzer_agent.tools.engines import faster_whisper
from analyzer_agent.tools.support.transcriber import sound
from benchmarks.needles.stock import SENTENCES, TOPICS, VOICES
from benchmarks.needles.voices import FOLDER, TRUTH, file_of, lengths, recording

_RATE = 16_000
_FRAME = 320
"""Samples of an Opus frame of 20 ms."""
_BIT_RATE = 32_000


def main() -> None:
    """Speak, encode and verify all sentences, and write the truth file."""
    engine = faster_whisper.load_whisper(EngineConfig(weights=Path("tiny.en")))
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.glob("*.ogg"):
        old.unlink()
    rows: list[dict[str, Any]] = []
    for sentence in SENTENCES:
        voice = next((voice for begin, voice in VOICES.items() if sentence.startswith(begin)), "rms")
        samples = _spoken(voice, sentence)
        _write(file_of(sentence), samples)
        rows.append({"text": sentence, "voice": voice, "ms": len(samples) * 1000 // _RATE})
    TRUTH.write_text(json.dumps(rows), encoding="utf-8")
    lengths.cache_clear()
    for row in rows:
        silence = np.zeros(_RATE, np.float32)
        samples = np.concatenate([silence, recording(row["text"], _RATE), silence])
        heard = [engine.words(sound(samples, window), "en", "") for window in engine.windows(samples)]
        row["heard"] = "".join(word for words in heard for word, *_ in words).strip()
    if misheard := [f"{row['text']!r} as {row['heard']!r}" for row in rows if _key_word(row["text"]) not in row["heard"].lower()]:
        raise SystemExit(f"Misheard, choose other words or voices: {'; '.join(misheard)}.")
    TRUTH.write_text("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n", encoding="utf-8")
    print(f"{len(rows)} sentences, {sum(file.stat().st_size for file in FOLDER.iterdir())} bytes")


def _key_word(sentence: str) -> str:
    """Return the word of a sentence that questions ask for; without a question, its last word."""
    values = [value for topic in TOPICS for value in topic.values if topic.told(value) == sentence]
    return (values or re.findall(r"\w+", sentence)[-1:])[0].lower()


def _spoken(voice: str, sentence: str) -> NDArray[np.float32]:
    """Return a sentence without silence around it, padded to a whole number of Opus frames."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "said.wav"
        subprocess.run(["flite", "-voice", voice, "-t", sentence, "-o", str(path)], check=True)
        with wave.open(str(path)) as sound:
            if sound.getframerate() != _RATE:
                raise SystemExit(f"The flite voice {voice!r} speaks at {sound.getframerate()} Hz, not {_RATE}.")
            samples = np.frombuffer(sound.readframes(sound.getnframes()), np.int16).astype(np.float32) / 32768
    loud = np.flatnonzero(np.abs(samples) > 0.01)
    part = samples[max(0, loud[0] - 400) : loud[-1] + 800]
    return np.pad(part, (0, -len(part) % _FRAME))


def _write(path: Path, samples: NDArray[np.float32]) -> None:
    with av.open(str(path), "w", options={"fflags": "+bitexact"}) as file:
        stream = file.add_stream("libopus", _RATE, options={"application": "voip"}, layout="mono")
        stream.bit_rate = _BIT_RATE
        frame = av.AudioFrame.from_ndarray(np.rint(np.clip(samples, -1, 1) * 32767).astype(np.int16)[None], "s16", "mono")
        frame.sample_rate, frame.pts, frame.time_base = _RATE, 0, Fraction(1, _RATE)
        file.mux(stream.encode(frame))
        file.mux(stream.encode(None))


if __name__ == "__main__":
    main()

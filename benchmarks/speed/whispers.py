"""Create random Whisper weights of any size in CTranslate2 form. Nothing is downloaded.

Transcripts are nonsense, but deterministic.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.made import made_once

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LANGUAGES = 99
_VOCABULARY = 51_865
_STAMPS = 1501
_MELS, _FRAMES, _LONGEST = 80, 1500, 448
_SURE = 40.0
_TOKENS = 90
"""Maximum tokens per window: speech has about 85, and random weights never stop."""


@dataclass(frozen=True)
class Size:
    """Dimensions: layers of encoder and decoder each, and alignment heads as (layer, head)."""

    layers: int
    width: int
    heads: int
    inner: int
    aligning: tuple[tuple[int, int], ...]


TINY = Size(4, 384, 6, 1536, ((2, 2), (3, 0), (3, 2), (3, 3), (3, 4), (3, 5)))
"""Dimensions of the published "tiny"."""


def make(folder: Path, size: Size = TINY, *, seed: int = 0, stop: float = 0.0, length: int = _LONGEST) -> Path:
    """Write model.bin, config.json, vocabulary.json and tokenizer.json.

    Args:
        folder: destination, created if missing.
        size: dimensions of the model.
        seed: seed of the weights.
        stop: bias of the end token; larger values give shorter texts.
        length: maximum number of tokens, including those of the prompt.
    """
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary, specials = _vocabulary()
    _write_tokenizer(folder, vocabulary, specials)
    _write_model(folder, vocabulary, specials, size, _Random(size, seed), stop, length)
    return folder


def random_whisper(folder: Path) -> Path:
    """Return random weights of the size "tiny", created on first use."""
    return made_once(folder / f"whisper-tiny-{_TOKENS}", lambda path: make(path, length=_TOKENS))


def _vocabulary() -> tuple[list[str], list[str]]:
    from faster_whisper.tokenizer import _LANGUAGE_CODES
    from tokenizers.pre_tokenizers import ByteLevel

    languages = [f"<|{code}|>" for code in _LANGUAGE_CODES[:_LANGUAGES]]
    specials = ["<|endoftext|>", "<|startoftranscript|>", *languages, "<|translate|>", "<|transcribe|>"]
    specials += ["<|startoflm|>", "<|startofprev|>", "<|nocaptions|>", "<|notimestamps|>"]
    letters = sorted(ByteLevel.alphabet())
    words = [f"Ġw{i}" for i in range(_VOCABULARY - len(letters) - len(specials) - _STAMPS - 1)]
    # CTranslate2 recognises a multilingual vocabulary by an empty token in place of GPT-2's end.
    words.append("")
    return letters + words + specials + [f"<|{i * 0.02:.2f}|>" for i in range(_STAMPS)], specials


def _write_tokenizer(folder: Path, vocabulary: list[str], specials: list[str]) -> None:
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    tokenizer = Tokenizer(models.BPE({token: i for i, token in enumerate(vocabulary)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in specials])
    tokenizer.save(str(folder / "tokenizer.json"))


class _Random:
    """Fill layers with random weights, scaled so that activations stay bounded in wide layers."""

    def __init__(self, size: Size, seed: int) -> None:
        self._size, self._generator = size, np.random.default_rng(seed)

    def some(self, *shape: int, scale: float = 0.0) -> "NDArray[np.float32]":
        return self._generator.normal(0, scale or 2 / self._size.width**0.5, shape).astype(np.float32)

    def linear(self, layer: Any, wide: int, deep: int) -> None:
        layer.weight, layer.bias = self.some(wide, deep), self.some(wide, scale=0.1)

    def norm(self, layer: Any) -> None:
        layer.gamma, layer.beta = np.ones(self._size.width, np.float32), self.some(self._size.width, scale=0.1)

    def attention(self, layer: Any, parts: tuple[int, ...]) -> None:
        self.norm(layer.layer_norm)
        for linear, part in zip(layer.linear, parts, strict=True):
            self.linear(linear, part * self._size.width, self._size.width)

    def feed_forward(self, layer: Any) -> None:
        self.norm(layer.layer_norm)
        self.linear(layer.linear_0, self._size.inner, self._size.width)
        self.linear(layer.linear_1, self._size.width, self._size.inner)


def _write_model(folder: Path, vocabulary: list[str], specials: list[str], size: Size, random: _Random, stop: float, length: int) -> None:
    from ctranslate2.specs.whisper_spec import WhisperSpec

    width = size.width
    spec = WhisperSpec(size.layers, size.heads, size.layers, size.heads)
    encoder, decoder = spec.encoder, spec.decoder
    encoder.conv1.weight, encoder.conv1.bias = random.some(width, _MELS, 3), random.some(width)
    encoder.conv2.weight, encoder.conv2.bias = random.some(width, width, 3), random.some(width)
    encoder.position_encodings.encodings = random.some(_FRAMES, width)
    decoder.position_encodings.encodings = random.some(_LONGEST, width, scale=3.0 * size.layers - 1.0)
    decoder.embeddings.weight = decoder.projection.weight = random.some(_VOCABULARY, width)
    decoder.projection.bias = random.some(_VOCABULARY, scale=0.1)
    end = vocabulary.index("<|endoftext|>")
    decoder.projection.bias[end] += stop
    # From position `length` on, the direction of the end token dominates the hidden state.
    decoder.position_encodings.encodings[length:, 0] = 1000.0
    decoder.projection.weight[end] = 0
    decoder.projection.weight[end, 0] = _SURE / width**0.5
    for part in (encoder, decoder):
        random.norm(part.layer_norm)
        for layer in part.layer:
            random.attention(layer.self_attention, (3, 1))
            random.feed_forward(layer.ffn)
    for layer in decoder.layer:
        random.attention(layer.attention, (1, 2, 1))
    spec.register_vocabulary(vocabulary)
    ids = {token: i for i, token in enumerate(vocabulary)}
    first = ids["<|startoftranscript|>"] + 1
    spec.config.lang_ids = list(range(first, first + _LANGUAGES))
    spec.config.alignment_heads = [list(pair) for pair in size.aligning]
    spec.config.suppress_ids = [ids[token] for token in specials if token != "<|endoftext|>"]
    spec.config.suppress_ids_begin = [end]
    spec.validate()
    spec.optimize("float32")
    spec.save(str(folder))

"""Makes a tiny, randomly initialised Whisper that the real loader accepts: CTranslate2 weights and a tokenizer, nothing downloaded.

It hears nonsense, but the same nonsense for the same sound.
"""

import json
from pathlib import Path
from typing import Any

_LANGUAGES = 99
_VOCABULARY = 51_865
_STAMPS = 1501
_WIDTH, _HEADS, _MELS = 16, 2, 80


def make(folder: Path, seed: int = 0, stop: float = 8.0) -> Path:
    """Write model.bin, config.json, vocabulary.json and tokenizer.json; `stop` is how readily it ends a sentence."""
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary, specials = _vocabulary()
    _write_tokenizer(folder, vocabulary, specials)
    _write_model(folder, vocabulary, specials, seed, stop)
    return folder


def _vocabulary() -> tuple[list[str], list[str]]:
    from faster_whisper.tokenizer import _LANGUAGE_CODES
    from tokenizers.pre_tokenizers import ByteLevel

    languages = [f"<|{code}|>" for code in _LANGUAGE_CODES[:_LANGUAGES]]
    specials = ["<|endoftext|>", "<|startoftranscript|>", *languages, "<|translate|>", "<|transcribe|>"]
    specials += ["<|startoflm|>", "<|startofprev|>", "<|nocaptions|>", "<|notimestamps|>"]
    letters = sorted(ByteLevel.alphabet())
    words = [f"Ġw{i}" for i in range(_VOCABULARY - len(letters) - len(specials) - _STAMPS - 1)]
    # CTranslate2 knows a multilingual vocabulary by the empty token in the place of GPT-2's end of text.
    words.append("")
    return letters + words + specials + [f"<|{i * 0.02:.2f}|>" for i in range(_STAMPS)], specials


def _write_tokenizer(folder: Path, vocabulary: list[str], specials: list[str]) -> None:
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    tokenizer = Tokenizer(models.BPE({token: i for i, token in enumerate(vocabulary)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in specials])
    tokenizer.save(str(folder / "tokenizer.json"))


def _write_model(folder: Path, vocabulary: list[str], specials: list[str], seed: int, stop: float) -> None:
    import numpy as np
    from ctranslate2.specs.whisper_spec import WhisperSpec

    rng = np.random.default_rng(seed)

    def some(*shape: int, scale: float = 0.5) -> Any:
        return rng.normal(0, scale, shape).astype(np.float32)

    def linear(layer: Any, wide: int, deep: int) -> None:
        layer.weight, layer.bias = some(wide, deep), some(wide, scale=0.1)

    def norm(layer: Any) -> None:
        layer.gamma, layer.beta = np.ones(_WIDTH, np.float32), some(_WIDTH, scale=0.1)

    def attention(layer: Any, widths: list[int]) -> None:
        norm(layer.layer_norm)
        for part, wide in zip(layer.linear, widths, strict=True):
            linear(part, wide, _WIDTH)

    def feed_forward(layer: Any) -> None:
        norm(layer.layer_norm)
        linear(layer.linear_0, 2 * _WIDTH, _WIDTH)
        linear(layer.linear_1, _WIDTH, 2 * _WIDTH)

    spec = WhisperSpec(1, _HEADS, 1, _HEADS)
    encoder, decoder = spec.encoder, spec.decoder
    encoder.conv1.weight, encoder.conv1.bias = some(_WIDTH, _MELS, 3), some(_WIDTH)
    encoder.conv2.weight, encoder.conv2.bias = some(_WIDTH, _WIDTH, 3), some(_WIDTH)
    encoder.position_encodings.encodings = some(1500, _WIDTH)
    decoder.position_encodings.encodings = some(448, _WIDTH, scale=2.0)
    decoder.embeddings.weight = decoder.projection.weight = some(_VOCABULARY, _WIDTH)
    decoder.projection.bias = some(_VOCABULARY, scale=0.1)
    decoder.projection.bias[vocabulary.index("<|endoftext|>")] += stop
    for part in (encoder, decoder):
        norm(part.layer_norm)
        attention(part.layer[0].self_attention, [3 * _WIDTH, _WIDTH])
        feed_forward(part.layer[0].ffn)
    attention(decoder.layer[0].attention, [_WIDTH, 2 * _WIDTH, _WIDTH])
    spec.register_vocabulary(vocabulary)
    ids = {token: i for i, token in enumerate(vocabulary)}
    first = ids["<|startoftranscript|>"] + 1
    spec.config.lang_ids = list(range(first, first + _LANGUAGES))
    spec.config.alignment_heads = [[0, 0]]
    spec.config.suppress_ids = [ids[token] for token in specials if token != "<|endoftext|>"]
    spec.config.suppress_ids_begin = [ids["<|endoftext|>"]]
    spec.validate()
    spec.optimize("float32")
    spec.save(str(folder))
    assert json.loads((folder / "config.json").read_text())["alignment_heads"]

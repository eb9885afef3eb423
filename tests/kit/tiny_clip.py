"""A CLIP and a CoCa with random weights, laid out as their publishers do: the real loader on weights that are nobody's.

They see nonsense, but the same nonsense in the same picture.
"""

import json
from pathlib import Path
from typing import Any

_TEXT = {"context_length": 77, "vocab_size": 49_408, "width": 16, "heads": 2, "layers": 1}
_VISION = {"image_size": 32, "layers": 1, "width": 32, "patch_size": 16, "head_width": 16}
CLIP: dict[str, Any] = {"embed_dim": 16, "vision_cfg": _VISION, "text_cfg": _TEXT}
COCA: dict[str, Any] = {
    "embed_dim": 16,
    "vision_cfg": _VISION | {"attentional_pool": True, "attn_pooler_heads": 2, "output_tokens": True},
    "text_cfg": _TEXT | {"context_length": 76, "embed_cls": True, "output_tokens": True},
    "multimodal_cfg": {**_TEXT, "context_length": 76, "attn_pooler_heads": 2},
    "custom_text": True,
}
END = 49_407
LOOK = {"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.3, 0.4]}


def make(folder: Path, config: dict[str, Any], seed: int = 1) -> Path:
    """Write `open_clip_model.safetensors` and `open_clip_config.json`, and return the folder."""
    import torch
    from safetensors.torch import save_file

    # On a busy machine threads wait for each other a hundred times longer than such small models compute.
    torch.set_num_threads(1)
    folder.mkdir(parents=True, exist_ok=True)
    model = build(folder, config)
    torch.manual_seed(seed)
    for name, value in model.named_parameters():
        if value.ndim > 1:
            torch.nn.init.normal_(value, std=0.5)
        elif value.ndim == 1 and not name.endswith(".weight"):  # weights of one dimension are those of norms, which stay 1
            torch.nn.init.normal_(value, std=0.2)
    if hasattr(model, "text_decoder"):
        model.text_decoder.text_projection.data[:, END] *= 3  # so that some sentences end before the limit
    torch.nn.init.constant_(model.logit_scale, 4.6052)  # 100, where trained ones end up
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, folder / "open_clip_model.safetensors")
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": config, "preprocess_cfg": LOOK}))
    return folder


def build(folder: Path, config: dict[str, Any]) -> Any:
    """Return the model with the weights that torch starts from, made by open_clip from a configuration registered with it."""
    import open_clip

    name = f"tiny-{'coca' if 'multimodal_cfg' in config else 'clip'}"
    file = folder / f"{name}.json"
    file.write_text(json.dumps(config))
    open_clip.add_model_config(file)
    return open_clip.create_model(name, load_weights=False).eval()


def lay(folder: Path, name: str = "open_clip_model.safetensors", content: bytes = b"1") -> Path:
    """Put a file of weights into a folder, and return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)
    return folder

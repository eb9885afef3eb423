"""A YOLO checkpoint with random weights, made by ultralytics itself: the real loader on weights that are nobody's."""

import textwrap
import warnings
from pathlib import Path
from typing import Any

from analyzer_agent.tools.engines import ultralytics as door


def random_model(folder: Path, name: str, sure: float = -3, size: int = 640) -> Path:
    """Save the smallest random model of an architecture of ultralytics' own, such as "yolo11n-obb", and return where.

    The surer it is, the more it finds. It looks at pictures scaled to `size` pixels.
    """
    path = folder / f"{name}.pt"
    library = door._library()
    torch = library.utils.torch
    torch.manual_seed(3)
    model = library.YOLO(f"{name}.yaml")
    head = model.model.model[-1]
    for scale in head.cv3:
        torch.nn.init.normal_(scale[-1].bias, sure, 1)
    for extra in getattr(head, "cv4", ()):
        if hasattr(extra, "logit_scale"):  # compares with words
            torch.nn.init.constant_(extra.bias, 0)
            torch.nn.init.constant_(extra.logit_scale, 1)
        elif isinstance(extra[-1], torch.nn.Conv2d) and hasattr(head, "proto"):
            torch.nn.init.constant_(extra[-1].bias, 3)  # a mask that covers nothing takes its box with it
    model.ckpt = {"train_args": {"imgsz": size}}
    model.save(path)
    return path


_CLIP = '''
    """Stands for OpenAI's CLIP: a table of letters in the place of a transformer."""
    import zlib
    from pathlib import Path
    import torch

    class Letters(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.table = torch.nn.Embedding(256, 512)

        def forward(self, tokens):
            features = self.table(tokens).sum(dim=1)
            return features / features.norm(dim=-1, keepdim=True)

        encode_text = forward

    def tokenize(texts, truncate=False):
        return torch.tensor([list(text.encode()[:77].ljust(77, b" ")) for text in texts])

    def load(name, device=None, download_root=None):
        model = Letters()
        model.load_state_dict(torch.load(name if Path(name).is_file() else Path(__file__).with_name("ViT-B-32.pt")))
        return model, None
'''


def word_encoders(package: Path, weights: Path) -> None:
    """Make a package `clip` in one folder, and both encoders of words where ultralytics keeps them, in and below the other."""
    torch = door._library().utils.torch
    (package / "clip").mkdir()
    (package / "clip" / "__init__.py").write_text(textwrap.dedent(_CLIP) + "\nfrom clip import clip\n")
    (package / "clip" / "clip.py").write_text("import clip\n\ndef tokenize(texts, truncate=False):\n    return clip.tokenize(texts)\n")
    torch.manual_seed(4)
    namespace: dict[str, Any] = {"__file__": ""}
    exec(textwrap.dedent(_CLIP), namespace)
    letters = namespace["Letters"]()
    (weights / "clip").mkdir()
    for path in (weights / "clip" / "ViT-B-32.pt", package / "clip" / "ViT-B-32.pt"):
        torch.save(letters.state_dict(), path)
    with warnings.catch_warnings(action="ignore"):
        torch.jit.save(torch.jit.trace(letters, torch.zeros(1, 77, dtype=torch.long)), weights / "mobileclip_blt.ts")

"""Load open_clip models.

open_clip logs through the root logger, which would add a handler to it, and sets an environment
variable; both are prevented. Models whose text tower or tokenizer comes from transformers are
refused, because open_clip would download them from the hub.
"""

import contextlib
import logging
import warnings
from collections.abc import Iterator
from typing import Any

from analyzer_agent.errors import Unavailable, require
from analyzer_agent.installing import VISION
from analyzer_agent.protocols import Availability
from analyzer_agent.tools.engines.open_clip_files import CONFIG, Checkpoint, normalized_name
from analyzer_agent.tools.engines.telemetry_off import temporary_environment

_PREPROCESSING_KEYS = ("mean", "std", "interpolation", "resize_mode")


def open_checkpoint(found: Checkpoint | Availability, purpose: str) -> tuple[Any, Any, Any, Any]:
    """Return the library, the model on the CPU, the image transform and the tokenizer."""
    if isinstance(found, Availability):
        raise Unavailable(f"{purpose}: {found.missing}.", hint=found.fix)
    with _logging_off():
        library = require("open_clip", VISION, purpose)
        name = found.model or f"local-dir:{found.path.parent}"
        try:
            text = (library.get_model_config(name) or {}).get("text_cfg", {})
            if text.get("hf_model_name") or text.get("hf_tokenizer_name") or "siglip" in name.lower():
                raise ValueError("its text tower or tokenizer is not open_clip's own and would have to be fetched")
            model, _, transform = library.create_model_and_transforms(name, load_weights=False, **_preprocessing(library, found))
            library.load_checkpoint(model, str(found.path), weights_only=True)
            return library, model, transform, library.get_tokenizer(name)
        except Exception as broken:  # torch, safetensors and json raise many types on invalid files
            raise Unavailable(
                f"{purpose}: cannot load {str(found.path)!r} as {found.model or CONFIG!r}: {broken}",
                hint=f"Use weights made for open_clip, with their {CONFIG} beside them.",
            ) from broken


def _preprocessing(library: Any, found: Checkpoint) -> dict[str, Any]:
    """Return the preprocessing of published weights without a `CONFIG`, by their model and tag."""
    tags = library.list_pretrained_tags_by_model(found.model) if found.model else []
    tag = max((tag for tag in tags if normalized_name(tag) in normalized_name(found.label)), key=len, default="")
    known = library.get_pretrained_cfg(found.model, tag) if tag else {}
    return {f"image_{look}": known[look] for look in _PREPROCESSING_KEYS if look in known} | {
        "force_quick_gelu": bool(known.get("quick_gelu"))
    }


@contextlib.contextmanager
def _logging_off() -> Iterator[None]:
    """Drop open_clip's log records, and restore the root logger and the environment afterwards."""
    root, guard = logging.getLogger(), logging.NullHandler()

    def others(record: logging.LogRecord) -> bool:
        return "open_clip" not in record.pathname

    root.addHandler(guard)  # otherwise `logging.info` would add a handler that writes to stderr
    root.addFilter(others)
    try:
        with temporary_environment(), warnings.catch_warnings(action="ignore"):
            yield
    finally:
        root.removeFilter(others)
        root.removeHandler(guard)

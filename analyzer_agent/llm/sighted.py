"""Which language models see pictures, by their names."""

import re

_SIGHTED = re.compile(
    r"""
    gpt-(4o|4\.1|4\.5|5)(?!.*(audio|realtime|transcribe|tts|search)) | ^o1(?!-(mini|preview)) | ^o3(?!-mini) | ^o4 | chatgpt-4o
    | claude-(3|opus|sonnet|haiku|fable) | gemini
    | qwen[\w.]*-?(vl|omni) | qvq | qwen3\.[5-9] | llava | bakllava | moondream | pixtral | minicpm-?(v|o) | internvl | molmo | smolvlm
    | gemma-?3(?!n?[-:](1b|270m)) | gemma-?4 | llama-?3\.2.*(vision|11b|90b) | llama-?4 | mistral-(small-?3\.[1-9]|medium-?3)
    | phi-?(3\.5-vision|4-multimodal) | glm-4(\.\d)?v | granite.*vision | deepseek-vl | grok-(4|.*vision) | nova-(lite|pro|premier)
    | [-_]vl\b | vision
    """,
    re.IGNORECASE | re.VERBOSE,
)
"""One table; a name that it lacks needs `--sees yes`."""


def sees_pictures(model: str) -> bool:
    """Return whether a model of this name is known to see pictures; its path and publisher are passed over."""
    return bool(_SIGHTED.search(model.rsplit("/", 1)[-1]))

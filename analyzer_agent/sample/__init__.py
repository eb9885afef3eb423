"""The sample clip that ships with the package: half a minute in a small harbour, drawn by `examples/make_sample.py`.

Knows where the clip lies, and nothing of what is in it: that is told by `examples/sample_truth.json`.
"""

from pathlib import Path


def sample_path() -> Path:
    """Return the path of the sample clip: MP4 of 34 s with a picture, one sound track and one English subtitle track."""
    return Path(__file__).with_name("harbour.mp4")

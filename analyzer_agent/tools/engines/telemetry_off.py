"""Keep third-party runtimes from sending usage reports while they load.

onnxruntime and OpenVINO start reporting on their first import and store an identifier in the user's
home; it can only be prevented then. Every engine that may be the first to import one of them loads
inside `runtime_telemetry_off`.
"""

import contextlib
import os
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def temporary_environment(**changes: str) -> Iterator[None]:
    """Set environment variables, and restore the whole environment afterwards."""
    before = dict(os.environ)
    os.environ.update(changes)
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)


@contextlib.contextmanager
def runtime_telemetry_off() -> Iterator[None]:
    """Disable the usage reports of onnxruntime and OpenVINO if they are first imported inside.

    OpenVINO falls back to a stub without its telemetry package; onnxruntime reads a variable.
    """
    name = "openvino_telemetry"
    hide = name not in sys.modules
    if hide:
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        with temporary_environment(ORT_DISABLE_TELEMETRY="1"):
            yield
    finally:
        if hide:
            del sys.modules[name]

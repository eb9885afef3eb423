"""Keeping third-party runtimes from reporting home while they load.

onnxruntime and OpenVINO begin to report when they are first imported and leave an identifier in the user's home; only then can they
be kept from it. So every door that may be the first to import one of them loads inside `runtime_telemetry_off`.
"""

import contextlib
import os
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def temporary_environment(**changes: str) -> Iterator[None]:
    """Set variables, and put the whole environment back as it was afterwards."""
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
    """Turn the reports of onnxruntime and OpenVINO off, if they are first imported inside.

    OpenVINO has a stub for where its package for reports is missing; onnxruntime reads a variable.
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

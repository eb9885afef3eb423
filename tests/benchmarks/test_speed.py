"""The speed benchmarks can be started: no checks but these import them."""

from importlib import import_module

import pytest

from benchmarks.speed.__main__ import SUBJECTS


@pytest.mark.parametrize("subject", SUBJECTS)
def test_a_subject_can_be_measured(subject: str) -> None:
    assert callable(import_module(f"benchmarks.speed.{subject}").figures)

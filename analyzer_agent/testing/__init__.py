"""Support for tests of this package and of plug-ins: fakes, and the contract test of analyzers."""

from analyzer_agent.testing.contract import check_analyzer
from analyzer_agent.testing.fakes import FakeAnalyzer, FakeEngine, FakeVideo, ScriptedModel, call, fake_spec

__all__ = ["FakeAnalyzer", "FakeEngine", "FakeVideo", "ScriptedModel", "call", "check_analyzer", "fake_spec"]

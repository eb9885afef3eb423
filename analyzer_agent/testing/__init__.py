"""What tests of this package and of plug-ins need: fakes that fail loudly, and the contract of analyzers as one call."""

from analyzer_agent.testing.contract import check_analyzer
from analyzer_agent.testing.fakes import FakeAnalyzer, FakeEngine, FakeVideo, ScriptedModel, call, fake_spec

__all__ = ["FakeAnalyzer", "FakeEngine", "FakeVideo", "ScriptedModel", "call", "check_analyzer", "fake_spec"]

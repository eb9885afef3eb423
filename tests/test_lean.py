"""What is imported without parts that nobody here uses; whoever wants these gets them whole afterwards."""

import subprocess
import sys

import pytest

LANGGRAPH = """
import sys
import analyzer_agent.graph
assert "langgraph_sdk" not in sys.modules and "langgraph_sdk.client" not in sys.modules
import langgraph_sdk
assert callable(langgraph_sdk.get_client)
print("whole")
"""
STORE = """
import sys
import analyzer_agent.storage
assert "numpy" not in sys.modules and "pandas" not in sys.modules
import numpy
assert numpy.array([1]).sum() == 1
print("whole")
"""


@pytest.mark.parametrize("code", [LANGGRAPH, STORE], ids=["the client of LangGraph's servers", "numpy for the store"])
def test_what_is_left_out_stays_usable(code: str) -> None:
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert run.stdout.strip() == "whole", run.stderr

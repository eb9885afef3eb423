"""LangGraph is imported without the HTTP client of its servers; whoever wants that gets it whole afterwards."""

import subprocess
import sys

CODE = """
import sys
import analyzer_agent.graph
assert "langgraph_sdk" not in sys.modules and "langgraph_sdk.client" not in sys.modules
import langgraph_sdk
assert callable(langgraph_sdk.get_client)
print("whole")
"""


def test_the_client_is_left_out_and_stays_usable() -> None:
    run = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, timeout=60)
    assert run.stdout.strip() == "whole", run.stderr

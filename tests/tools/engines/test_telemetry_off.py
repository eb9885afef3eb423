"""Loading an engine writes nothing into the user's home: no identifiers, no queue of reports."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from patience import PATIENCE_S

ENGINES = {
    "silero": "from analyzer_agent.tools.engines.silero import ENGINE as engine",
    "rapidocr": "from analyzer_agent.tools.engines.rapidocr import ENGINE as engine",
}


@pytest.mark.parametrize("door", ENGINES.values(), ids=ENGINES)
def test_loading_leaves_no_trace_in_the_home(door: str, tmp_path: Path) -> None:
    code = f"{door}\nfrom analyzer_agent.protocols import EngineConfig\nimport os\nbefore = dict(os.environ)\n"
    code += "engine.load(EngineConfig())\nassert dict(os.environ) == before, 'the environment was changed'\nprint('loaded')"
    home = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache"), "PYTHONDONTWRITEBYTECODE": "1"}
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("ORT_", "XDG_"))}
    run = subprocess.run([sys.executable, "-c", code], env=clean | home, capture_output=True, text=True, timeout=PATIENCE_S)
    assert run.stdout.strip() == "loaded", run.stderr
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []

"""Other people's analyzers: found by entry point, imported when asked for, used like built-ins."""

import logging
from pathlib import Path

import pytest

from analyzer_agent import tools as registry
from analyzer_agent.errors import AgentError
from analyzer_agent.sample import sample_path
from analyzer_agent.session import Session

EXAMPLE = Path(__file__).parent.parent / "examples" / "brightness"


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, entry: str, source: str, module: str) -> None:
    """Lay a package out as an installer would: a module, and metadata with its entry point."""
    (folder / f"{module}.py").write_text(source, encoding="utf-8")
    info = folder / f"{module}-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 0.1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(f"[{registry.GROUP}]\n{entry}\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(folder))


def test_the_example_works_as_a_plug_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    declared = (EXAMPLE / "pyproject.toml").read_text(encoding="utf-8")
    assert 'brightness = "analyzer_agent_brightness:SPEC"' in declared
    source = (EXAMPLE / "analyzer_agent_brightness.py").read_text(encoding="utf-8")
    install(tmp_path, monkeypatch, "brightness = analyzer_agent_brightness:SPEC", source, "analyzer_agent_brightness")

    assert "brightness" in registry.names()
    with Session(sample_path(), store=tmp_path / "store.db", manager="rules") as session:
        (first,) = _drain(session.index_stream(["brightness"]))
        (again,) = _drain(session.index_stream(["brightness"]))
        assert first.analyzed_ms == session.offers[0].video.duration and again.analyzed_ms == 0
        runs = session.toolbox.reader.runs(session.offers[0].video.id, session.offers[0].scope, kinds=["light"])
    assert runs[-1].text == "dark" and runs[-1].span.start == 28_000, "the last shot of the sample is at night"
    assert {run.text for run in runs} > {"dark"}


def test_a_broken_plug_in_is_a_warning_unless_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    install(tmp_path, monkeypatch, "rotten = rotten_plugin:SPEC", "raise OSError('no licence file')", "rotten_plugin")
    with caplog.at_level(logging.WARNING):
        assert "rotten" not in registry.load_all() and "scenes" in registry.load_all()
    assert "'rotten'" in caplog.text
    with pytest.raises(AgentError, match="OSError: no licence file"):
        registry.load_all(["rotten"])


def test_what_is_no_spec_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, "odd = odd_plugin:SPEC", "SPEC = 'a string'", "odd_plugin")
    with pytest.raises(AgentError, match="is not a Spec"):
        registry.load("odd")


def test_unknown_names_list_the_known_ones() -> None:
    with pytest.raises(AgentError) as caught:
        registry.load("smell")
    assert "'smell'" in str(caught.value) and "speech" in caught.value.hint


def _drain(running):  # type: ignore[no-untyped-def]
    while True:
        try:
            next(running)
        except StopIteration as end:
            return end.value

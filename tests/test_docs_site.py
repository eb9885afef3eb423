"""The documentation as a site: every page has its place, and the build finds no link that leads nowhere."""

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from places import ROOT

CONFIG = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")


def test_every_page_is_in_the_navigation_once() -> None:
    named = re.findall(r"^ +- (?:[^:\n]+: )?(\S+\.md)$", CONFIG, re.M)
    pages = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert sorted(named) == sorted(pages)


def test_the_picture_of_the_terminal_is_drawn_from_its_recording() -> None:
    pytest.importorskip("pyte", reason="needs the extra 'docs'")
    pytest.importorskip("pty", reason="a system without pseudo-terminals", exc_type=ImportError)
    cast = runpy.run_path(str(ROOT / "docs" / "cast.py"))
    recording, picture = ((ROOT / "docs" / f"demo.{suffix}").read_text(encoding="utf-8") for suffix in ("cast", "svg"))
    title, events = cast["read_cast"](recording)
    assert title == "analyzer-agent demo" and cast["drawn"](events, title) == picture, "run docs/cast.py --draw"
    assert "The sample clip: ./analyzer_agent/sample/harbour.mp4" in picture
    assert not re.search(r"/(home|tmp|root|work)/|https?://(?!www\.w3\.org/)", picture + recording)
    ElementTree.fromstring(picture)


def test_a_recording_becomes_states_of_lines_that_scroll() -> None:
    pytest.importorskip("pyte", reason="needs the extra 'docs'")
    pytest.importorskip("pty", reason="a system without pseudo-terminals", exc_type=ImportError)
    cast = runpy.run_path(str(ROOT / "docs" / "cast.py"))
    lines = "".join(f"\r\n{n}" for n in range(cast["ROWS"]))
    events = [(0.0, "$ run\r\n"), (0.5, "\x1b[32mone\x1b[0m"), (60.0, "\rtwo"), (60.01, "!"), (61.0, lines)]
    shown, scrolled, length = cast["states"](events)
    told = [(one.row, one.start, one.end, "".join(run[1] for run in one.runs)) for one in shown]
    assert told[:1] == [(1, 1.5, 2.5, "one")] and (0, 0.0, None, "$ run") in told and (1, 2.5, None, "two!") in told
    assert scrolled == [(0.0, 0), (2.75, 2)] and length == 2.75, "a minute in which nothing happens is shortened"
    picture = cast["drawn"](events, "run <it>")
    ElementTree.fromstring(picture)
    assert "run &lt;it&gt;" in picture and picture.count('visibility="hidden"') == 1 and "translateY(-36px)" in picture
    assert cast["read_cast"](cast["as_cast"](events, "run")) == ("run", events)


def test_each_diagram_is_drawn_as_it_is_now() -> None:
    drawing = runpy.run_path(str(ROOT / "docs" / "diagrams.py"))
    named = {drawing["name_of"](source, theme) for source in drawing["diagrams"]() for theme in drawing["THEMES"]}
    pictures = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "diagrams").iterdir()}
    assert named == set(pictures), "run docs/diagrams.py"
    for picture in pictures.values():
        ElementTree.fromstring(picture)
        assert re.findall(r"https?://(?!www\.w3\.org/)[^\s\"<]+", picture) == []


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("material", reason="needs the extra 'docs'")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"})
    assert built.returncode == 0, built.stderr
    assert "diagrams/" in (tmp_path / "site" / "architecture" / "index.html").read_text(encoding="utf-8")
    for page in (tmp_path / "site").rglob("*.html"):
        html = page.read_text(encoding="utf-8")
        loaded = re.findall(r"<(?:script|img|iframe|link(?! rel=\"canonical\"))\b[^>]*(?:src|href)=\"?(https?://[^\s\">]+)", html)
        assert loaded == [] and 'class="mermaid"' not in html, "the theme fetches what draws diagrams from elsewhere"
    assert "examples/recipes/supercut.py" in (tmp_path / "site" / "recipes" / "index.html").read_text(encoding="utf-8")

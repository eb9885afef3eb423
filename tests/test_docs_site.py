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


def test_the_picture_of_the_terminal_names_no_server_and_no_folder_of_a_machine() -> None:
    picture = (ROOT / "docs" / "demo.svg").read_text(encoding="utf-8").replace("&#160;", " ")
    assert "The sample clip: ./analyzer_agent/sample/harbour.mp4" in picture and "/home/" not in picture and "/tmp/" not in picture
    assert re.findall(r"https?://(?!www\.w3\.org/|www\.textualize\.io|github\.com/)[^\s\"<]+", picture) == []


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

"""The page as one file: its modules in one script that its own policy allows, and hostile texts as data."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from analyzer_agent.page.rendering import bundled, page_text, safe_json

HOSTILE = [
    "</script><script>alert(1)</script>",
    "<!--<script>",
    "]]><img src=x onerror=alert(1)>",
    "\u2028\u2029",
    "$title <!-- script --> <!-- data -->",
    "\ud83d",
    'it\'s "quoted" & <b>bold</b>',
]
MODULES = sorted(file.name for file in (files("analyzer_agent.page") / "static").iterdir() if file.name.endswith(".js"))


class Elements(HTMLParser):
    """The elements of a page: (tag, attributes, text)."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None], str]] = []
        self.open = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs), ""))
        self.open = True

    def handle_endtag(self, tag: str) -> None:
        self.open = False

    def handle_data(self, data: str) -> None:
        if self.found and self.open:
            tag, attributes, text = self.found[-1]
            self.found[-1] = (tag, attributes, text + data)

    def all(self, tag: str) -> list[tuple[dict[str, str | None], str]]:
        return [(attributes, text) for name, attributes, text in self.found if name == tag]


def page(document: Any, title: str = "talk.mp4", embedded: dict[str, Path] | None = None) -> str:
    return "".join(page_text(document, title, embedded))


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts_come_back_as_they_were(text: str) -> None:
    made = page({"text": text}, title=text.encode("utf-8", "replace").decode())
    scripts = Elements(made).all("script")
    assert [attributes.get("type") for attributes, _ in scripts] == ["application/json", "module"]
    assert json.loads(scripts[0][1]) == {"text": text}
    assert "alert(1)" not in scripts[1][1] and "onerror" not in scripts[1][1]
    made.encode()


def test_the_policy_allows_the_script_and_the_style_and_asks_nobody() -> None:
    found = Elements(page({}))
    policy = next(a["content"] or "" for a, _ in found.all("meta") if a.get("http-equiv") == "Content-Security-Policy")
    for name, text in (("script-src", found.all("script")[1][1]), ("style-src", found.all("style")[0][1])):
        assert f"{name} 'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" in policy
    assert "default-src 'none'" in policy and "http" not in policy and "unsafe" not in policy
    assert not re.search(r"https?://", page({}))


def test_an_embedded_file_comes_back_from_its_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("analyzer_agent.page.rendering._CHUNK", 6)
    (file := tmp_path / "a.mp4").write_bytes(bytes(range(20)))
    pieces = [text for attributes, text in Elements(page({}, embedded={"v1": file})).all("script") if attributes.get("data-video") == "v1"]
    assert len(pieces) == 4 and b"".join(map(base64.b64decode, pieces)) == bytes(range(20))


def test_every_module_is_in_the_script_once_and_after_what_it_needs() -> None:
    script = bundled("main")
    of_others = {"app", "host"} | {"asking", "home", "service", "watch"}  # of the MCP App, and of servers
    assert set(re.findall(r"^const module_(\w+) = ", script, re.MULTILINE)) == {name.removesuffix(".js") for name in MODULES} - of_others
    assert not re.search(r"^(import|export) ", script, re.MULTILINE)
    assert "</" not in script and "<!--" not in script  # either would end the element
    made = {name: script.index(f"const module_{name} = ") for name in re.findall(r"const module_(\w+) = ", script)}
    assert all(made[use[1]] < use.start() for use in re.finditer(r"\} = module_(\w+);", script))


@pytest.mark.parametrize("name", MODULES)
def test_modules_put_texts_in_as_text(name: str) -> None:
    source = (files("analyzer_agent.page") / "static" / name).read_text(encoding="utf-8")
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|setAttribute\(.style", source)
    assert len(source.splitlines()) < 300


def test_safe_json_holds_no_mark_that_ends_a_script() -> None:
    assert not set("<>&\u2028\u2029") & set(safe_json(HOSTILE))

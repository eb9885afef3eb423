"""Draw the diagrams of the pages as docs/diagrams/*.svg, light and dark, so that the site needs no script from elsewhere.

    npm pack mermaid && tar xf mermaid-*.tgz
    python docs/diagrams.py package/dist/mermaid.min.js

Needs the extra `dev` and Chromium. To be run after a change of a diagram; a test tells when. As a
hook of mkdocs, it puts the pictures in the place of the diagrams.
"""

import hashlib
import posixpath
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FENCE = re.compile(r"^```mermaid\n(.*?)^```$", re.M | re.S)
DOCS = Path(__file__).resolve().parent
FOLDER = DOCS / "diagrams"
THEMES = {"light": "neutral", "dark": "dark"}
LOOK = {"fontFamily": "sans-serif", "sequence": {"wrap": True, "actorMargin": 8, "width": 150}}
RENDER = """async source => {
  const { svg } = await mermaid.render("diagram", source);
  const drawn = new DOMParser().parseFromString(svg, "text/html").querySelector("svg");
  return new XMLSerializer().serializeToString(drawn);
}"""


def diagrams() -> Iterator[str]:
    """Yield the sources of all diagrams."""
    for page in sorted(DOCS.rglob("*.md")):
        yield from FENCE.findall(page.read_text(encoding="utf-8"))


def name_of(source: str, theme: str) -> str:
    """Return the name of the picture of a diagram; another source has another one."""
    return f"{hashlib.sha256(source.encode()).hexdigest()[:12]}-{theme}.svg"


def draw(mermaid: Path) -> None:
    """Draw all diagrams anew."""
    from playwright.sync_api import sync_playwright

    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
        page = browser.new_page()
        page.add_script_tag(path=mermaid)
        for source in diagrams():
            for theme, known in THEMES.items():
                page.evaluate("options => mermaid.initialize(options)", {"theme": known, **LOOK})
                (FOLDER / name_of(source, theme)).write_text(page.evaluate(RENDER, source) + "\n", encoding="utf-8")
        browser.close()


def on_page_markdown(markdown: str, page: Any, **_: object) -> str:
    """Return the text of a page with each diagram as a picture, which is named after the heading above it."""
    folder = posixpath.relpath(FOLDER.name, posixpath.dirname(page.file.src_uri) or ".")

    def shown(match: re.Match[str]) -> str:
        heading = re.findall(r"^#+ (.+)$", markdown[: match.start()], re.M)[-1]
        # The theme shows a picture in the scheme that its fragment names.
        return "\n".join(f"![Diagram: {heading}]({folder}/{name_of(match[1], theme)}#only-{theme})" for theme in THEMES)

    return FENCE.sub(shown, markdown)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    draw(Path(sys.argv[1]))

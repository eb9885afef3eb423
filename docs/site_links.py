"""A hook of mkdocs: links to files outside of docs/ become their paths, since the site holds only docs/."""

import posixpath
import re
from typing import Any

_LINK = re.compile(r"\[([^\]]*)\]\(((?:\.\./)+[^)\s]*)\)")


def on_page_markdown(markdown: str, page: Any, **_: object) -> str:
    """Return the text of a page with each link that leads out of docs/ as code."""

    def told(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(page.file.src_uri), match[2]))
        if not target.startswith("../"):
            return match[0]
        path = target.removeprefix("../")
        text = match[1].strip("`")
        return f"`{path}`" if text in path else f"{match[1]} (`{path}`)"

    return _LINK.sub(told, markdown)

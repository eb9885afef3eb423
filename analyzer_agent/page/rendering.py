"""Make one HTML file of the page's modules and a document, so that it works from disk.

A browser loads no module from a file on disk, so the modules are put into one script. The policy of
the page allows that script, by its hash, and nothing else: no address is ever asked.
"""

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping
from functools import cache
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

from analyzer_agent.sanitize import encodable_json, one_line

MAX_EMBEDDED = 1 << 30
"""The largest file that a page may contain, in bytes; browsers give up on larger pages."""

_CHUNK = 12 << 20
"""Bytes of an embedded file that are encoded at a time: a multiple of three, so that no padding lies within."""

_IMPORT = re.compile(r'^import \{([^}\n]*)\} from "\./(\w+)\.js";$', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function|const|let|class) (\w+))", re.MULTILINE)
_UNSAFE = re.compile("[<>&\u2028\u2029]")


def page_text(document: Mapping[str, Any], title: str, embedded: Mapping[str, Path] | None = None) -> Iterator[str]:
    """Yield the parts of the page.

    Args:
        document: see `build_document`.
        title: the title of the page.
        embedded: video id -> file, of the files that the page is to contain.
    """
    head, tail = _alone("main", title, "'self' file: blob:")
    yield head
    yield f'<script type="application/json" id="document">{safe_json(document)}</script>\n'
    for video, path in (embedded or {}).items():
        yield from _embedded(video, path)
    yield tail


def app_text(title: str) -> str:
    """Return the page without data as an MCP App: one file, which asks the client that shows it for a video's document."""
    return "".join(_alone("app", title, "blob:"))


def _alone(entry: str, title: str, media: str) -> tuple[str, str]:
    """Return a page that contains its style and script, in two parts: before and after the data.

    Args:
        entry: the module that starts it.
        title: its title.
        media: where its videos may come from, as its policy says it.
    """
    style, script = _static("page.css"), bundled(entry)
    policy = (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; img-src data:; "
        f"media-src {media}; base-uri 'none'; form-action 'none'"
    )
    text = _filled("page.html", one_line(title), policy)
    head, _, tail = text.partition("<!-- data -->")
    return head.replace("<!-- style -->", f"<style>{style}</style>"), tail.replace(
        "<!-- script -->", f'<script type="module">{script}</script>'
    )


def live_text(name: str, policy: str) -> str:
    """Return a page of a server, which loads its modules and asks for its data: `home` or `watch`.

    Args:
        name: the page.
        policy: its content security policy, as the server sends it.
    """
    # In the element `meta`, `frame-ancestors` means nothing, and browsers complain.
    told = "; ".join(part for part in policy.split("; ") if not part.startswith("frame-ancestors"))
    text = _filled("home.html" if name == "home" else "page.html", "analyzer-agent", told)
    styles = "".join(f'<link rel="stylesheet" href="/static/{sheet}.css">' for sheet in ("page", "live"))
    script = f'<script type="module" src="/static/{name}.js"></script>'
    return text.replace("<!-- style -->", styles).replace("<!-- data -->", "").replace("<!-- script -->", script)


def _filled(page: str, title: str, policy: str) -> str:
    return Template(_static("head.html") + _static(page)).substitute(title=escape(title), policy=escape(policy))


def static_file(name: str) -> str | None:
    """Return the text of a module or style sheet of the page, None if there is none of this name."""
    known = {file.name for file in (files(__package__) / "static").iterdir()}
    return _static(name) if name in known else None


def safe_json(value: Any) -> str:
    """Return JSON that may stand in a script element: it ends none and starts none."""
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", encodable_json(value))


@cache
def bundled(entry: str) -> str:
    """Return a module with all that it imports, in the order of need, as one script.

    Each module becomes a function with its own names, which returns what it exports.
    """
    parts: dict[str, str] = {}

    def take(name: str) -> None:
        source = _static(f"{name}.js")
        for _, needed in _IMPORT.findall(source):
            if needed not in parts:
                take(needed)
        body = _EXPORT.sub("", _IMPORT.sub(lambda found: f"const {{{found[1]}}} = {_variable(found[2])};", source))
        exported = ", ".join(match[1] for match in _EXPORT.finditer(source))
        parts[name] = f"const {_variable(name)} = (() => {{\n{body}return {{ {exported} }};\n}})();"

    take(entry)
    return "\n".join(parts.values())


def _variable(module: str) -> str:
    return f"module_{module}"


@cache
def _static(name: str) -> str:
    return (files(__package__) / "static" / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _embedded(video: str, path: Path) -> Iterator[str]:
    """Yield a file as elements of text that the page puts together again."""
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield f'<script type="text/plain" class="embedded" data-video="{escape(video)}">'
            yield base64.b64encode(chunk).decode("ascii")
            yield "</script>\n"

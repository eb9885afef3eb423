"""The page that shows people a video with its evidence: what was found, where, and what was never looked at.

Plain HTML, CSS and ES modules lie in `static`; `document` puts together what they show, and
`rendering` makes one file of both. Only doors, such as the command line, import this package.
"""

from analyzer_agent.page.document import PageVideo, build_document
from analyzer_agent.page.rendering import MAX_EMBEDDED, app_text, live_text, page_text, static_file

__all__ = ["MAX_EMBEDDED", "PageVideo", "app_text", "build_document", "live_text", "page_text", "static_file"]

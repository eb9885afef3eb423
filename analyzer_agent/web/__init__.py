"""The server of `analyzer-agent serve`: the page live, an HTTP API, and an OpenAI-compatible one.

Needs the extra `page`. Only doors import it.
"""

from analyzer_agent.web.app import create_app

__all__ = ["create_app"]

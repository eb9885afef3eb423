"""A door: the Model Context Protocol. Other agents get analyzers, look-ups, search and questions as tools of their own."""

from analyzer_agent.mcp_server.server import create_server, http_app, serve_stdio, skill_text

__all__ = ["create_server", "http_app", "serve_stdio", "skill_text"]

"""Analyzers and their engines."""

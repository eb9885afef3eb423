"""Helpers shared by analyzers."""

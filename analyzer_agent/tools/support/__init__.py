"""Helpers that analyzers share."""

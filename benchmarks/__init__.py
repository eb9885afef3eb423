"""Benchmarks, run from a checkout with `python -m benchmarks.NAME`; not part of the package."""

"""Speed of the analyzers relative to plain use of the same libraries, both measured in one run.

See `python -m benchmarks.speed --help`.
"""

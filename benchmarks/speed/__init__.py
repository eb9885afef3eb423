"""How fast, as ratios: each figure is measured against the plain use of the same library, both in one run.

Knows nothing of what the figures are wanted for. `python -m benchmarks.speed --help` tells how it is run.
"""

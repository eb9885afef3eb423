"""Evidence: from a request to coverage, from coverage to the gaps, from notes to what a model or a person reads.

Knows nothing of models, tools or graphs.
"""

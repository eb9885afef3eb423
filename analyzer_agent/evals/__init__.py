"""Evaluation: question formats, baselines that answer without the manager, and scores."""

"""Question files: the native format and those of the benchmarks."""

from analyzer_agent.evals.formats.question_file import read_questions

__all__ = ["read_questions"]

"""Import of analysis results made by other programs, such as subtitles and transcripts, as notes.

An import acts as an engine of the matching analyzer with default options. Its notes are therefore
read, searched and cited like all others, and a covered request runs nothing. The cache key is made
from the file's content.
"""

from analyzer_agent.importing.file_import import Import, ImportResult, prepare

__all__ = ["Import", "ImportResult", "prepare"]

"""Parts of videos as editing programs and players read them: cut lists, markers and chapters."""

from analyzer_agent.clips.cut import Cut
from analyzer_agent.clips.cut_lists import FORMATS, ListFile, list_files

__all__ = ["FORMATS", "Cut", "ListFile", "list_files"]

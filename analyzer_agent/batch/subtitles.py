"""Subtitles that a benchmark brings along for a video: they are imported as notes before its questions are asked.

Knows nothing of the formats of subtitles: `importing` reads them.
"""

from analyzer_agent.batch.questions import Question
from analyzer_agent.config import Settings
from analyzer_agent.importing import prepare
from analyzer_agent.session import open_or_find_imported
from analyzer_agent.storage import Store


def import_subtitles(question: Question, settings: Settings) -> None:
    """Import the subtitles of a question's video, unless there are none, they may not be used, or it was done before.

    Raises:
        AgentError: the video or the subtitles cannot be read.
    """
    if question.subtitles is None or (settings.tools is not None and "subtitles" not in settings.tools):
        return
    begins = question.extra.get("starting_timestamp_for_subtitles")
    starts_at = round(float(begins) * 1000) if isinstance(begins, int | float) else 0
    with open_or_find_imported(question.video, settings) as video, Store(settings.store) as store:
        for _ in prepare(question.subtitles, video, kind="subtitle", starts_at=starts_at).run(store):
            pass

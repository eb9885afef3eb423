"""Media files: pictures, sound and subtitles on one presentation timeline. The only door to `av`.

Knows nothing of analyzers, notes or questions.
"""

from analyzer_agent.media.file import MediaFile, open_video
from analyzer_agent.media.fingerprint import fingerprint

__all__ = ["MediaFile", "fingerprint", "open_video"]
